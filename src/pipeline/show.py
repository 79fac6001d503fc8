"""Results as lines of text, for the command line and logs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

from ..escapes import shown
from ..scorer import signed
from ..scoring.ranking import RankedUser
from .demo import Demo
from .evaluate import Evaluation
from .score import Explanation, Ranking
from .scorers import SCORECARD

STALE_DAYS = 7
SHORT_REASONS = 3
_WIDEST = 60


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
        reasons = user.reasons if by_points else user.model_reasons or user.reasons
        why = "; ".join(shown(str(reason)) for reason in reasons[:SHORT_REASONS])
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
        yield f"every chance and expected spend: {ranking.propensities}"
    if ranking.both_accounts is not None:
        by_feature, apart = ranking.both_accounts
        model = ranking.beside or "model"
        yield f"the top users feature by feature, {model} beside points: {by_feature}"
        other = f"{model} puts" if by_points else "the scorecard puts"
        yield f"whom {other} elsewhere, and why: {apart}"
    if ranking.plots is not None:
        yield f"how it ranked on its last test: {ranking.plots}"


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """Yield one user's standing, every reason with its points, and their features."""
    user = explanation.user
    who = shown(user.user_id)
    if explanation.link is not None:
        yield str(explanation.link)
    standing = f"rank {user.rank:,} of {explanation.population:,}"
    if not explanation.in_population:
        standing = f"not in the ranked population (would be {standing})"
    if _by_points(explanation.scorer):
        chance = "" if user.probability is None else f"; chance {user.probability:.2%}"
        yield f"{who}: {user.score:.2f} points, {user.label}, {standing}{chance}"
    else:
        yield (
            f"{who}: {user.score:.2f} of 100 by {explanation.scorer}, {user.label}, "
            f"{standing}; chance {user.probability:.2%}"
        )
    yield f"as of {explanation.as_of}"
    yield ""
    if user.influences:
        yield f"log-odds of {explanation.beside} beside the scorecard's points"
        yield from _side_by_side(user)
    else:
        for reason in user.reasons:
            yield f"{signed(reason.amount):>8}  {shown(reason.text)}"
        yield f"{'-' * 8:>8}"
        yield f"{user.scorecard_score:>8.2f}  points in all"
    yield ""
    yield "features"
    width = max(len(name) for name in explanation.features)
    for name, value in explanation.features.items():
        yield f"  {name:<{width}}  {_value(value)}"


def _by_points(stamp: str) -> bool:
    """Whether a scorer's stamp, such as "scorecard v3", is a scorecard's."""
    return stamp.split(" ", maxsplit=1)[0] == SCORECARD


def _side_by_side(user: RankedUser) -> Iterator[str]:
    """Yield both accounts feature by feature, what moved the model most first."""
    said = [(line, shown(line.values or line.reason)) for line in user.influences]
    width = min(_WIDEST, max(len("what"), *(len(text) for _, text in said)))
    yield f"{'log-odds':>8}   {'points':>6}  {'what':<{width}}  what the points are for"
    for line, text in said:
        log_odds = "-" if line.log_odds is None else f"{line.log_odds:+.2f}"
        mark = " " if line.steady or line.log_odds is None else "~"
        points = "-" if line.points is None else signed(line.points) if line.points else "0"
        reason = shown(line.reason) if line.values else ""
        yield f"{log_odds:>8}{mark}  {points:>6}  {text:<{width}}  {reason}".rstrip()
    yield f"{'':>8}   {'-' * 6}"
    yield f"{'':>8}   {user.scorecard_score:>6.2f}  points in all"
    agreed = "nothing to compare" if user.agreement is None else f"{user.agreement:.3f}"
    yield f"rank agreement of the two: {agreed}"
    if any(line.log_odds is not None and not line.steady for line in user.influences):
        yield "~ too small, or too unsteady when values are nudged, to be given as a reason"


def evaluation_lines(evaluation: Evaluation) -> Iterator[str]:
    """Yield what was measured, on whom, and the metrics with their intervals."""
    days = "1 day" if evaluation.horizon_days == 1 else f"{evaluation.horizon_days} days"
    yield (
        f"as of {evaluation.as_of}, {days}: among "
        f"{evaluation.population}, who comes to this: {evaluation.target}"
    )
    if evaluation.sample:
        yield evaluation.sample
    yield str(evaluation.report)


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


def stale(last_event: str, today: date | None = None) -> str:
    """Return a warning when the newest event is more than a week old, else an empty text.

    >>> stale("2026-01-01 10:00:00", date(2026, 2, 1))
    'the newest event is from 2026-01-01, 31 days ago: load newer events before acting on this'
    >>> stale("2026-01-31 10:00:00", date(2026, 2, 1))
    ''
    """
    newest = datetime.fromisoformat(last_event).date()
    age = ((today or datetime.now(UTC).date()) - newest).days
    if age <= STALE_DAYS:
        return ""
    when = f"{newest}, {age} days ago"
    return f"the newest event is from {when}: load newer events before acting on this"


def _value(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return shown(str(value))
