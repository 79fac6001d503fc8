"""A scored list as one page: points beside log-odds for every listed user."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from ..escapes import shown
from ..files import atomic_write
from ..ranking.results import Ranking
from ..scorer import Attribution
from ..scoring.ranking import RankedUser

USERS_PAGE = "users.html"
_MOST = 200  # users; a browser takes long over more
_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.2em; max-width: 62em; color: #222 }
summary { cursor: pointer; padding: .25em 0 } summary b { display: inline-block; min-width: 9em }
summary span { display: inline-block; min-width: 8.5em; color: #444 }
table { border-collapse: collapse; margin: .3em 0 1em 1em } th { text-align: left; color: #555 }
td, th { padding: .12em .7em; border-bottom: 1px solid #eee } .n { text-align: right }
.up { background: #cfe5f3 } .down { background: #f8dccb } p { color: #555 }
"""


def write_users_page(path: Path, ranking: Ranking) -> None:
    """Write the listed users, with points and attributions by feature, as HTML without scripts.

    At most two hundred; the CSVs hold all.
    """
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(_page(ranking)) + "\n", encoding="utf-8")


def _page(ranking: Ranking) -> Iterator[str]:
    listed = ranking.users[:_MOST]
    title = f"{len(ranking.users)} of {ranking.population:,} users by {ranking.scorer}, "
    title += f"as of {ranking.as_of}"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}'
    yield f"</title><style>{_STYLE}</style></head><body><h2>{_text(title)}</h2>"
    model = _text(ranking.explainer or "no model")
    yield (
        f"<p>Open a user to see the points of all that was seen beside its log-odds by {model} "
        "(SHAP values). Blue raises the score, orange lowers it.</p>"
    )
    if len(listed) < len(ranking.users):
        yield f"<p>The first {_MOST} are here; reasons.csv and top_users.csv have all.</p>"
    for place, user in enumerate(listed):
        yield from _user(user, opened=place == 0)
    yield "</body></html>"


def _user(user: RankedUser, *, opened: bool) -> Iterator[str]:
    probability = "" if user.probability is None else f"probability {user.probability:.3f}"
    yield (
        f"<details{' open' * opened}><summary>{user.rank}. <b>{_text(user.user_id)}</b> "
        f"<span>score {user.score:.2f}, {_text(user.label)}</span> "
        f"<span>{probability}</span></summary>"
    )
    if not user.attributions:
        reasons = "".join(f"<tr><td>{_text(str(reason))}</td></tr>" for reason in user.reasons)
        yield f"<table>{reasons}</table></details>"
        return
    yield '<table><tr><th>what was seen</th><th class="n">points</th><th class="n">log-odds</th>'
    yield "<th>the scorecard's reason</th></tr>"
    for one in user.attributions:
        yield _row(one)
    yield "</table></details>"


def _row(one: Attribution) -> str:
    cells = [f"<td>{_text(one.observed or one.part.replace('_', ' '))}</td>"]
    for amount, digits in ((one.points, "+.2f"), (one.log_odds, "+.3f")):
        if amount is None:
            cells.append("<td></td>")
        else:
            side = "up" if amount > 0 else "down" if amount < 0 else ""
            cells.append(f'<td class="n {side}">{amount:{digits}}</td>')
    return f"<tr>{''.join(cells)}<td>{_text(one.reason)}</td></tr>"


def _text(text: str) -> str:
    return escape(shown(text))
