"""A fitted model behind the Scorer contract: percentiles, calibrated chances, contributions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..scorer import Contributions, FeatureTable, Scale
from ..types import Floats
from .encoding import Encoding
from .fitted import Model
from .storage import load_model, read_whole, save_model

REFERENCE_SIZE = 10_000
_ROUNDING = 1e-4  # of all that is added up: what 32 bits may leave out over hundreds of trees


@dataclass(frozen=True)
class Calibrator:
    """From margins to chances of the target: 1 / (1 + exp(-(slope · margin + intercept))).

    Platt's scaling (1999), fitted on margins of users whose outcomes the fit behind those margins
    has not seen: an earlier fit's on its own test. The fit in use is trained on those very outcomes
    by then, so its own margins there would be too sure; hence `moved`.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def moved(self, past: Floats, now: Floats) -> Calibrator:
        """Return the calibrator for a later fit of the same candidate.

        past, now: margins of the earlier and the later fit on the same users, (n,), whose outcomes
        need not be known. The later fit has its own scale, and has learnt of the drift of the base
        rate, for which the earlier one is corrected: that must not happen twice. So its margins
        are first given the mean and the deviation that the earlier one's have on those users.

        >>> Calibrator(2.0, 1.0).moved(np.array([0.0, 1.0]), np.array([3.0, 5.0]))
        Calibrator(slope=1.0, intercept=-2.0)
        """
        spread = float(now.std())
        ratio = float(past.std()) / spread if spread > 0 else 0.0
        shift = float(past.mean()) - ratio * float(now.mean())
        return Calibrator(self.slope * ratio, self.intercept + self.slope * shift)

    def log_odds(self, margin: Floats) -> Floats:
        """Return the log-odds of the probability, shape (n,)."""
        return np.asarray(self.slope * margin + self.intercept)

    def probability(self, margin: Floats) -> Floats:
        """Return chances, shape (n,)."""
        return np.asarray(1 / (1 + np.exp(-self.log_odds(margin))))

    def calibrated(self, found: Contributions) -> Contributions:
        """Return contributions to a margin as contributions to the log-odds of the probability.

        The map is affine, so it scales every contribution by the slope and moves only the base: the
        base plus a row's contributions is the logit of the probability. With a slope of 0, where
        the calibration kept the base rate alone, every contribution is 0.

        >>> margin = Contributions(("a", "b"), np.array([[1.0, -0.5]]), 2.0, "log-odds")
        >>> found = Calibrator(2.0, 1.0).calibrated(margin)
        >>> found.values.tolist(), found.base
        ([[2.0, -1.0]], 5.0)
        """
        values = self.slope * np.asarray(found.values, dtype=np.float64)
        base = self.slope * found.base + self.intercept
        return Contributions(found.names, values, base, found.scale)


def fit_calibrator(margin: Floats, labels: NDArray[np.bool_]) -> Calibrator:
    """Fit slope and intercept by maximum likelihood.

    A slope that is not positive would turn the ranking round: then only the base rate is kept.
    Raises DataError when the labels are of one class.

    >>> rng = np.random.default_rng(0)
    >>> margin = rng.normal(size=20_000)
    >>> labels = rng.random(20_000) < 1 / (1 + np.exp(-(2 * margin - 1)))
    >>> found = fit_calibrator(margin, labels)
    >>> abs(found.slope - 2) < 0.1, abs(found.intercept + 1) < 0.1
    (True, True)
    """
    if labels.all() or not labels.any():
        raise DataError(
            f"{int(labels.sum())} of {len(labels):,} users reached the target: chances are "
            "calibrated on both kinds; load more history, or lengthen the horizon"
        )
    base = float(np.log(labels.mean() / (1 - labels.mean())))
    spread = float(margin.std())
    if spread == 0:
        return Calibrator(0.0, base)
    from sklearn.linear_model import LogisticRegression

    scaled = (margin - margin.mean()) / spread
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(scaled[:, None], labels)
    slope = float(fitted.coef_[0, 0]) / spread
    if slope <= 0:
        return Calibrator(0.0, base)
    return Calibrator(slope, float(fitted.intercept_[0]) - slope * float(margin.mean()))


@dataclass(frozen=True)
class About:
    """Where a scorer comes from: enough to say whether it fits a spec, and how it was made."""

    candidate: str
    spec: str
    spec_version: str
    features_version: str
    known_until: str
    snapshots: tuple[str, ...]
    horizon_days: int
    users: int
    positives: int
    seed: int
    params: Mapping[str, Any]


