"""A spec is data: words of it that are code elsewhere (SQL, Jinja, YAML) stay words."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.spec.load import parse_spec
from whyrank.warehouse.frames import features_of
from whyrank.warehouse.open import open_warehouse

pytestmark = [pytest.mark.commands, pytest.mark.usefixtures("dbt")]
EVENTS = [
    "{{ env_var('HOME') }}",
    "{% raw %}",
    "{# gone #}",
    "<< spec >>",
    "<% if %>",
    'it\'s "it"\\',
    "-- no",
    "*/ no /*",
    "$$ ${x} %s",
    "null",
    "{",
    "日本 \u202e x",
]
# Reserved in SQL, or something else than text in YAML.
FEATURES = ["order", "select", "group", "from", "end", "user", "null", "true", "yes", "on", "case"]


def toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def hostile_spec() -> str:
    parts = ['name = "table"\nversion = "1"\ndescription = "{{ x }} {% y"\n[events]']
    parts += [
        f"{toml(event)} = {{ description = {toml('is ' + event + ' {{ x }}')} }}"
        for event in EVENTS
    ]
    parts.append(
        f'[users.attributes]\nselect = {{ static = true, description = "{{% x" }}\n'
        f'[target]\nevents = [{toml(EVENTS[0])}]\nhorizon = "5d"\ndescription = "{{{{ x }}}}"\n'
        '[population]\nwhere = "\\"select\\" >= 0"\ndescription = "{% those"'
    )
    for name, event in zip(FEATURES, EVENTS, strict=False):
        parts.append(
            f'[[features]]\nname = "{name}"\nop = "count"\nevents = [{toml(event)}]\n'
            f"description = {toml(event)}"
        )
    parts.append(
        '[[features]]\nname = "when"\nop = "latest"\ntype = "text"\ncolumn = "device"\n'
        "where = \"device <> '{{ 1 }}'\"\n"
        'null = "{{ none }}"\ndescription = "d"\n'
        '[[features]]\nname = "then"\nop = "most_frequent"\ntype = "text"\n'
        'column = "properties.k"\ndescription = "d"\n'
        '[[features]]\nname = "else"\nop = "attribute"\ntype = "text"\ncolumn = "select"\n'
        'description = "d"\n'
        '[[scorecard.terms]]\nname = "t"\nfeature = "order"\npoints = 100\n'
        'transform = "linear"\ncap = 5\nreason = "{value} {{ x }}"\n'
        "[bands]\nmedium = 20\nhigh = 60"
    )
    steps = ", ".join(toml(event) for event in EVENTS[:8])
    parts.append(
        f'[metrics]\nrevenue = [{toml(EVENTS[5])}]\n[[funnels]]\nname = "table"\nwithin = "7d"\n'
        f'steps = [{steps}]\nsegments = ["select"]\n[experiments]\nstrata = ["select"]\n'
        f'metrics = [{{ name = "group", kind = "sum", events = [{steps}], within = "2d" }}, '
        '{ name = "order", kind = "active", after = "1d", within = "2d" }]'
    )
    return "\n".join(parts)


def test_words_that_are_code_elsewhere_are_words(tmp_path: Path) -> None:
    spec = parse_spec(hostile_spec())
    events = pd.DataFrame(
        {
            "user_id": [f"u{i % 3} {{{{ x }}}}" for i in range(len(EVENTS))],
            "event_time": pd.date_range("2026-03-01", periods=len(EVENTS), freq="h"),
            "event_name": EVENTS,
            "device": ["{{ 1 }}", "{% x %}"] * (len(EVENTS) // 2),
            "experiment_id": "{{ e }}'",
            "variant": ["{% a", "-- b"] * (len(EVENTS) // 2),
            "properties": ['{"k": "{{ v }}"}'] * len(EVENTS),
        }
    )
    users = pd.DataFrame({"user_id": ["u0 {{ x }}"], "select": ["{{ y }}"]})
    events.to_parquet(tmp_path / "e.parquet")
    users.to_csv(tmp_path / "u.csv", index=False)

    store = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    loads = ingest(spec, store, events=tmp_path / "e.parquet", users=tmp_path / "u.csv")
    assert [load.quarantined for load in loads] == [0, 0]
    made = build(spec, store, check=True)
    assert len(made.tests) > 40
    rows = pq.read_table(made.published.snapshot()).to_pylist()
    assert len(rows) == 3
    for position, (name, event) in enumerate(zip(FEATURES, EVENTS, strict=False)):
        who = f"u{position % 3} {{{{ x }}}}"
        counted = {row["user_id"]: row[name] for row in rows}
        assert counted == {
            f"u{i} {{{{ x }}}}": int(f"u{i} {{{{ x }}}}" == who) for i in range(3)
        }, event
    by_user = {row["user_id"]: row for row in rows}
    assert {row["when"] for row in rows} == {"{% x %}"}
    assert {row["then"] for row in rows} == {"{{ v }}"}
    assert by_user["u0 {{ x }}"]["else"] == "{{ y }}"
    units = pq.read_table(made.published.table("experiment_units")).to_pylist()
    assert {(row["experiment_id"], row["variants"]) for row in units} == {("{{ e }}'", 2)}
    steps = pq.read_table(made.published.table("funnel_metrics")).to_pylist()
    assert [row["event_name"] for row in steps[:8]] == EVENTS[:8]
    assert {row["segment_value"] for row in steps} == {"all", "{{ y }}"}
    memory, refused = features_of(events, spec, users=users)
    assert refused == {}
    assert memory.to_pylist() == rows
