"""What a text, a number in it or a JSON object is worth is the same on DuckDB and on Postgres."""

from __future__ import annotations

import math
from collections.abc import Iterator

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from whyrank.spec.expressions import text_as
from whyrank.warehouse.dialects import translate
from whyrank.warehouse.engines.postgres.dialect import POSTGRES

from .conftest import Server

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres-files")]
QUIETLY = settings(
    max_examples=examples(100),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
BLANKS = st.sampled_from(["", "", " ", "\t", "\n", "\r", "\x0b", "\u00a0", "\u2003"])
DIGITS = st.one_of(
    st.text("0123456789", max_size=22),
    st.sampled_from(["0", "5", "49999999999999999999", "9223372036854775807", "9" * 150]),
    st.text("01_٣１½", max_size=4),
)


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Texts that are numbers, or nearly."""
    sign, point = draw(st.sampled_from(["", "", "-", "+", "+-"])), draw(st.sampled_from(["", "."]))
    power = draw(st.sampled_from(["", "", "e", "E-", "e+"]))
    power += draw(st.sampled_from(["", "0", "3", "12", "99", "308", "999", "007"])) if power else ""
    left, right = draw(DIGITS), draw(DIGITS) if point else ""
    return draw(BLANKS) + sign + left + point + right + power + draw(BLANKS)


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        yield con


@pytest.fixture(scope="module")
def con(postgres: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.new_database(), autocommit=True) as opened:
        yield opened


def on_both(
    duck: duckdb.DuckDBPyConnection, con: psycopg.Connection, sql: str, text: str
) -> tuple[object, object]:
    """What an expression over a text `t` is on either engine."""
    query = f"select {sql} as v from (select cast('TEXT' as varchar) as t) as given"
    literal = "'" + text.replace("'", "''") + "'"
    here = duck.execute(query.replace("'TEXT'", literal)).fetchone()
    there = con.execute(translate(query, POSTGRES).replace("'TEXT'", literal)).fetchone()
    assert here
    assert there
    return here[0], there[0]


@pytest.mark.parametrize(
    "kind", ["double", "bigint", "int", "decimal", "decimal(18, 6)", "boolean"]
)
@QUIETLY
@given(text=st.one_of(numbers(), st.sampled_from(
    ["inf", "-Infinity", "nan", "0x10", "1_000", "true", "T", "yes", "No", "on", " true", "tru"]
)))  # fmt: skip
@example("1e999")
@example("1e-999")
@example("9" * 400)
@example("9223372036854775807.5")
@example("-2147483648.5")
@example("999999999999.9999995")
def test_a_text_is_the_same_number_on_both(
    duck: duckdb.DuckDBPyConnection, con: psycopg.Connection, kind: str, text: str
) -> None:
    here, there = on_both(duck, con, text_as("t", kind), text)
    assert here == there


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (" 12\n", 12.0), ("+.5", 0.5), ("5.", 5.0), ("-1.5E+2", -150.0), ("1e99", 1e99),
        ("1e999", None), ("inf", None), ("NaN", None), ("0x10", None), ("1_000", None),
        ("١٢", None), ("\u00a01", None), ("1,5", None), ("", None), (".", None),
    ],
)  # fmt: skip
def test_what_is_a_number(
    duck: duckdb.DuckDBPyConnection, con: psycopg.Connection, text: str, number: float | None
) -> None:
    assert on_both(duck, con, text_as("t", "double"), text) == (number, number)


@pytest.mark.parametrize("kind", ["bigint", "int", "decimal(18, 6)"])
@QUIETLY
@given(number=st.one_of(
    st.integers(-10**6, 10**6).map(lambda n: n / 4),
    st.sampled_from([2.0**31, -(2.0**31) - 1, 2.0**62, -(2.0**63), 2.0**63, 1e12, 999999999999.5]),
    st.sampled_from([math.inf, -math.inf, math.nan, 1e300, 5e-324]),
))  # fmt: skip
def test_a_double_is_the_same_whole_number_on_both(
    duck: duckdb.DuckDBPyConnection, con: psycopg.Connection, kind: str, number: float
) -> None:
    given_as = f"cast(cast('{number}' as double) as double)"
    here, there = on_both(duck, con, f"try_cast({given_as} as {kind})", "")
    assert (here is None) == (there is None)
    assert here is None or math.isclose(here, there, rel_tol=1e-15)  # a double's own digits


@pytest.mark.parametrize(
    "sql",
    [
        "a / b",
        "case when c then 1 else a / b end",
        "case when c then a / b end",
        "case a / b when 1 then 2 else 3 end",
        "case when a / b > 1 then 1 else 0 end",
        "a / (a / b)",
        "(a / b) / (b / abs(a))",
        "a / nullif(b, 1)",
        "a / nullif(b, 0)",
        "round(a / (b / abs(a)), 1)",
        "a % nullif(b, 1)",
        "case when c then 1 else a % b end",
    ],
)
def test_a_division_is_the_same_wherever_it_stands(
    duck: duckdb.DuckDBPyConnection, con: psycopg.Connection, sql: str
) -> None:
    numbers = ", ".join(
        f"({a}, {b}, {c})" for a in (-3, 0, 2, "null") for b in (-1, 0, 1) for c in (True, False)
    )
    query = f"select {sql} from (values {numbers}) as given (a, b, c)"
    here = [row[0] for row in duck.execute(query).fetchall()]
    there = [row[0] for row in con.execute(translate(query, POSTGRES)).fetchall()]
    for one, other in zip(here, there, strict=True):
        assert one == other or (one != one and other != other), (here, there)  # noqa: PLR0124 - NaN
