"""Rewrite the points of a spec's text, leaving every other character as a person wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import SpecError
from .load import parse_spec

_TERM = re.compile(r"^\[\[scorecard\.terms\]\]$", re.MULTILINE)
_GROUP = re.compile(r"^\[scorecard\.groups\.([a-z0-9_]+)\]$", re.MULTILINE)
_TABLE = re.compile(r"^\[", re.MULTILINE)
_NUMBER = r"[-+]?[0-9][0-9_]*(?:\.[0-9]+)?"


def with_points(
    text: str, points: Mapping[str, float], caps: Mapping[str, float], version: str
) -> str:
    """Return a spec's text with other points of terms, caps of groups and version.

    Raises SpecError when the text is not written one key a line, or the result is not the spec
    that was meant: then nothing is proposed, rather than something else.

    >>> from whyrank.spec.load import load_spec, spec_text
    >>> spec = load_spec("saas")
    >>> same = with_points(
    ...     spec_text("saas"), {t.name: t.points for t in spec.scorecard.terms}, {}, spec.version)
    >>> same == spec_text("saas")
    True
    """
    made = _replaced(text, _TERM, "points", points)
    made = _replaced(made, _GROUP, "cap", caps)
    made = re.sub(r'^version = ".*"$', f'version = "{version}"', made, count=1, flags=re.MULTILINE)
    spec = parse_spec(made, "the calibrated spec")
    found = {term.name: term.points for term in spec.scorecard.terms}
    wrong = [name for name, value in points.items() if found.get(name) != value]
    wrong += [name for name, cap in caps.items() if spec.scorecard.groups[name].cap != cap]
    if wrong or spec.version != version:
        raise SpecError(
            f"scorecard: the points of {(wrong or ['version'])[0]!r} cannot be rewritten: write "
            "each key of a term on a line of its own"
        )
    return made


def _replaced(text: str, start: re.Pattern[str], key: str, values: Mapping[str, float]) -> str:
    pieces, done = [], 0
    for match in start.finditer(text):
        following = _TABLE.search(text, match.end() + 1)
        end = following.start() if following else len(text)
        block = text[match.end() : end]
        named = re.search(r'^name = "(.*)"$', block, flags=re.MULTILINE)
        name = match[1] if match.groups() else (named[1] if named else "")
        if name in values:
            block = re.sub(
                rf"^{key} = {_NUMBER}", f"{key} = {written(values[name])}", block, count=1,
                flags=re.MULTILINE,
            )  # fmt: skip
        pieces += [text[done : match.end()], block]
        done = end
    return "".join([*pieces, text[done:]])


def written(value: float) -> str:
    """Write points, in hundredths at the finest.

    >>> written(12.0), written(0.5)
    ('12', '0.5')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")
