"""The scorecard as a scikit-learn classifier: for pipelines, cross-validation and searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from ..errors import DataError
from ..published.snapshot import Snapshot
from ..scorer import Contributions
from ..scoring.calibration import rescaled
from ..scoring.scorecard import Scorecard
from ..spec.references import suggest
from ..spec.scorecard import FULL_SCORE, HUNDREDTHS, GroupSpec, ScorecardSpec, TermSpec
from ..stats.platt import fit_calibrator
from ..types import Floats
from .labels import two_classes

_BY_TERM: Final = ("points", "cap", "half_life", "other")
_HIGHEST = 0.95  # quantile of a column from which on the unit-weighted card gives all its points


class ScorecardClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # untyped bases
    """A scorecard that ranks by points and gives probabilities by Platt scaling of them.

    scorecard: a spec's `scorecard`, or the same as a mapping with `terms` and `groups`. Points that
    total another number than 100 are scaled to it. A term's values may be set by its name, as
    `visits__cap`, `visits__points` or `visits__half_life`, a group's as `activity__cap`;
    scikit-learn's searches do so. None: the unit-weighted card of all columns, fitted from their
    signs alone (Dawes 1979, "The robust beauty of improper linear models in decision making").

    X is a data frame whose columns are named as the features, or an array whose columns are the
    card's features in order. Nulls (NaN) give no points. A card whose terms map texts needs a
    frame. fit learns two numbers, the slope and the intercept of the log-odds; `card_` and
    `calibrator_` hold what it used.

    >>> import pandas as pd
    >>> from sklearn.model_selection import GridSearchCV
    >>> visits = {"name": "visits", "feature": "visits", "points": 100, "transform": "linear",
    ...           "cap": 3, "reason": "came {value} times"}
    >>> X = pd.DataFrame({"visits": [0, 1, 2, 8, 9, 10] * 20})
    >>> search = GridSearchCV(
    ...     ScorecardClassifier({"terms": [visits]}), {"visits__cap": [3, 9]}, scoring="roc_auc"
    ... )
    >>> search.fit(X, X["visits"] > 8).best_params_
    {'visits__cap': 9}
    """

    def __init__(self, scorecard: ScorecardSpec | Mapping[str, Any] | None = None) -> None:
        self.scorecard = scorecard

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; deep: those of terms and groups as well, as NAME__KEY."""
        found: dict[str, Any] = super().get_params(deep=False)
        if deep and isinstance(self.scorecard, (ScorecardSpec, Mapping)):
            raw = _raw(self.scorecard)
            for term in raw["terms"]:
                found |= {f"{term['name']}__{key}": term[key] for key in _BY_TERM if key in term}
            found |= {f"{name}__cap": group["cap"] for name, group in raw["groups"].items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; the scorecard that was given is not changed, but copied.

        Raises ValueError for a name that is no parameter.
        """
        known = self.get_params()
        for name in params:
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}; "
                    f"{suggest(name, list(known))}"
                )
        if "scorecard" in params:
            self.scorecard = params["scorecard"]
        inside = {name: value for name, value in params.items() if name != "scorecard"}
        if inside and self.scorecard is not None:
            raw = _raw(self.scorecard)
            for name, value in inside.items():
                of, _, key = name.rpartition("__")
                terms = [term for term in raw["terms"] if term["name"] == of]
                (terms[0] if terms else raw["groups"][of])[key] = value
            self.scorecard = raw
        return self

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's names
        """Fit the map from points to probabilities on n users of two classes.

        Raises ValueError when y has another number of classes, X lacks a feature, or the scorecard
        is not valid.
        """
        card = None if self.scorecard is None else _valid(self.scorecard)
        table = self._table(X, card, y=y)
        labels = column_or_1d(y, warn=True)
        check_consistent_length(table, labels)
        self.classes_, codes = two_classes(labels, type(self).__name__)
        reached = codes.astype(np.bool_)
        self.card_ = Scorecard(card or unit_weighted(table, self._names(None), reached))
        self.calibrator_ = fit_calibrator(self.card_.score(table), reached)
        return self

    def points(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Return scores in points, shape (n,), 0 to 100."""
        check_is_fitted(self)
        return self.card_.score(self._checked(X))

    def contributions(self, X: ArrayLike) -> Contributions:  # noqa: N803
        """Return hundredths of points by term, group cap and clipping; see `Scorecard`."""
        check_is_fitted(self)
        return self.card_.contributions(self._checked(X))

    def decision_function(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Return log-odds, shape (n,)."""
        points = self.points(X)
        return self.calibrator_.log_odds(points)

    def predict_proba(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Return the probabilities of both classes, shape (n, 2)."""
        positive = 1 / (1 + np.exp(-self.decision_function(X)))
        return np.column_stack([1 - positive, positive])

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return the likelier class of each row, shape (n,)."""
        log_odds = self.decision_function(X)
        likelier: NDArray[Any] = self.classes_[(log_odds > 0).astype(int)]
        return likelier

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that nulls are welcome, classes are two, and unit weights are rough."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True
        return tags

    def _checked(self, X: ArrayLike) -> Snapshot:  # noqa: N803
        return self._table(X, None if self.scorecard is None else self.card_.spec, reset=False)

    def _table(self, X: Any, card: ScorecardSpec | None, **how: Any) -> Snapshot:  # noqa: N803
        """Return columns as a table; those of terms that map texts as texts, others as numbers.

        how: the labels (`y`) of a fit, or `reset=False`.
        """
        mapped = [t.feature for t in card.terms if t.transform == "map"] if card else []
        if mapped and not isinstance(X, pd.DataFrame):
            raise ValueError(
                f"the scorecard maps the texts of {mapped[0]!r}: give X as a data frame"
            )
        X = _features_of(X, card)  # noqa: N806
        if not mapped:
            found = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", **how)
            matrix = found[0] if "y" in how else found
            return Snapshot(pa.table(dict(zip(self._names(card), matrix.T, strict=True))))
        validate_data(self, X, skip_check_array=True, **how)
        columns = {}
        for name in X.columns:
            known = X[name].astype(object).where(X[name].notna(), None)
            if name in mapped:
                columns[name] = pa.array(
                    [None if v is None else str(v) for v in known], pa.string()
                )
            else:
                columns[name] = pa.array(np.asarray(X[name], dtype=np.float64))
        return Snapshot(pa.table(columns))

    def _names(self, card: ScorecardSpec | None) -> Sequence[str]:
        features = Scorecard(card).features if card else ()
        if not features:
            named = getattr(self, "feature_names_in_", None)
            return (
                list(named) if named is not None else [f"x{i}" for i in range(self.n_features_in_)]
            )
        if self.n_features_in_ != len(features):
            raise ValueError(
                f"X has {self.n_features_in_} columns, and the scorecard reads {len(features)} "
                f"features: {', '.join(features)}"
            )
        return features


def unit_weighted(
    table: Snapshot, names: Sequence[str], reached: NDArray[np.bool_]
) -> ScorecardSpec:
    """Return the card that gives every column the same points, by the sign of its correlation.

    A column that goes with the target counts in proportion up to its 95% quantile; one that goes
    against it halves its points with every median of its amounts. Below zero counts as zero.
    """
    whole, rest = divmod(round(FULL_SCORE * HUNDREDTHS), len(names))
    if not whole:
        raise ValueError(f"X has {len(names):,} columns, and a card 10,000 hundredths of a point")
    terms = []
    for place, name in enumerate(names):
        values = table.numeric(name)
        amounts = values[values > 0]
        known = np.isfinite(values)
        with_target = np.cov(values[known], reached[known])[0, 1] >= 0 if known.sum() > 1 else True
        size = (
            float(np.quantile(amounts, _HIGHEST if with_target else 0.5)) if len(amounts) else 1.0
        )
        shape = {"transform": "linear", "cap": size}
        if not with_target:
            shape = {"transform": "half_life", "half_life": size}
        points = (whole + (place < rest)) / HUNDREDTHS
        terms.append(
            {"name": name, "feature": name, "points": points, "reason": "{value}", **shape}
        )
    return ScorecardSpec.model_validate({"terms": terms})


def _features_of(X: Any, card: ScorecardSpec | None) -> Any:  # noqa: N803
    """Return the columns of a frame that a card reads; anything else as it is."""
    if card is None or not isinstance(X, pd.DataFrame):
        return X
    names = Scorecard(card).features
    for name in names:
        if name not in X.columns:
            raise ValueError(
                f"the scorecard reads {name!r}, which X does not have; "
                f"{suggest(name, [str(column) for column in X.columns])}"
            )
    return X[list(names)]


def _raw(scorecard: ScorecardSpec | Mapping[str, Any]) -> dict[str, Any]:
    """Return a scorecard as a mapping of its own, without what is not set."""
    if isinstance(scorecard, ScorecardSpec):
        return scorecard.model_dump(exclude_none=True)
    terms = [dict(term) for term in scorecard.get("terms", ())]
    groups = {name: dict(group) for name, group in scorecard.get("groups", {}).items()}
    return {**scorecard, "terms": terms, "groups": groups}


def _valid(scorecard: ScorecardSpec | Mapping[str, Any]) -> ScorecardSpec:
    """Return a valid scorecard, its points scaled to a total of 100.

    Raises ValueError that names what is wrong.
    """
    if not isinstance(scorecard, (ScorecardSpec, Mapping)):
        raise ValueError(  # noqa: TRY004 - the estimators' own contract
            f"scorecard = {scorecard!r}: give a spec's scorecard, or a mapping with `terms`"
        )
    raw = _raw(scorecard)
    unknown = set(raw) - {"terms", "groups"}
    if unknown or not raw["terms"]:
        raise ValueError("a scorecard is a mapping with `terms`, at least one, and `groups`")
    groups = raw["groups"]
    for term in raw["terms"]:
        if term.get("group") is not None and term["group"] not in groups:
            raise ValueError(
                f"scorecard: {term.get('name')}: group {term['group']!r} is not in groups; "
                f"{suggest(str(term['group']), list(groups))}"
            )
    try:
        terms = tuple(TermSpec.model_validate(term) for term in raw["terms"])
        caps = {name: GroupSpec.model_validate(group) for name, group in groups.items()}
        card = ScorecardSpec.model_construct(terms=terms, groups=caps)
        return ScorecardSpec.model_validate(rescaled(card).model_dump())
    except (ValidationError, DataError) as error:
        raise ValueError(f"scorecard: {error}") from error
