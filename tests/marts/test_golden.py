"""One log small enough to be read by eye, and its marts, worked out by hand."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from tests.support.marts_log import Event, Row, World, marts_of

# ana comes on three days, buys and is in experiment e1 (a). bo was "anon" before he was known, sees
# both variants. cy comes on the last day. The log ends on March 5; secrets are label-only.
LOG = """
03-01 09:00 anon view
03-01 09:10 anon click
03-02 10:00 ana  view
03-02 10:05 ana  buy   4.50
03-02 10:06 ana  click      e1 a
03-02 10:07 ana  click
03-02 12:00 ana  ask
03-03 08:00 bo   view       e1 a
03-03 23:50 ana  view
03-04 00:10 ana  click
03-04 08:00 bo   view       e1 b
03-04 09:00 ana  secret 99
03-05 11:00 ana  buy   2.25
03-05 11:00 cy   view       e1 b
03-06 00:00 cy   secret     e1 a
"""


def event(line: str) -> Event:
    day, clock, user, name, *rest = line.split()
    value = float(rest.pop(0)) if rest and rest[0] != "e1" else None
    experiment, variant = rest or (None, None)
    when = datetime.fromisoformat(f"2026-{day}T{clock}:00")
    return Event(user, when, name, value, experiment, variant)


WORLD = World(
    log=[event(line) for line in LOG.strip().splitlines()],
    links=[("anon", "bo", datetime(2026, 3, 2))],
    plans=[("ana", "paid"), ("cy", "free")],
)


@pytest.fixture(scope="module")
def marts() -> dict[str, list[Row]]:
    return marts_of(WORLD)


def table(rows: list[Row], columns: str, **where: object) -> list[tuple[object, ...]]:
    """Chosen columns of the rows that have these values, in order."""
    names = columns.split()
    kept = [row for row in rows if all(row[name] == value for name, value in where.items())]
    return sorted(
        (tuple(row[name] for name in names) for row in kept),
        key=lambda row: [(value is None, value) for value in row],  # type: ignore[operator]
    )


def test_daily_user_metrics(marts: dict[str, list[Row]]) -> None:
    columns = "day dau wau mau new_users sessions revenue events"
    day = [date(2026, 3, n) for n in range(6)[1:]]
    # ana's session of March 3 closes at 00:40 on the 4th; her purchase of the 5th at 11:30.
    assert table(marts["daily_user_metrics"], columns) == [
        (day[0], 1, 1, 1, 1, 1, Decimal(0), 2),
        (day[1], 1, 2, 2, 1, 2, Decimal("4.5"), 5),
        (day[2], 2, 2, 2, 0, 1, Decimal(0), 2),
        (day[3], 2, 2, 2, 0, 2, Decimal(0), 2),
        (day[4], 2, 3, 3, 1, 2, Decimal("2.25"), 2),
    ]


def test_retention_cohorts(marts: dict[str, list[Row]]) -> None:
    columns = "day_number users retained_bounded retained_unbounded"
    rows = marts["retention_cohorts"]
    # bo, with anon's day: March 1, 3 and 4. The log ends on day 4 of his cohort.
    assert table(rows, columns, cohort_day=date(2026, 3, 1)) == [
        (0, 1, 1, 1), (1, 1, 0, 1), (2, 1, 1, 1), (3, 1, 1, 1), (4, 1, 0, 0), (5, 1, None, None),
    ]  # fmt: skip
    # ana: March 2, 3, 4 and 5.
    assert table(rows, columns, cohort_day=date(2026, 3, 2)) == [
        (0, 1, 1, 1), (1, 1, 1, 1), (2, 1, 1, 1), (3, 1, 1, 1), (4, 1, None, None),
        (5, 1, None, None),
    ]  # fmt: skip
    assert len(rows) == 3 * 6


def test_funnel_metrics(marts: dict[str, list[Row]]) -> None:
    """view, click, ask, buy within a day of the first; the log is over at midnight of March 6."""
    columns = "step event_name entered_users reached_users open_users"
    rows = [row for row in marts["funnel_metrics"] if row["funnel"] == "main"]
    # bo views and clicks; ana views at 10:00, clicks, asks. Her purchase came before the click: in
    # order she reached 3, in any order 4; strictly 2, on March 4 (at 10:05 buy comes between).
    # cy viewed on March 5 at 11:00: that window is still open.
    by_mode = {
        mode: table(rows, columns, mode=mode, segment="all")
        for mode in ("ordered", "strict", "any_order")
    }
    assert by_mode["ordered"] == [
        (1, "view", 3, 3, 0), (2, "click", 3, 2, 1), (3, "ask", 3, 1, 1), (4, "buy", 3, 0, 1),
    ]  # fmt: skip
    assert by_mode["strict"] == [
        (1, "view", 3, 3, 0), (2, "click", 3, 2, 1), (3, "ask", 3, 0, 1), (4, "buy", 3, 0, 1),
    ]  # fmt: skip
    assert by_mode["any_order"] == [
        (1, "view", 3, 3, 0), (2, "click", 3, 2, 1), (3, "ask", 3, 1, 1), (4, "buy", 3, 1, 1),
    ]  # fmt: skip
    plans = "segment_value entered_users reached_users open_users"
    assert table(rows, plans, mode="ordered", segment="plan", step=3) == [
        ("free", 1, 0, 1), ("paid", 1, 1, 0), (None, 1, 0, 0),
    ]  # fmt: skip


def test_funnel_days() -> None:
    """A day says how deep the chains reached that ended on it, and nothing else."""
    begun = ["03-01 10:00 x view", "03-01 10:05 x click", "03-01 10:06 x click"]
    columns = "day ordered_step strict_step any_order_step"

    def days(*lines: str) -> list[tuple[object, ...]]:
        rows = marts_of(World([event(line) for line in (*begun, *lines)]), only=["funnel_days"])
        return table(rows["funnel_days"], columns, funnel="main")

    first, second = date(2026, 3, 1), date(2026, 3, 2)
    assert days("03-01 23:00 x ask", "03-02 09:00 x buy") == [(first, 3, 3, 3), (second, 4, 4, 4)]
    # Exactly a day after the view is within a day; a minute later is not.
    assert days("03-02 10:00 x ask") == [(first, 2, 2, 2), (second, 3, 3, 3)]
    assert days("03-02 10:01 x ask") == [(first, 2, 2, 2)]
    # A purchase ends no chain while the question is missing.
    assert days("03-02 09:00 x buy") == [(first, 2, 2, 2)]
    assert days("03-02 09:00 x buy", "03-02 09:30 x ask") == [(first, 2, 2, 2), (second, 3, 0, 4)]


def test_primary_intent(marts: dict[str, list[Row]]) -> None:
    found = table(marts["sessions"], "session_start primary_intent", user_id="ana")
    assert [(str(start)[5:16], intent) for start, intent in found] == [
        ("03-02 10:00", "buy"),
        ("03-02 12:00", "ask"),
        ("03-03 23:50", "click"),
        ("03-05 11:00", "buy"),
    ]


def test_experiment_units(marts: dict[str, list[Row]]) -> None:
    """Covariates look at 3 days before, outcomes at days from the exposure's on."""
    units = {row["user_id"]: row for row in marts["experiment_units"]}
    assert set(units) == {"ana", "bo", "cy"}
    ana, bo, cy = units["ana"], units["bo"], units["cy"]
    # Exposed on March 2, 10:06: her purchase a minute before is hers, but no outcome.
    assert (ana["variant"], ana["first_exposure"]) == ("a", datetime(2026, 3, 2, 10, 6))
    assert (ana["clicks"], ana["spent"], ana["select"]) == (2, Decimal(0), 1)  # days 0-1, 0-2, 0
    assert ana["late"] == 2  # March 4 and 5 (days 2 and 3), the secret left out
    assert (ana["kept"], ana["kept_buy"]) == (1, None)  # days 1-2 are over, day 4 is not
    assert ana["pre_active_days"] == 0
    # bo: March 1 lies in the 3 days before; as he saw b on the next day, he is mixed.
    assert (bo["variant"], bo["variants"], bo["is_mixed"]) == ("a", 2, True)
    assert bo["mixed_since"] == datetime(2026, 3, 4, 8)
    assert (bo["pre_clicks"], bo["pre_late"], bo["pre_active_days"]) == (1, 2, 1)
    assert (bo["plan"], cy["plan"]) == (None, "free")
    assert (cy["variant"], cy["is_mixed"], cy["kept"], cy["late"]) == ("b", False, None, 0)


