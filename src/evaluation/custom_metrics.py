"""Custom metrics: functions of outcomes and scores, by argument or by entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..plugins import (
    ARGUMENT,
    METRICS,
    Plugin,
    check_name,
    collect,
    first_line,
    installed,
    merged,
)
from ..types import Floats
from .differences import WORDS

Of = Literal["score", "probability"]
_TAKEN = frozenset(
    {*WORDS, "profit", "lift_at_5pct", "lift_at_20pct", "base_rate", "mean_probability"}
)


@dataclass(frozen=True)
class CustomMetric:
    """A metric from outside: a function of outcomes, bool (n,), and scores, (n,), to a number.

    higher_is_better: its direction. of: what it is given, the scores that users are ranked by, on
    a scale of each scorer's own, or calibrated probabilities. source: where it comes from.

    >>> metric = CustomMetric("first_reached", lambda labels, scores: labels[scores.argmax()])
    >>> metric.measure(np.array([False, True]), np.array([0.2, 0.9]))
    1.0
    """

    name: str
    function: Callable[[NDArray[np.bool_], Floats], float]
    higher_is_better: bool = True
    of: Of = "score"
    source: str = ARGUMENT

    @property
    def title(self) -> str:
        """Its name and where it comes from, for messages."""
        return f"metric {self.name!r} ({self.source})"

    def measure(self, labels: NDArray[np.bool_], scores: Floats) -> float:
        """Return its value; raises UsageError, naming it, where it gives no finite number."""
        try:
            found = float(self.function(labels.copy(), scores.copy()))
        except Exception as error:
            raise UsageError(f"{self.title} failed: {first_line(error)}") from error
        if not np.isfinite(found):
            raise UsageError(f"{self.title} gave {found} for {len(labels):,} users: give a number")
        return found

    def check(self) -> None:
        """Raise UsageError for a direction or kind of score that is not known, or no number.

        Tried on 200 synthetic users, so that a mistake is reported before anything is fitted.
        """
        if self.of not in {"score", "probability"}:
            raise UsageError(f"{self.title}: of = {self.of!r}: write score or probability")
        if not callable(self.function):
            raise UsageError(f"{self.title} is no function of labels and scores")
        rng = np.random.default_rng(0)
        self.measure(rng.random(200) < 0.25, rng.random(200))  # noqa: PLR2004 - any share will do


@dataclass
class CustomMetrics:
    """The custom metrics of a comparison; one that fails is dropped, and `failed` says why."""

    metrics: Sequence[CustomMetric] = ()
    failed: dict[str, str] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """Return the names of those that did not fail."""
        return tuple(metric.name for metric in self.metrics if metric.name not in self.failed)

    def lower(self) -> frozenset[str]:
        """Return the names of those that should be low."""
        return frozenset(metric.name for metric in self.metrics if not metric.higher_is_better)

    def values(
        self, scorer: str, labels: NDArray[np.bool_], raw_score: Floats, probability: Floats | None
    ) -> dict[str, float]:
        """Return the values of one scorer on some users; NaN for those that failed, now or before.

        raw score, probability: what users are ranked by, and their probabilities, (n,) each.
        """
        found = {}
        for metric in self.metrics:
            scores = raw_score if metric.of == "score" else probability
            value = float("nan")
            if scores is None:
                self.failed[metric.name] = f"left out: {metric.title} needs probabilities"
            elif metric.name not in self.failed:
                try:
                    value = metric.measure(labels, scores)
                except UsageError as error:
                    self.failed[metric.name] = f"left out: {error} (scorer {scorer!r})"
            found[metric.name] = value
        return found


def custom_metrics(
    given: Sequence[CustomMetric], *, warn: Callable[[str], None]
) -> list[CustomMetric]:
    """Return the metrics given and the installed ones, each tried once.

    warn: called for an installed one that is left out, and why.

    Raises UsageError for a given one that cannot be used.
    """
    arguments: list[Mapping[str, CustomMetric]] = []
    for metric in given:
        check_name(metric.name, metric.source, taken=_TAKEN.__contains__, what="metric")
        metric.check()
        arguments.append({metric.name: metric})
    plugins = collect(
        installed(METRICS), _of_plugin, taken=_TAKEN.__contains__, what="metric", warn=warn
    )
    return list(merged([plugins, *arguments], "metric").values())


def _of_plugin(plugin: Plugin) -> CustomMetric:
    """Load a plugin: a CustomMetric, or a function for which higher is better."""
    found = plugin.load()
    if not isinstance(found, CustomMetric):
        found = CustomMetric(plugin.name, found)  # type: ignore[arg-type] # checked below
    metric = replace(found, name=plugin.name, source=plugin.source)
    metric.check()
    return metric
