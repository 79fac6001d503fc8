"""Rewrite the scorecard of a spec's text: points, shapes and caps, terms dropped and added, bands.

Everything else stays as a person wrote it: comments, order, quoting, line ends.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import (
    AbstractTable,
    AoT,
    Array,
    InlineTable,
    Item,
    Key,
    String,
    Table,
    Whitespace,
)

from ..errors import SpecError
from .load import BOM, parse_spec
from .scorecard import BandsSpec, ScorecardSpec, TermSpec
from .written import number, quoted

Body = list[tuple[Key | None, Item]]
_SHAPE = ("cap", "half_life")  # a map is never changed
_TERMS = ("scorecard", "terms")
_REFUSED = (
    "scorecard: its terms cannot be rewritten: write each of them as [[scorecard.terms]], and each "
    "key of a term, a group and of [bands] on a line of its own"
)


def with_scorecard(text: str, card: ScorecardSpec, bands: BandsSpec, version: str) -> str:
    """Return a spec's text with another scorecard, bands and version; all else stays as written.

    The terms of the card that the text has must come first, in the order of the text. A comment
    after a table's last key belongs to what follows, and stays where the table is dropped.

    Raises SpecError when the result is not the spec that was meant: then nothing is proposed,
    rather than something else.

    >>> from whyrank.spec.load import load_spec, spec_text
    >>> spec, text = load_spec("saas"), spec_text("saas")
    >>> with_scorecard(text, spec.scorecard, spec.bands, spec.version) == text
    True
    """
    meant = parse_spec(text, "the spec").model_copy(
        update={"scorecard": card, "bands": bands, "version": version}
    )
    try:
        rewritten = _rewritten(text, card, bands, version)
    except TOMLKitError as error:
        raise SpecError(f"{_REFUSED} ({error})") from None
    if parse_spec(rewritten, "the calibrated spec") != meant:
        raise SpecError(_REFUSED)
    return rewritten


def _rewritten(text: str, card: ScorecardSpec, bands: BandsSpec, version: str) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    ended = text.endswith("\n")
    tables = _tables(text.removeprefix(BOM) + ("" if ended else newline))
    documents = [tomlkit.parse(table) for table in tables]
    _set(documents[0], "version", quoted(version))
    for document in documents:
        for table in _items(document.body, ("bands",)):
            for key, value in (("medium", bands.medium), ("high", bands.high)):
                if isinstance(table, AbstractTable) and key in table:
                    _set(table, key, points_text(value))
        _rewrite_groups(document.body, card)
    _rewrite_terms(documents, card.terms, newline)
    made = "".join(document.as_string() for document in documents)
    made = made if ended else made.removesuffix(newline)
    return BOM + made if text.startswith(BOM) else made


def _tables(text: str) -> list[str]:
    """Return the text cut before every header, so that each part is TOML of its own.

    tomlkit would put the parts of a table together that a text has in several places. Headers of
    tables inside a term stay with the term.
    """
    parts = [""]
    for line in text[: text.rindex("\n")].split("\n"):
        if line.lstrip(" \t").startswith("[") and _is_whole(parts[-1]):
            path = _path_of(line.strip())
            if path[:2] != _TERMS or path == _TERMS:
                parts.append("")
        parts[-1] += f"{line}\n"
    return parts


def _is_whole(text: str) -> bool:
    """Whether a text is TOML: if not, it ends inside an array or a string of several lines."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _path_of(header: str) -> tuple[str, ...]:
    """Return the names in a table's header.

    >>> _path_of('[[ scorecard."terms" ]]  # of May')
    ('scorecard', 'terms')
    """
    inner: Any = tomllib.loads(header)
    path = []
    while inner:
        ((name, inner),) = inner.items()
        path.append(name)
        inner = inner[0] if isinstance(inner, list) else inner
    return tuple(path)


def _items(body: Body, path: Sequence[str]) -> Iterator[Item]:
    """Yield what is at a path."""
    for key, item in body:
        if key is None or key.key != path[0]:
            continue
        if len(path) == 1:
            yield item
        elif isinstance(item, AbstractTable):
            yield from _items(item.value.body, path[1:])


def _rewrite_groups(document: Body, card: ScorecardSpec) -> None:
    for groups in _items(document, ("scorecard", "groups")):
        if not isinstance(groups, AbstractTable):
            continue
        for place, (key, group) in enumerate(groups.value.body):
            if key is None or not isinstance(group, AbstractTable):
                continue
            if key.key in card.groups and "cap" in group:
                _set(group, "cap", points_text(card.groups[key.key].cap))
            elif key.key not in card.groups and isinstance(groups, InlineTable):
                groups.remove(key)
            elif key.key not in card.groups:
                tail = _cut_tail(group.value.body)
                groups.value.body[place] = (None, Whitespace(tail.lstrip("\r\n")))


