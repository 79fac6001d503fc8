"""Random scorecards, and users with everything that a feature may be, nulls included."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import strategies as st

from whyrank.spec.scorecard import ScorecardSpec

HUNDREDTH = st.integers(1, 4000).map(lambda n: n / 100)
KINDS = ("linear", "log", "half_life", "flag", "map")


@st.composite
def scorecards(draw: st.DrawFn) -> ScorecardSpec:
    """Random scorecards: every transform, penalties, a group that caps; positives total 100."""
    terms = []
    left = 10_000
    count = draw(st.integers(1, 5))
    for i in range(count):
        last = i == count - 1
        worth = left if last else draw(st.integers(1, left - (count - 1 - i)))
        left -= worth
        terms.append(_term(draw, f"t{i}", worth / 100, None))
    for i in range(draw(st.integers(0, 2))):
        terms.append(_term(draw, f"p{i}", -draw(HUNDREDTH), None))
    groups = {}
    if draw(st.booleans()):
        # A group takes the first term's place: its members together count what the term did.
        groups["g"] = {"cap": terms[0]["points"], "reason": "at most so much"}
        terms[0]["group"] = "g"
        terms.append(_term(draw, "member", draw(HUNDREDTH), "g"))
    return ScorecardSpec.model_validate({"terms": terms, "groups": groups})


def _term(draw: st.DrawFn, name: str, points: float, group: str | None) -> dict[str, object]:
    kind = draw(st.sampled_from(KINDS))
    term: dict[str, object] = {
        "name": name,
        "feature": "text" if kind == "map" else draw(st.sampled_from(["x", "y", "flag"])),
        "points": points,
        "transform": kind,
        "reason": "because of {value}",
    }
    if group:
        term["group"] = group
    if kind in {"linear", "log"}:
        term["cap"] = draw(st.sampled_from([0.5, 1, 3, 7, 30, 1000.5]))
    if kind == "half_life":
        term["half_life"] = draw(st.sampled_from([0.5, 3, 7, 180]))
    if kind == "map":
        term["map"] = {"a": draw(st.sampled_from([0, 0.25, 1.0])), "it's": 0.5}
        term["other"] = draw(st.sampled_from([0, 0.4]))
    return term


NUMBER = st.one_of(
    st.none(),
    st.integers(-3, 50).map(float),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6)),
)
ROWS = st.lists(
    st.tuples(
        NUMBER,
        st.one_of(st.none(), st.integers(0, 400)),
        st.one_of(st.none(), st.booleans()),
        st.one_of(st.none(), st.sampled_from(["a", "it's", "z", ""])),
    ),
    min_size=1,
    max_size=30,
)


def table(rows: list[tuple[object, ...]]) -> pa.Table:
    x, y, flag, text = (list(column) for column in zip(*rows, strict=True))
    return pa.table(
        {
            "user_id": [f"u{i:03d}" for i in range(len(rows))],
            "x": pa.array(x, pa.float64()),
            "y": pa.array(y, pa.int64()),
            "flag": pa.array(flag, pa.bool_()),
            "text": pa.array(text, pa.string()),
        }
    )