def test_experiment_daily_metrics(marts: dict[str, list[Row]]) -> None:
    columns = "day units mean m2 cross_pre_active_days"
    rows = [row for row in marts["experiment_daily_metrics"] if row["variant"] == "a"]
    day = {n: date(2026, 3, n) for n in range(2, 6)}
    # Clicks of ana (from the exposure on) are 2 at once; bo has none and is with her for one day:
    # deviations 1 and -1, from active days 0 and 1 before (mean a half): -1/2 - 1/2.
    assert table(rows, columns, metric="clicks") == [
        (day[2], 1, 2.0, 0.0, 0.0),
        (day[3], 2, 1.0, 2.0, -1.0),
        (day[4], 1, 2.0, 0.0, 0.0),
        (day[5], 1, 2.0, 0.0, 0.0),
    ]
    # On March 4 ana's third day is over. bo is mixed by then.
    assert table(rows, columns, metric="kept") == [
        (day[4], 1, 1.0, 0.0, 0.0),
        (day[5], 1, 1.0, 0.0, 0.0),
    ]
    covariates = "min_age day units mean m2 cross_pre_active_days"
    assert table(rows, covariates, metric="pre_active_days") == [
        (0, day[2], 1, 0.0, 0.0, 0.0),
        (0, day[3], 2, 0.5, 0.5, 0.5),
        (0, day[4], 1, 0.0, 0.0, 0.0),
        (0, day[5], 1, 0.0, 0.0, 0.0),
        (3, day[4], 1, 0.0, 0.0, 0.0),
        (3, day[5], 1, 0.0, 0.0, 0.0),
    ]


