"""Expressions of a spec: what is allowed, and that nothing else gets through."""

from __future__ import annotations

import duckdb
import pytest

from whyrank.errors import SpecError
from whyrank.spec.expressions import ExpressionSql, quote_name, quote_text

COLUMNS = ["a", "b", "name", "properties"]


@pytest.mark.parametrize(
    "text",
    [
        "a / nullif(b, 0)",
        "case when a > 3 then 1 else 0 end",
        "coalesce(a, 0) + greatest(a, b, 1)",
        "name in ('x', 'y') and not (a between 1 and 2)",
        "name like 'x%' or name is null",
        "round(ln(a + 1), 2)",
        "concat(name, ' ', a)",
        "name || 'x'",
        "cast(a as bigint) % 2 = 0",
        "-a",
    ],
)
def test_ordinary_expressions_run_and_mean_the_same(text: str) -> None:
    made = ExpressionSql(text, COLUMNS, "here").sql(lambda column: f"t.{column}")
    source = "(values (2.5, 4, 'x'), (null, 0, 'zed'), (7, 2, null)) as t(a, b, name)"
    with duckdb.connect() as con:
        assert (
            con.execute(f"select {made} from {source}").fetchall()
            == con.execute(f"select {text} from {source}").fetchall()
        )


@pytest.mark.parametrize(
    "text",
    [
        "a; drop table users",
        "(select max(a) from t)",
        "a in (select 1)",
        "exists (select 1)",
        "sum(a) over ()",
        "sum(a)",
        "read_csv('/etc/passwd')",
        "getenv('HOME')",
        "pg_sleep(9)",
        "a.b.c",
        "other.a",
        "$1",
        "?",
        "*",
        "",
        "a b c",
        "cast(a as json)",
        "a = any(b)",
        "a -- comment\n; select 1",
        "x'41'",
        "[1, 2][1]",
        "{'a': 1}",
        "list_transform([1], x -> x)",
        "current_user",
        "(" * 400 + "a" + ")" * 400,
        " + ".join(["a"] * 400),
        "a" * 3000,
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="^here: "):
        ExpressionSql(text, COLUMNS, "here")


def test_a_misspelt_column_gets_a_suggestion() -> None:
    with pytest.raises(SpecError, match="no column 'nmae' here; did you mean 'name'"):
        ExpressionSql("nmae = 'x'", COLUMNS, "here")


def test_columns_and_properties_are_found() -> None:
    made = ExpressionSql("properties.color = 'red' and a > b", COLUMNS, "here")
    assert made.columns == ("properties.color", "a", "b")


@pytest.mark.parametrize("text", ["it's", 'a"b', "'; drop table x; --", "\\", "", "ünï\x00"])
def test_quoting_survives_the_database(text: str) -> None:
    with duckdb.connect() as con:
        if "\x00" not in text:
            assert con.execute(f"select {quote_text(text)}").fetchone() == (text,)
        if text and "\x00" not in text:
            described = con.execute(f"select 1 as {quote_name(text)}").description
            assert described[0][0] == text
