"""init: a commented spec for a stranger's events, to be edited."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import duckdb
from jinja2 import Environment, StrictUndefined

from ..errors import DataError, UsageError
from ..features.compiler import compile_features
from ..files import replacing
from ..spec.expressions import quote_name
from ..spec.load import parse_spec
from ..spec.references import suggest
from ..warehouse.sources import open_source

CANDIDATES: dict[str, tuple[str, ...]] = {
    "user_id": ("user_id", "userid", "user", "customer_id", "customer", "visitor_id", "uid",
                "client_id", "account_id", "anonymous_id", "distinct_id", "member", "email"),
    "event_time": ("event_time", "timestamp", "time", "ts", "datetime", "created_at",
                   "occurred_at", "event_timestamp", "date", "when"),
    "event_name": ("event_name", "event", "event_type", "action", "name", "type", "activity"),
    "event_id": ("event_id", "insert_id", "message_id", "uuid", "id"),
    "value": ("value", "amount", "revenue", "price", "total"),
    "platform": ("platform", "os"),
    "device": ("device", "device_type"),
    "geo": ("geo", "country", "region", "location"),
}  # fmt: skip
REQUIRED = ("user_id", "event_time", "event_name")
TARGET_WORDS = re.compile(
    r"purchase|order|book|subscri|checkout|paid|payment|convert|signup|sign_up"
)
MOST_EVENTS = 40
SAMPLE_ROWS = 200_000
EPOCHS = ((1e8, 1e10, "epoch_s"), (1e11, 1e13, "epoch_ms"), (1e14, 1e16, "epoch_us"))


@dataclass(frozen=True)
class Drafted:
    """A spec that init wrote, and which column it took for what."""

    path: Path
    mapping: Mapping[str, str]
    target: str


def init(events: Path, out: Path, *, target: str | None = None) -> Drafted:
    """Write a spec for a file of events: columns mapped by their names, events listed, and a
    first set of features and points to edit.

    target: the event that counts as converted; guessed from the names when None.

    Raises UsageError when `out` exists or no target can be guessed, DataError when the file has
    no column that could be the user, the time or the event.
    """
    if out.exists():
        raise UsageError(f"{out} exists already: name another file with --out")
    with duckdb.connect() as con, open_source(con, events) as opened:
        names = list(opened.fields.columns) or _json_names(con, opened.relation)
        mapping = _guess(names, str(events))
        columns = {
            key: opened.fields.sql(name) or quote_name(name) for key, name in mapping.items()
        }
        con.execute(
            f"create temp table sample as select cast({columns['event_name']} as varchar) as name, "
            f"cast({columns['event_time']} as varchar) as time from {opened.relation} "
            f"limit {SAMPLE_ROWS}"
        )
        counted = con.execute(
            "select name, count(*) from sample where name <> '' group by name "
            f"order by count(*) desc, name limit {MOST_EVENTS}"
        ).fetchall()
        found = con.execute("select any_value(time) from sample where time <> ''").fetchone()
    chosen = _target([str(name) for name, _ in counted], target)
    text = _draft(out, mapping, counted, chosen, _time_format(str(found[0] if found else "")))
    compile_features(parse_spec(text, str(out)))
    with replacing(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Drafted(out, mapping, chosen)


def _guess(names: Sequence[str], where: str) -> dict[str, str]:
    """Match the contract's columns to a file's by their names; each is used once."""
    plain = {re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"): name for name in names}
    mapping: dict[str, str] = {}
    for key, candidates in CANDIDATES.items():
        for candidate in candidates:
            if candidate in plain and plain[candidate] not in mapping.values():
                mapping[key] = plain[candidate]
                break
        if key in REQUIRED and key not in mapping:
            raise DataError(
                f"{where}: no column looks like {key} (looked for {', '.join(candidates[:5])} …); "
                f"the file has: {', '.join(names)}. Rename one, or write the spec by hand: "
                "docs/guides/your-own-events.md"
            )
    return mapping


def _json_names(con: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    found = con.execute(f"select json_keys(f0) from {relation} limit 1").fetchone()
    return [str(name) for name in found[0]] if found else []


def _target(events: Sequence[str], target: str | None) -> str:
    if target is not None:
        if target not in events:
            raise UsageError(
                f"--target {target!r} is not among the events; {suggest(target, events)}"
            )
        return target
    for name in reversed(events):
        if TARGET_WORDS.search(name.lower()):
            return name
    raise UsageError(
        "no event looks like a conversion: name one with --target; the file has "
        + ", ".join(events)
    )


def _time_format(example: str) -> str:
    try:
        number = float(example)
    except ValueError:
        return "iso"
    for low, high, name in EPOCHS:
        if low <= number < high:
            return name
    return "iso"


def _draft(
    out: Path,
    mapping: Mapping[str, str],
    counted: Sequence[tuple[str, int]],
    target: str,
    time_format: str,
) -> str:
    template = (resources.files("whyrank.pipeline") / "init_spec.toml.jinja").read_text("utf-8")
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the output is TOML; every text goes through `toml`
    )  # fmt: skip
    environment.filters["toml"] = _toml
    events = [
        {"event": name, "count": count, "feature": slug}
        for (name, count), slug in zip(counted, _slugs([n for n, _ in counted]), strict=True)
    ]
    others = [event for event in events if event["event"] != target][:3]
    share, rest = divmod(45, len(others)) if others else (0, 0)
    points = [share + (1 if i < rest else 0) for i in range(len(others))]
    return environment.from_string(template).render(
        name=_slugs([out.stem])[0],
        mapping=mapping,
        events=events,
        scored=list(zip(others, points, strict=True)),
        alone=0 if others else 45,
        target=target,
        time_format=time_format,
    )


def _slugs(names: Sequence[str]) -> list[str]:
    """Make names of features out of any texts; clashes get a number."""
    made: list[str] = []
    for name in names:
        base = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:36] or "event"
        base = base if base[0].isalpha() else f"e_{base}"
        slug, n = base, 2
        while slug in made:
            slug, n = f"{base}_{n}", n + 1
        made.append(slug)
    return made


def _toml(text: str) -> str:
    """Write a text as a TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'
    )
