"""Properties that a load into Postgres accepts are JSON that Postgres reads as DuckDB does."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import duckdb
import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.tiny_log import tiny_spec
from whyrank.warehouse.engines.postgres.warehouse import PostgresWarehouse

from .conftest import Server

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres-files")]
SPEC = tiny_spec()
NOW = datetime(2026, 6, 1)
DEEP = 1000
ODD = (
    "NaN", "nan", "-Infinity", "inf", "1e999", "-0", "1.50", "01", ".5", "0x1", "1_0", "nul",
    '"\\u0000"', '"\\\\u0000"', '"\\\\\\u0000x"', '"\\ud800"', '"\\udc00a"', '"\\ud83d\\ude00"',
    '"\\x41"', '"\t"', '"\x7f"', '"NaN"', '"a: NaN"', '"a,}"', '"[inf,"', "'a'", '"\ufeff"',
    "[1,]", "[,]", '[1, "" ]', '{"a": 1,}', '["a",\n]', '{"a": 1, "a": 2}', "{}", "[]", "/**/1",
    '"' + "x," * 2000 + '"', "[" * 999 + "]" * 999, "[" * 1000 + "]" * 1000,
    "[" + "[], " * 1500 + "[]]", '{"a":' * 1200 + "1" + "}" * 1200, '"' + "[" * 3000 + '"',
)  # fmt: skip
PIECES = ('"', "\\", "\\u0000", ",", "}", "]", "[", "{", ":", "NaN", "inf", "1", " ", "a", '"k"')
VALUES = st.one_of(
    st.sampled_from(ODD),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.text(max_size=6).map(json.dumps),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=4)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    ).map(json.dumps),
)
KEYS = st.sampled_from(['"k"', '"\\u006b"', '"j"', '"NaN"', '","', '"\\u0000"', "k"])
OBJECTS = st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=3).map(
    lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
)


@contextmanager
def deep() -> Iterator[None]:
    """Let Python's reader go as deep as these texts do."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)


def depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, inner), default=0) if isinstance(value, dict | list) else 0


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def refused(word: str) -> object:
    raise ValueError(word)


def is_sound(text: str) -> bool:
    """By Python's reader: an object of JSON, its text storable, its own keys different."""
    try:
        nested = json.loads(text, parse_constant=refused, parse_int=str, parse_float=str)
        top = json.JSONDecoder(object_pairs_hook=lambda pairs: pairs).decode(text)
        unique(top)
        json.dumps(nested, ensure_ascii=False).encode()  # no half of a surrogate pair
    except (ValueError, UnicodeEncodeError):
        return False
    whole = json.dumps(nested).replace("\\\\", "")
    return isinstance(nested, dict) and "\\u0000" not in whole and depth(nested) <= DEEP


@pytest.fixture(scope="module")
def store(postgres: Server) -> PostgresWarehouse:
    return PostgresWarehouse(postgres.new_database())


def load_objects(
    store: PostgresWarehouse, texts: list[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Load events with these properties; return those that were accepted, and others' reasons."""
    rows = pd.DataFrame(
        {
            "event_id": [str(i) for i in range(len(texts))],
            "user_id": "u",
            "event_time": datetime(2026, 3, 1),
            "event_name": "view",
            "properties": texts,
        }
    )
    with psycopg.connect(store.uri, autocommit=True) as con:
        con.execute("drop schema if exists tiny_landing cascade")
    with store.loader() as loader:
        loader.con.register("arriving", rows)
        loader.load(SPEC, "arriving", now=NOW)
    with psycopg.connect(store.uri) as con:
        taken = con.execute("select event_id, properties from tiny_landing.events").fetchall()
        others = con.execute("select line, reason from tiny_landing.quarantine").fetchall()
    assert len(taken) + len(others) == len(texts)
    return dict(taken), {texts[line - 1]: reason for line, reason in others}


@settings(
    max_examples=examples(13), deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow,
                           HealthCheck.data_too_large],
)  # fmt: skip
@given(texts=st.lists(OBJECTS, min_size=30, max_size=60))
def test_what_is_accepted_is_read_alike(store: PostgresWarehouse, texts: list[str]) -> None:
    texts = [*texts, *(f'{{"k": {value}}}' for value in ODD)]
    taken, reasons = load_objects(store, texts)
    for place, text in enumerate(texts):
        with deep():
            sound = is_sound(text)
        assert (str(place) in taken) == sound, (text[:200], reasons.get(text))
    with psycopg.connect(store.uri) as con, duckdb.connect() as duck:
        for text in taken.values():
            for key in ("k", "j", "NaN"):
                there = con.execute(
                    "select json_extract_path_text(cast(%s as json), %s)", [text, key]
                ).fetchone()
                here = duck.execute(
                    "select json_extract_string(?, ?)", [text, f'$."{key}"']
                ).fetchone()
                assert there
                assert here
                assert same_text(here[0], there[0]), text


def same_text(here: str | None, there: str | None) -> bool:
    """Whether both are the same text, or JSON that is spelt in two ways."""
    if here == there or here is None or there is None:
        return here == there
    if len(here) > DEEP:
        return re.sub(r"\s", "", here) == re.sub(r"\s", "", there)
    return bool(json.loads(here) == json.loads(there))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", "properties holds NaN or Infinity, which are not JSON"),
        ("[-Infinity]", "properties holds NaN or Infinity, which are not JSON"),
        ("[1,]", "properties has a comma before a closing bracket, which is not JSON"),
        ('"\\u0000"', "properties holds \\u0000, which Postgres cannot store"),
        ('1, "k": 2', "properties names a key twice"),
        ("[" * 1000 + "]" * 1000, "properties has more than 1000 objects or lists one inside "
                                  "the other"),
    ],
)  # fmt: skip
def test_each_reason(store: PostgresWarehouse, value: str, reason: str) -> None:
    taken, reasons = load_objects(store, ['{"k": 1}', f'{{"k": {value}}}'])
    assert list(taken.values()) == ['{"k": 1}']
    assert list(reasons.values()) == [reason]