def test_of_variants_seen_at_one_time_the_first_in_the_alphabet_is_it() -> None:
    log = [event("03-01 09:00 ana view e1 b"), event("03-01 09:00 ana click e1 a")]
    marts = marts_of(World(log))
    (unit,) = marts["experiment_units"]
    assert (unit["variant"], unit["variants"]) == ("a", 2)
    assert unit["mixed_since"] == unit["first_exposure"] == datetime(2026, 3, 1, 9)
    # Mixed from the beginning: no day ever counts her.
    assert marts["experiment_daily_metrics"] == []


NOTHING = "[metrics]\nretention_days = 1\n"
ONLY_ACTIVE = """
[experiments]
metrics = [{ name = "kept", kind = "active", after = "1d", within = "3d" }]
"""


def test_a_spec_without_the_keys_has_the_marts_that_need_none() -> None:
    marts = marts_of(WORLD, NOTHING)
    assert not {"funnel_metrics", "experiment_units", "user_attributes"} & set(marts)
    assert {row["revenue"] for row in marts["daily_user_metrics"]} == {None}
    assert {row["primary_intent"] for row in marts["sessions"]} == {None}


def test_experiments_may_have_no_metric_that_grows() -> None:
    rows = marts_of(WORLD, ONLY_ACTIVE)["experiment_daily_metrics"]
    assert {row["metric"] for row in rows} == {"kept", "pre_kept", "pre_active_days"}


def test_a_log_of_label_only_events_has_empty_marts() -> None:
    marts = marts_of(World(log=[event("03-01 09:00 ana secret e1 a")]))
    assert [name for name, rows in marts.items() if rows] == ["stg_events"]