def _rewrite_terms(
    documents: Sequence[TOMLDocument], terms: Sequence[TermSpec], newline: str
) -> None:
    pieces = [
        (document, piece)
        for document in documents
        for piece in _items(document.body, _TERMS)
        if isinstance(piece, AoT | Array)
    ]
    known = {str(term["name"]) for _, piece in pieces for term in piece}
    wanted = {term.name: term for term in terms}
    new = [term for term in terms if term.name not in known]
    for number_of, (document, piece) in enumerate(pieces, 1):
        added = new if number_of == len(pieces) else []
        if isinstance(piece, Array):
            _rewrite_array(piece, wanted, added)
        else:
            _rewrite_term(document, piece[0], wanted, added, newline)


def _rewrite_term(
    document: TOMLDocument,
    table: Table,
    wanted: Mapping[str, TermSpec],
    added: Sequence[TermSpec],
    newline: str,
) -> None:
    """Rewrite one [[scorecard.terms]], all that its document holds, and put new ones after it."""
    term = wanted.get(str(table["name"]))
    tail = _cut_tail(document.body)
    blocks = [newline.join(["[[scorecard.terms]]", *_pairs(new), ""]) for new in added]
    if term is None:
        document.body.clear()
        tail = tail if blocks else tail.lstrip("\r\n")
    else:
        _set_term(table, term, newline)
        blocks.insert(0, "")
    document.body.append((None, Whitespace(newline.join(blocks) + tail)))


def _rewrite_array(piece: Array, wanted: Mapping[str, TermSpec], added: Sequence[TermSpec]) -> None:
    """Rewrite terms = [{ ... }, ...]."""
    for place in reversed(range(len(piece))):
        term = wanted.get(str(piece[place]["name"]))
        if term is None:
            del piece[place]
        else:
            _set_term(piece[place], term, "")
    for term in added:
        piece.append(tomlkit.value(f"{{ {', '.join(_pairs(term))} }}"))


def _set_term(table: AbstractTable, term: TermSpec, newline: str) -> None:
    """Give a term its points and shape; a key that it had not follows its transform."""
    _set(table, "points", points_text(term.points))
    _set(table, "transform", quoted(term.transform))
    for key in _SHAPE:
        value = getattr(term, key)
        if value is None and key in table:
            table.remove(key)
        elif key in table:
            _set(table, key, number(value))
        elif value is not None and isinstance(table, InlineTable):
            table.append(key, tomlkit.value(number(value)))
        elif value is not None:
            trivia = table["transform"].trivia
            trivia.trail = f"{newline}{trivia.indent}{key} = {number(value)}{trivia.trail}"


def _set(table: MutableMapping[str, Any], key: str, text: str) -> None:
    """Set a key to a value that is written so, unless it has that value however written."""
    old, new = table.get(key), tomlkit.value(text)
    if old == new:
        return
    if isinstance(old, String) and old.as_string().startswith("'") and "'" not in text:
        new = tomlkit.string(str(new), literal=True)
    table[key] = new


def _cut_tail(body: Body) -> str:
    """Take the comments and blank lines after a table's last key from it, and return them."""
    body = _last_body(body)
    end = len(body)
    while end and body[end - 1][0] is None:
        end -= 1
    text = "".join(item.as_string() for _, item in body[end:])
    del body[end:]
    return text


def _last_body(body: Body) -> Body:
    """Return the body that a text ends in: of its last table, where it has one."""
    last = body[-1][1] if body else None
    last = last.body[-1] if isinstance(last, AoT) else last
    return _last_body(last.value.body) if isinstance(last, Table) else body


def _pairs(term: TermSpec) -> list[str]:
    """Return a term as keys and values."""
    shape = [(key, getattr(term, key)) for key in _SHAPE]
    return [
        f"name = {quoted(term.name)}",
        f"feature = {quoted(term.feature)}",
        f"points = {points_text(term.points)}",
        f"transform = {quoted(term.transform)}",
        *(f"{key} = {number(value)}" for key, value in shape if value is not None),
        f"reason = {quoted(term.reason)}",
    ]


def points_text(value: float) -> str:
    """Write points, in hundredths at the finest.

    >>> points_text(12.0), points_text(0.5)
    ('12', '0.5')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")
