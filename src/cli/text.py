"""Results as lines of text, for the command line and logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..escapes import shown
from ..pipeline.demo import Demo
from ..pipeline.evaluate import Evaluation
from ..ranking.active_scorer import SCORECARD
from ..ranking.disagreements import SideChanges
from ..ranking.results import Explanation, Ranking
from ..scorer import grouped, signed
from .attributions_text import points_to_probability, side_by_side

SHORT_REASONS = 3


def ranking_lines(ranking: Ranking, *, most: int) -> Iterator[str]:
    """Yield the top of a ranking, a line a user, and where the files are."""
    labels = ", ".join(
        f"{count:,} {label}" for label, count in reversed(list(ranking.labels.items()))
    )
    by = "" if ranking.scorer == SCORECARD else f" by {ranking.scorer}"
    by_points = _by_points(ranking.scorer)
    yield f"{ranking.population:,} users ranked as of {ranking.as_of}{by}: {labels}"
    yield ""
    listed = ranking.users[:most]
    width = max([len("user"), *(len(shown(user.user_id)) for user in listed)])
    yield f"{'rank':>4}  {'user':<{width}}  {'score':>6}  {'label':<6}  why (largest reasons first)"
    for user in listed:
        if by_points or not user.model_reasons:
            reasons: Sequence[object] = user.reasons
            why = "; ".join(shown(str(reason)) for reason in reasons[:SHORT_REASONS])
        else:
            reasons = user.model_reasons
            why = shown(grouped(user.model_reasons[:SHORT_REASONS]))
        more = len(reasons) - SHORT_REASONS
        tail = f"; and {more} more" if more > 0 else ""
        yield (
            f"{user.rank:>4}  {shown(user.user_id):<{width}}  {user.score:>6.2f}  {user.label:<6}  "
            f"{why}{tail}"
        )
    yield ""
    yield f"top {len(ranking.users)} with all reasons: {ranking.top_users}"
    yield f"every score: {ranking.all_scores}"
    if ranking.propensities is not None:
        yield f"all probabilities and expected spend: {ranking.propensities}"
    if ranking.attribution_files is not None:
        by_feature, disagreements = ranking.attribution_files
        model = ranking.explainer or "model"
        yield f"the top users feature by feature, {model} beside points: {by_feature}"
        if ranking.side_changes is not None:
            yield from _side_change_lines(ranking.side_changes, model, ranking.capacity)
        yield f"on whom {model} and points disagree most, and why: {disagreements}"
    if ranking.plots is not None:
        yield f"how it ranked on the last backtest fold: {ranking.plots}"


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """Yield one user's score and rank, every reason with its points, and their features."""
    user = explanation.user
    who = shown(user.user_id)
    if explanation.link is not None:
        yield str(explanation.link)
    standing = f"rank {user.rank:,} of {explanation.population:,}"
    if not explanation.in_population:
        standing = f"not in the ranked population (would be {standing})"
    if _by_points(explanation.scorer):
        probability = "" if user.probability is None else f"; probability {user.probability:.2%}"
        yield f"{who}: {user.score:.2f} points, {user.label}, {standing}{probability}"
    else:
        yield (
            f"{who}: {user.score:.2f} of 100 by {explanation.scorer}, {user.label}, "
            f"{standing}; probability {user.probability:.2%}"
        )
    yield f"as of {explanation.as_of}"
    yield ""
    if user.attributions:
        yield from side_by_side(user, explanation.explainer)
    else:
        for reason in user.reasons:
            yield f"{signed(reason.amount):>8}  {shown(reason.text)}"
        yield f"{'-' * 8:>8}"
        yield f"{user.scorecard_score:>8.2f}  points in all"
    yield from points_to_probability(user)
    yield ""
    yield "features"
    width = max(len(name) for name in explanation.features)
    for name, value in explanation.features.items():
        yield f"  {name:<{width}}  {_value(value)}"


def _by_points(stamp: str) -> bool:
    """Whether a scorer's stamp, such as "scorecard v3", is a scorecard's."""
    return stamp.split(" ", maxsplit=1)[0] == SCORECARD


def _side_change_lines(changes: SideChanges, model: str, capacity: float) -> Iterator[str]:
    """Yield how many users one of model and scorecard alone selects."""
    best, high = changes.capacity, changes.high
    yield (
        f"in the best {capacity:.0%}: {best[0]:,} by {model} alone, {best[1]:,} by points alone; "
        f"high: {high[0]:,} by {model} alone, {high[1]:,} by points alone"
    )


def evaluation_lines(evaluation: Evaluation) -> Iterator[str]:
    """Yield what was measured, on whom, and the metrics with their intervals."""
    days = "1 day" if evaluation.horizon_days == 1 else f"{evaluation.horizon_days} days"
    yield (
        f"as of {evaluation.as_of}, {days}: among "
        f"{evaluation.population}, who comes to this: {evaluation.target}"
    )
    if evaluation.sample:
        yield evaluation.sample
    yield evaluation.report()


def demo_lines(demo: Demo) -> Iterator[str]:
    """Yield a demo's whole account."""
    for load in demo.loads:
        yield str(load)
    yield ""
    yield from ranking_lines(demo.ranking, most=10)
    yield f"features of every user: {demo.features}"
    if demo.evaluation is not None:
        yield ""
        yield from evaluation_lines(demo.evaluation)


def _value(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return shown(str(value))
