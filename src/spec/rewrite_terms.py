"""Rewrite the scorecard of a spec's text: terms bent, dropped and added, caps and bands."""

from __future__ import annotations

import re
from itertools import pairwise

from ..errors import SpecError
from .load import parse_spec
from .rewrite import written
from .scorecard import BandsSpec, ScorecardSpec, TermSpec
from .written import number, quoted

_HEADER = re.compile(r"^\[[^\n]*$", re.MULTILINE)
_TERM = "[[scorecard.terms]]"
_GROUP = re.compile(r"^\[scorecard\.groups\.([a-z0-9_]+)\]$")
_NAME = re.compile(r'^name *= *"([^"\n]*)"', re.MULTILINE)
_SHAPE = ("transform", "cap", "half_life")  # a map is never bent


def with_scorecard(text: str, card: ScorecardSpec, bands: BandsSpec, version: str) -> str:
    """Return a spec's text with another scorecard, bands and version; all else stays as written.

    The terms of the card that the text has must come first, in the order of the text.

    Raises SpecError when the text is not written one key a line, or the result is not the spec
    that was meant: then nothing is proposed, rather than something else.

    >>> from whyrank.spec.load import load_spec, spec_text
    >>> spec, text = load_spec("saas"), spec_text("saas")
    >>> with_scorecard(text, spec.scorecard, spec.bands, spec.version) == text
    True
    """
    meant = parse_spec(text, "the spec").model_copy(
        update={"scorecard": card, "bands": bands, "version": version}
    )
    found = parse_spec(_rewritten(text, card, bands, version), "the calibrated spec")
    if found != meant:
        raise SpecError(
            "scorecard: its terms cannot be rewritten: write each of them as [[scorecard.terms]], "
            "and each key of a term, a group and of [bands] on a line of its own"
        )
    return _rewritten(text, card, bands, version)


def _rewritten(text: str, card: ScorecardSpec, bands: BandsSpec, version: str) -> str:
    starts = [match.start() for match in _HEADER.finditer(text)]
    cuts = [0, *starts, len(text)] if starts[:1] != [0] else [*starts, len(text)]
    tables = [text[start:end] for start, end in pairwise(cuts)]
    terms = {term.name: term for term in card.terms}
    last = max((p for p, table in enumerate(tables) if _header(table) == _TERM), default=-1)
    pieces = []
    for place, table in enumerate(tables):
        body, tail = _parts(table)
        group = _GROUP.match(_header(table))
        if _header(table) == _TERM:
            named = _NAME.search(body)
            term = terms.pop(named[1], None) if named else None
            body = _with_shape(body, term) if term else ""
        elif group:
            kept = card.groups.get(group[1])
            body = _with_key(body, "cap", written(kept.cap)) if kept else ""
        elif _header(table) == "[bands]":
            body = _with_key(body, "medium", written(bands.medium))
            body = _with_key(body, "high", written(bands.high))
        if place == last:
            blocks = [part for part in (body, *map(_block, terms.values())) if part]
            body = "\n\n".join(blocks)
        pieces.append(body + tail if body else tail.lstrip("\n"))
    made = "".join(pieces)
    return re.sub(
        r'^version = ".*"$', lambda _: f"version = {quoted(version)}", made, count=1,
        flags=re.MULTILINE,
    )  # fmt: skip


def _header(table: str) -> str:
    return table.split("\n", 1)[0].rstrip()


def _parts(table: str) -> tuple[str, str]:
    """Return a table up to its last key, and what follows: comments there belong to the next."""
    lines = table.split("\n")
    end = len(lines)
    while end > 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return "\n".join(lines[:end]), "".join(f"\n{line}" for line in lines[end:])


def _with_shape(body: str, term: TermSpec) -> str:
    made = _with_key(body, "points", written(term.points))
    for key in reversed(_SHAPE):
        value = getattr(term, key)
        said = None if value is None else quoted(value) if key == "transform" else number(value)
        made = _with_key(made, key, said)
    return made


def _with_key(body: str, key: str, value: str | None) -> str:
    """Return a table with a key of this value; new ones follow the transform; None removes it."""
    line = re.compile(rf"^{key} *= *([^\n#]*[^\n#\s])", re.MULTILINE)
    match = line.search(body)
    if value is None:
        return re.sub(rf"^{key} *=[^\n]*\n?", "", body, count=1, flags=re.MULTILINE).rstrip("\n")
    if match is None:
        after = re.compile(r"^transform *=[^\n]*$", re.MULTILINE)
        return after.sub(lambda found: f"{found[0]}\n{key} = {value}", body, count=1)
    if _same(match[1], value):
        return body
    return body[: match.start()] + f"{key} = {value}" + body[match.end() :]


def _same(one: str, other: str) -> bool:
    try:
        return float(one.replace("_", "")) == float(other)
    except ValueError:
        return one == other


def _block(term: TermSpec) -> str:
    lines = [
        _TERM,
        f"name = {quoted(term.name)}",
        f"feature = {quoted(term.feature)}",
        f"points = {written(term.points)}",
        f"transform = {quoted(term.transform)}",
    ]
    lines += [
        f"{key} = {number(getattr(term, key))}"
        for key in _SHAPE[1:]
        if getattr(term, key) is not None
    ]
    return "\n".join([*lines, f"reason = {quoted(term.reason)}"])
