"""init: a commented spec for a stranger's events, to be edited."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from ..database import connect_duckdb
from ..errors import UsageError
from ..events.guess import guess_columns, guess_time_format, json_names
from ..features.compiler import compile_features
from ..files import atomic_write
from ..spec.expressions import quote_name
from ..spec.load import parse_spec
from ..spec.references import suggest
from ..spec.written import quoted
from ..warehouse.landing.sources import open_source

TARGET_WORDS = re.compile(
    r"purchase|order|book|subscri|checkout|paid|payment|convert|signup|sign_up"
)
MOST_EVENTS = 40
SAMPLE_ROWS = 200_000


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
        names = list(opened.fields.columns) or json_names(con)
        mapping = guess_columns(names, columns or {}, str(events))
        fields = {key: opened.fields.sql(name) or quote_name(name) for key, name in mapping.items()}
        con.execute(
            f"create temp table sample as select cast({fields['event_name']} as varchar) as name, "
            f"cast({fields['event_time']} as varchar) as time from rows"
        )
        counted = con.execute(
            "select name, count(*) from sample where name <> '' group by name "
            f"order by count(*) desc, name limit {MOST_EVENTS}"
        ).fetchall()
        time_format, notes = guess_time_format(con)
    chosen = _target([str(name) for name, _ in counted], target)
    text = _draft(out, mapping, counted, chosen, time_format)
    compile_features(parse_spec(text, str(out)))
    with atomic_write(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Drafted(out, mapping, chosen, time_format, notes)


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
    environment.filters["toml"] = quoted
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
