"""Expressions of a spec: what is allowed, and that nothing else gets through."""

from __future__ import annotations

import math
from collections.abc import Callable

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from whyrank.errors import SpecError
from whyrank.spec.defined import finite
from whyrank.spec.expressions import ExpressionSql, quote_name, quote_text, quote_value

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


NUMBERS = st.one_of(
    st.none(),
    st.sampled_from(
        [0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, 709.0, 710.0, -800.0, 1e18, 1e300, 1e-300]
    ),
    st.floats(-50, 50),
)
UNDEFINED: dict[str, Callable[[float, float], float]] = {
    "a / b": lambda a, b: a / b,
    "a % b": math.fmod,
    "ln(a)": lambda a, _: math.log(a),
    "log(a)": lambda a, _: math.log10(a),
    "log(a, b)": lambda a, b: math.log(b) / math.log(a),
    "sqrt(a)": lambda a, _: math.sqrt(a),
    "exp(a)": lambda a, _: math.exp(a),
    "pow(a, b)": math.pow,
    "cast(a * b as bigint)": lambda a, b: whole(a * b),
    "ln(a / b) / (a - b)": lambda a, b: math.log(a / b) / (a - b),
    "exp(exp(a))": lambda a, _: math.exp(math.exp(a)),
    "case when a > 0 then ln(a) else 0 end": lambda a, _: math.log(a) if a and a > 0 else 0.0,
}


def whole(value: float) -> float:
    if not -(2**63) <= value < 2**63:
        raise OverflowError
    return float(round(value))


@pytest.mark.parametrize("text", UNDEFINED)
@settings(max_examples=examples(10))
@given(rows=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30))
def test_what_has_no_finite_value_is_null_and_stops_no_other_row(
    text: str, rows: list[tuple[float | None, float | None]]
) -> None:
    """Of each row: what Python computes, and null where it raises or overflows."""
    made = ExpressionSql(text, COLUMNS, "here")
    assert made.partial == (text != "cast(a * b as bigint)")
    listed = ", ".join(f"({quote_value(a)}::double, {quote_value(b)}::double)" for a, b in rows)
    with duckdb.connect() as con:
        found = con.execute(
            f"select {finite(made.sql(str))} from (values {listed}) as t(a, b)"
        ).fetchall()
    for (a, b), (value,) in zip(rows, found, strict=True):
        try:
            expected: float | None = UNDEFINED[text](a, b)  # type: ignore[arg-type]
        except (ArithmeticError, ValueError, TypeError):
            expected = None
        if expected is None or not math.isfinite(expected):
            assert value is None, (a, b, value)
        elif expected > MOST:  # what lies so near the limit may be taken for beyond it
            assert value is None or value == pytest.approx(expected, rel=1e-9)
        elif text == "a % b":  # of floats, inexact where a is many times b
            assert abs(value) < abs(b or 0) * (1 + 1e-9)
        else:
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-300), (a, b)


MOST = 1e306


def test_powers_of_powers_are_refused_before_they_grow() -> None:
    text = "a"
    for _ in range(30):
        text = f"pow({text}, b)"
    with pytest.raises(SpecError, match=r"^here: expression is too large: pow\(\)"):
        ExpressionSql(text, COLUMNS, "here")