@dataclass(frozen=True)
class LearnedScorer:
    """A learned scorer: its score is the percentile of its margin in a frozen population.

    reference: sorted margins of that population (at most REFERENCE_SIZE of them). bands: the
    percentiles from which a user counts as medium and as high: as many of the reference population
    as the scorecard makes so. unsaved: why it cannot be saved, and so not be registered; empty
    where it can.
    """

    encoding: Encoding
    model: Model
    reference: Floats
    about: About
    calibrator: Calibrator = Calibrator()
    bands: tuple[float, float] = (70.0, 90.0)
    scale: Scale = "log-odds"
    unsaved: str = ""

    @property
    def name(self) -> str:
        """The candidate's name, such as "xgboost"."""
        return self.about.candidate

    @property
    def features(self) -> tuple[str, ...]:
        """The features it reads."""
        return self.encoding.names

    def margin(self, table: FeatureTable) -> Floats:
        """Return uncalibrated log-odds, shape (n,): what users are ranked by."""
        return self.model.margin(self.encoding.matrix(table))

    def score(self, table: FeatureTable) -> Floats:
        """Return percentiles in the reference population, shape (n,), 0 to 100."""
        return self.score_of(self.margin(table))

    def score_of(self, margin: Floats) -> Floats:
        """Return the percentiles of margins; a tie takes the middle of its range."""
        return percentiles(self.reference, margin)

    def probability(self, table: FeatureTable) -> Floats:
        """Return calibrated chances of the target within the horizon, shape (n,)."""
        return self.calibrator.probability(self.margin(table))

    def contributions(self, table: FeatureTable) -> Contributions:
        """Return what each feature added to the margin, in log-odds: with the base, its exact sum.

        Raises DataError for a candidate whose library gives none (it cannot say why), and for
        contributions that do not add up to the margin.
        """
        matrix = self.encoding.matrix(table)
        found = self.model.contributions(matrix)
        if found is None:
            raise DataError(f"scorer {self.name!r} ranks without reasons: it has no contributions")
        values, base = found
        exact = _adding_up(self.name, values, base, self.model.margin(matrix))
        return Contributions(self.encoding.names, exact, base, self.scale)

    @property
    def explains(self) -> bool:
        """Whether contributions are known; only then may it be champion."""
        return self.model.contributions(np.zeros((1, len(self.features)), np.float32)) is not None

    def save(self, folder: Path) -> None:
        """Write a new folder: scorer.json, reference.npy and the model's own files.

        Raises DataError for a scorer that cannot be saved.
        """
        if self.unsaved:
            raise DataError(f"scorer {self.name!r} cannot be saved: {self.unsaved}")
        folder.mkdir(parents=True)
        raw = {
            "about": asdict(self.about),
            "encoding": self.encoding.to_dict(),
            "calibrator": asdict(self.calibrator),
            "bands": list(self.bands),
        }
        (folder / "scorer.json").write_text(json.dumps(raw, indent=1), encoding="utf-8")
        np.save(folder / "reference.npy", self.reference, allow_pickle=False)
        (folder / "model").mkdir()
        save_model(self.model, folder / "model")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; raises DataError when it is not there or not readable."""
        with read_whole(folder):
            try:
                raw = json.loads((folder / "scorer.json").read_text(encoding="utf-8"))
                reference = np.load(folder / "reference.npy", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise DataError(f"{folder}: holds no saved scorer: {error}") from None
            about = About(**{**raw["about"], "snapshots": tuple(raw["about"]["snapshots"])})
            return cls(
                encoding=Encoding.from_dict(raw["encoding"]),
                model=load_model(folder / "model"),
                reference=reference,
                about=about,
                calibrator=Calibrator(**raw["calibrator"]),
                bands=(float(raw["bands"][0]), float(raw["bands"][1])),
            )


def _adding_up(name: str, values: Floats, base: float, margin: Floats) -> Floats:
    """Return contributions (n, k) whose sums with the base are the margins, to the last digits.

    XGBoost adds in 32 bits: what its rounding left out goes to each row's largest contribution.
    Raises DataError where more than rounding is missing.
    """
    exact = np.array(values, dtype=np.float64)
    missing = margin - base - exact.sum(axis=1)
    size = np.maximum(1.0, np.abs(exact).sum(axis=1) + abs(base))
    if (np.abs(missing) > _ROUNDING * size).any():
        worst = int(np.argmax(np.abs(missing) / size))
        raise DataError(
            f"scorer {name!r}: contributions add up to {margin[worst] - missing[worst]:.6f}, and "
            f"the score is {margin[worst]:.6f}: train again"
        )
    rows = np.arange(len(exact))
    exact[rows, np.abs(exact).argmax(axis=1)] += missing
    return exact


def percentiles(reference: Floats, margin: Floats) -> Floats:
    """Return percentiles, 0 to 100, in sorted margins; a tie takes the middle of its range.

    >>> percentiles(np.array([1.0, 2.0, 2.0, 3.0]), np.array([2.0, 9.0])).tolist()
    [50.0, 100.0]
    """
    values, sizes = np.unique(reference, return_counts=True)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    place = np.searchsorted(values, margin)  # the slow part: once, and not once more for ties
    tied = values.take(place, mode="clip") == margin
    below = ends[place]
    return 50.0 * (2 * below + np.where(tied, sizes.take(place, mode="clip"), 0)) / len(reference)


def reference_of(margin: Floats) -> Floats:
    """Return sorted margins that stand for a population: all of them, or evenly spaced ones."""
    ordered = np.sort(margin)
    if len(ordered) <= REFERENCE_SIZE:
        return ordered
    places = (np.arange(REFERENCE_SIZE) + 0.5) * len(ordered) / REFERENCE_SIZE
    return ordered[places.astype(np.int64)]
