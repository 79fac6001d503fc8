"""Specs: what is wrong is said with the file, the key, the value and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from whyrank.errors import SpecError
from whyrank.features.compiler import compile_features
from whyrank.spec.load import builtin_specs, load_spec, parse_spec, spec_digest, spec_text
from whyrank.spec.model import Spec


@pytest.mark.parametrize("name", builtin_specs())
def test_built_in_specs_load_and_compile(name: str) -> None:
    spec = load_spec(name)
    assert spec.name == name
    compiled = compile_features(spec)
    assert [column.name for column in compiled.features] == [f.name for f in spec.features]
    assert spec.scorecard.reachable() == pytest.approx(100)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('gap = "30m"', 'gpa = "30m"', ["sessions.gpa", "unknown key", "'gap'"]),
        ('gap = "30m"', 'gap = "30 m"', ["sessions.gap", "'30 m'", "30d"]),
        ('gap = "30m"', "gap = 30", ["sessions.gap", "30", "string"]),
        ('horizon = "30d"', 'horizon = "12h"', ["target.horizon", "'12h'", "whole number of days"]),
        ("[bands]", "[bnads]", ["bnads", "unknown key", "'bands'"]),
        ("medium = 30", "medium = 70", ["bands", "medium = 70 must be below high"]),
        ('name = "saas"', 'name = "Saas; drop"', ["name", "'Saas; drop'", "small letters"]),
        ('transform = "flag"', 'transform = "falg"', ["booked.transform", "'falg'", "'flag'"]),
        (
            'feature = "calendar_bookings"',
            'feature = "calendar_bokings"',
            ["scorecard.terms.booked", "'calendar_bookings'"],
        ),
        (
            'events = ["demo_request"]',
            'events = ["demo_requests"]',
            ["features.demo_requests", "'demo_requests'", "did you mean 'demo_request'"],
        ),
        ('require = "all"', 'require = "some"', ["target.require", "'some'"]),
        (
            'events = ["signup", "calendar_booking"]',
            'events = ["sign_up"]',
            ["target.events", "did you mean 'signup'"],
        ),
        ('name = "page_views"\n', 'name = "events"\n', ["'events' is declared twice"]),
        ('name = "page_views"\n', 'name = "user_id"\n', ["'user_id' is taken"]),
        ("cap = 30\n", "cap = 29\n", ["positive points total 99"]),
    ],
)
def test_errors_name_key_value_and_fix(old: str, new: str, words: list[str]) -> None:
    text = spec_text("saas")
    assert old in text
    with pytest.raises(SpecError) as caught:
        parse_spec(text.replace(old, new, 1), "my.toml")
    message = str(caught.value)
    assert message.startswith("my.toml: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            "cost_of_action = 2",
            "training: cost_of_action = 2 stands without value_of_conversion: write both, in one "
            "currency, or leave both out",
        ),
        (
            "value_of_conversion = 50",
            "training: value_of_conversion = 50 stands without cost_of_action: write both, in one "
            "currency, or leave both out",
        ),
        (
            "cost_of_action = -2\nvalue_of_conversion = 50",
            "training.cost_of_action: -2.0 must be above 0, an amount of money; leave both "
            "cost_of_action and value_of_conversion out to go by capacity alone",
        ),
        (
            "cost_of_action = 2\nvalue_of_conversion = 0",
            "training.value_of_conversion: 0.0 must be above 0, an amount of money; leave both "
            "cost_of_action and value_of_conversion out to go by capacity alone",
        ),
        (
            "cost_of_action = 50\nvalue_of_conversion = 50.0",
            "training: cost_of_action = 50 must be below value_of_conversion = 50, or targeting "
            "pays for nobody: write both per user, in one currency",
        ),
        (
            "cost_of_action = nan\nvalue_of_conversion = 50",
            "training.cost_of_action: nan: input should be a finite number",
        ),
        (
            "cost_of_action = true\nvalue_of_conversion = 50",
            "training.cost_of_action: True: input should be a valid number",
        ),
        (
            'cost_of_action = "2"\nvalue_of_conversion = 50',
            "training.cost_of_action: '2': input should be a valid number",
        ),
    ],
)
def test_costs_of_acting_that_decide_nothing_get_one_line(keys: str, words: str) -> None:
    text = spec_text("saas").replace("capacity = 0.10", f"capacity = 0.10\n{keys}", 1)
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "my.toml")
    assert str(caught.value) == f"my.toml: {words}"


def test_costs_of_acting_are_written_both_or_neither() -> None:
    text = spec_text("saas")
    assert parse_spec(text).training.cost_of_action is None
    keys = "capacity = 0.10\ncost_of_action = 2\nvalue_of_conversion = 49.9"
    training = parse_spec(text.replace("capacity = 0.10", keys, 1)).training
    assert (training.cost_of_action, training.value_of_conversion) == (2.0, 49.9)


def test_a_label_only_event_is_refused_in_features() -> None:
    text = spec_text("olist").replace('events = ["order_purchased"]', 'events = ["order_kept"]', 1)
    with pytest.raises(SpecError, match="label_only: it knows the future"):
        parse_spec(text)


def test_label_only_events_never_reach_features() -> None:
    spec = load_spec("olist")
    compiled = compile_features(spec)
    sql = " ".join(c.sql for c in (*compiled.event_states, *compiled.merged, *compiled.features))
    assert "order_kept" not in sql + " ".join(e.outcome or "" for e in compiled.entities)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a = ", "not valid TOML"), ("", "name: is required and missing")],
)
def test_broken_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message) as caught:
        load_spec(path)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nothing\.toml: cannot be read"):
        load_spec(tmp_path / "nothing.toml")
    (tmp_path / "latin.toml").write_bytes('name = "caf\xe9"'.encode("latin-1"))
    with pytest.raises(SpecError, match="is not UTF-8"):
        load_spec(tmp_path / "latin.toml")
    with pytest.raises(SpecError, match="did you mean 'saas'"):
        load_spec("sass")


def test_the_digest_changes_with_anything_and_with_nothing_else(saas: Spec) -> None:
    text = spec_text("saas")
    assert spec_digest(parse_spec(text)) == spec_digest(saas)
    assert spec_digest(parse_spec("# a comment\n" + text)) == spec_digest(saas)
    changed = parse_spec(text.replace("high = 55", "high = 56"))
    assert spec_digest(changed) != spec_digest(saas)


def test_training_keys_of_earlier_versions_are_read() -> None:
    text = spec_text("olist")
    earlier = {
        "snapshot_every": "every",
        "exclude": "leave_out",
        "monotone_increasing": "rising",
        "monotone_decreasing": "falling",
    }
    older = text
    for key, name in earlier.items():
        assert f"\n{key} = " in text
        older = older.replace(f"\n{key} = ", f"\n{name} = ")
    assert parse_spec(older) == parse_spec(text)
    twice = text.replace("\nsnapshot_every = ", '\nevery = "9d"\nsnapshot_every = ')
    with pytest.raises(SpecError, match=r"every is an earlier name of snapshot_every.*: remove ev"):
        parse_spec(twice)


def test_specs_are_frozen(saas: Spec) -> None:
    with pytest.raises(ValidationError):
        saas.version = "2"  # type: ignore[misc]


def test_a_population_without_a_description_is_described_by_its_condition() -> None:
    described = spec_text("olist")
    line = 'description = "customers with at least one order"\n'
    assert line in described
    assert parse_spec(described).population.in_words == "customers with at least one order"
    assert parse_spec(described.replace(line, "")).population.in_words == "users where orders > 0"
    everyone = described.replace(line, "").replace('where = "orders > 0"\n', "")
    assert parse_spec(everyone).population.in_words == "every user with an event before as_of"
