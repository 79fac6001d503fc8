"""init: a commented spec for a stranger's events, to be edited."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import duckdb
from jinja2 import Environment, StrictUndefined

from ..database import connect_duckdb
from ..errors import DataError, UsageError
from ..features.compiler import compile_features
from ..files import atomic_write
from ..spec.expressions import quote_name
from ..spec.load import parse_spec
from ..spec.references import suggest
from ..warehouse.landing.sources import open_source

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
FITTING_SHARE = 0.9
EPOCHS = ((1e8, 1e10, "epoch_s"), (1e11, 1e13, "epoch_ms"), (1e14, 1e16, "epoch_us"))
DATE_PATTERNS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y%m%d")
CLOCK_PATTERNS = (" %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", "")


@dataclass(frozen=True)
class Drafted:
    """A spec that init wrote, and which column it took for what."""

    path: Path
    mapping: Mapping[str, str]
    target: str
    time_format: str
    notes: tuple[str, ...]


def init(
    events: Path,
    out: Path,
    *,
    target: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Drafted:
    """Write a spec for a file of events: columns mapped by their names, events listed, and a
    first set of features and points to edit.

    target: the event that counts as converted; guessed from the names when None. columns: which
    column holds what ("user_id", "event_time", "event_name"), for those not to be guessed.

    Raises UsageError when `out` exists, a column that was named is not there, or no target can be
    guessed, DataError when no column could be the user, the time or the event.
    """
    if out.exists():
        raise UsageError(f"{out} exists already: name another file with --out")
    with connect_duckdb() as con, open_source(con, events) as opened:
        con.execute(
            f"create temp table rows as select * from {opened.relation} limit {SAMPLE_ROWS}"
        )
        names = list(opened.fields.columns) or _json_names(con)
        mapping = _guess(names, columns or {}, str(events))
        fields = {key: opened.fields.sql(name) or quote_name(name) for key, name in mapping.items()}
        con.execute(
            f"create temp table sample as select cast({fields['event_name']} as varchar) as name, "
            f"cast({fields['event_time']} as varchar) as time from rows"
        )
        counted = con.execute(
            "select name, count(*) from sample where name <> '' group by name "
            f"order by count(*) desc, name limit {MOST_EVENTS}"
        ).fetchall()
        time_format, notes = _time_format(con)
    chosen = _target([str(name) for name, _ in counted], target)
    text = _draft(out, mapping, counted, chosen, time_format)
    compile_features(parse_spec(text, str(out)))
    with atomic_write(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Drafted(out, mapping, chosen, time_format, notes)


def _guess(names: Sequence[str], given: Mapping[str, str], where: str) -> dict[str, str]:
    """Match the contract's columns to a file's by their names; each is used once."""
    for key, name in given.items():
        if name not in names:
            raise UsageError(
                f"{where}: there is no column {name!r} ({key}); {suggest(name, names)}"
            )
    plain = {re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"): name for name in names}
    mapping = dict(given)
    for key, candidates in CANDIDATES.items():
        if key in mapping:
            continue
        for candidate in candidates:
            if candidate in plain and plain[candidate] not in mapping.values():
                mapping[key] = plain[candidate]
                break
        if key in REQUIRED and key not in mapping:
            raise DataError(
                f"{where}: no column looks like {key} (looked for {', '.join(candidates[:5])} …); "
                f"the file has: {', '.join(names)}. Name it with --{key.replace('_', '-')}"
            )
    return mapping


def _json_names(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the keys of the objects in the sample, in the order in which they appear."""
    found = con.execute(
        "select key from (select unnest(json_keys(f0)) as key, line from rows"
        " where reason is null and try(json_type(f0)) = 'OBJECT')"
        " group by key order by min(line), key"
    ).fetchall()
    return [str(name) for (name,) in found]


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


def _time_format(con: duckdb.DuckDBPyConnection) -> tuple[str, tuple[str, ...]]:
    """Return the format that reads the sample's times, and what there is to say about it.

    A format will do when it reads nine in ten: single bad rows go to quarantine later.
    """
    patterns = [day + clock for day in DATE_PATTERNS for clock in CLOCK_PATTERNS]
    tried = ", ".join(f"count(try_strptime(time, '{pattern}'))" for pattern in patterns)
    found = con.execute(
        "select count(*), mode(time), median(try_cast(time as double)),"
        f" count(try_cast(time as timestamptz)), {tried} from sample where time <> ''"
    ).fetchone()
    rows, example, number, iso, *counts = found or (0, None, None, 0)
    enough = FITTING_SHARE * rows
    if iso >= enough:
        return "iso", ()
    for low, high, name in EPOCHS:
        if number is not None and low <= number < high:
            return name, ()
    best = max(counts)
    fitting = [pattern for pattern, n in zip(patterns, counts, strict=True) if n == best]
    if best < enough:
        return "iso", (
            f"times such as {example!r} are in no format that init knows: set time_format",
        )
    if len(fitting) > 1:
        choices = " and ".join(fitting)
        note = f"times such as {example!r} fit {choices}: the first was taken, see time_format"
        return fitting[0], (note,)
    return fitting[0], ()


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
