"""Rewriting a spec's scorecard: the spec that is meant, and every other line as it was."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from whyrank.errors import SpecError
from whyrank.spec.load import load_spec, parse_spec, spec_text
from whyrank.spec.rewrite import with_scorecard
from whyrank.spec.scorecard import BandsSpec, ScorecardSpec, TermSpec

SHAPES = st.one_of(
    st.fixed_dictionaries(
        {"transform": st.sampled_from(["linear", "log"]),
         "cap": st.sampled_from([0.001, 0.3, 1.0, 80.0, 1234567.0])}
    ),
    st.fixed_dictionaries(
        {"transform": st.just("half_life"), "half_life": st.sampled_from([0.5, 7.0, 365.0])}
    ),
    st.just({"transform": "flag"}),
)  # fmt: skip
REASONS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=9)
BLANK = {"cap": None, "half_life": None}


@st.composite
def cards(draw: st.DrawFn, name: str) -> ScorecardSpec:
    """A built-in card with some terms dropped, some bent, some added; the first settles the sum."""
    spec = load_spec(name)
    kept = [t for t in spec.scorecard.terms if t.points > 0 and t.group is None]
    kept = kept[:1] + [t for t in kept[1:] if draw(st.booleans())]
    terms = []
    for one in kept:
        bend = {} if one.transform == "map" else draw(st.one_of(st.just({}), SHAPES))
        update = {**BLANK, **bend} if bend else {}
        terms.append(one.model_copy(update={**update, "points": draw(st.integers(1, 9))}))
    for number in range(draw(st.integers(0, 3))):
        shape = draw(SHAPES)
        terms.append(
            TermSpec.model_validate(
                {"name": f"new_{number}", "feature": kept[0].feature, "reason": draw(REASONS),
                 "points": draw(st.integers(1, 9)), **shape}
            )
        )  # fmt: skip
    rest = sum(t.points for t in terms[1:])
    terms[0] = terms[0].model_copy(update={"points": 100.0 - rest})
    return ScorecardSpec.model_validate({"terms": [t.model_dump() for t in terms]})


@pytest.mark.parametrize("name", ["saas", "olist", "media"])
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_the_text_says_the_card_that_is_meant_and_nothing_else_changes(
    name: str, data: st.DataObject
) -> None:
    text, card = spec_text(name), data.draw(cards(name))
    bands = BandsSpec(medium=data.draw(st.integers(1, 40)), high=data.draw(st.integers(41, 99)))
    made = with_scorecard(text, card, bands, '2 "b"')
    before, after = load_spec(name), parse_spec(made)
    assert after.scorecard == card
    assert after.bands == bands
    kept = {"scorecard", "bands", "version"}
    assert after.model_dump(exclude=kept) == before.model_dump(exclude=kept)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in made.splitlines() if line.startswith("#")] == comments


def test_a_comment_behind_a_key_and_one_before_the_next_table_stay() -> None:
    text = spec_text("saas").replace('transform = "log"\ncap = 10\n', "", 1)
    text = text.replace(
        'name = "pricing"\n', 'name = "pricing"  # asked by sales\ntransform = "log"\ncap = 10\n'
    ).replace("points = 18\n", "points = 18  # was 15\n")
    text = text.replace("[bands]\n", "# Agreed in May.\n[bands]\n")
    spec = parse_spec(text)
    terms = [
        t.model_copy(update={"points": t.points + {"demo": 1, "pricing": -1}.get(t.name, 0)})
        for t in spec.scorecard.terms
    ]
    card = spec.scorecard.model_copy(update={"terms": tuple(terms)})
    made = with_scorecard(text, card, spec.bands, spec.version)
    assert "points = 17  # was 15\n" in made
    assert "# Agreed in May.\n[bands]\n" in made


def quoted_key(draw: st.DrawFn, key: str) -> str:
    return draw(st.sampled_from([key, f'"{key}"', f"'{key}'"]))


def value_text(draw: st.DrawFn, value: object) -> str:
    if isinstance(value, float):
        whole = [f"{value:.0f}", f"+{value:.1f}", f"{value:.0f}e0", f"{value!r}_0"]
        return draw(st.sampled_from(whole)) if value == int(value) and value > 0 else repr(value)
    if isinstance(value, dict):
        pairs = [f"{quoted_key(draw, k)} = {value_text(draw, v)}" for k, v in value.items()]
        return "{ " + ", ".join(pairs) + " }"
    return draw(st.sampled_from([f'"{value}"', f"'{value}'", f'"""\\\n  {value}"""']))


def key_lines(draw: st.DrawFn, values: dict[str, object], numbers: Iterator[int]) -> list[str]:
    """A table's keys as lines, some with a comment behind them."""
    lines = []
    for key, value in values.items():
        equals = draw(st.sampled_from([" = ", "=", "   =  "]))
        behind = draw(st.sampled_from(["", f"  # {next(numbers)} behind", f"\t#{next(numbers)}"]))
        if isinstance(value, dict) and draw(st.booleans()):
            lines += [f"{key}.{quoted_key(draw, k)} = {v!r}{behind}" for k, v in value.items()]
        else:
            lines.append(f"{quoted_key(draw, key)}{equals}{value_text(draw, value)}{behind}")
    return lines


@st.composite
def odd_texts(draw: st.DrawFn) -> str:
    """The saas spec with its scorecard written in ways that few people would write it."""
    text, spec = spec_text("saas"), load_spec("saas")
    start = text.index("[scorecard.groups.commitment]")
    end = text.index("[bands]")
    after = text.find("\n[", end + 1)
    head = text[:start] + (text[after:] if after > 0 else "")
    if draw(st.booleans()):
        head = head.replace('version = "1"', "version  =  '1'  # of May")
    numbers = itertools.count(1000)
    rows = [t.model_dump(exclude_defaults=True) for t in spec.scorecard.terms]
    group = spec.scorecard.groups["commitment"].model_dump()
    bands = ["[bands]", *key_lines(draw, spec.bands.model_dump(), numbers)]
    if draw(st.booleans()):
        bands = [f"bands = {value_text(draw, spec.bands.model_dump())}"]
        head, bands = head.replace("\n[", "\n" + bands[0] + "\n\n[", 1), []
    if draw(st.booleans()):
        comma = draw(st.sampled_from([",", f",  # {next(numbers)}"]))
        inner = "\n".join(f"  {inline_table(draw, row)}{comma}" for row in rows)
        tables = [["[scorecard]", f"groups.commitment = {value_text(draw, group)}",
                   f"terms = [\n{inner}\n]"]]  # fmt: skip
    else:
        header = st.sampled_from(
            ["[[scorecard.terms]]", "[[ scorecard.terms ]]", "[[scorecard.'terms']]  # one more"]
        )
        tables = [[draw(header), *key_lines(draw, row, numbers)] for row in rows]
        tables.insert(
            draw(st.integers(0, len(tables))),
            ["[scorecard.groups.'commitment']", *key_lines(draw, group, numbers)],
        )
    tables.insert(draw(st.integers(0, len(tables))), bands)
    lines = [
        line
        for table in tables
        for line in (*table, "", *draw(st.sampled_from([[], [f"# {next(numbers)} before"]])))
    ]
    made = head.rstrip("\n") + "\n\n" + "\n".join(lines) + draw(st.sampled_from(["", "\n"]))
    made = made.replace("\n", "\r\n") if draw(st.booleans()) else made
    assert parse_spec(made) == spec
    return draw(st.sampled_from(["", "\ufeff"])) + made


def inline_table(draw: st.DrawFn, values: dict[str, object]) -> str:
    return value_text(draw, values).replace('"""\\\n  ', '"""')


@given(text=odd_texts())
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_new_points_change_their_own_values_in_a_text_however_it_is_written(text: str) -> None:
    spec = parse_spec(text)
    card = _moved(spec.scorecard)
    made = with_scorecard(text, card, spec.bands, "2")
    assert parse_spec(made) == spec.model_copy(update={"scorecard": card, "version": "2"})
    before, after = text.splitlines(keepends=True), made.splitlines(keepends=True)
    assert len(before) == len(after)
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert len(changed) == 3
    for old, new in changed:
        assert old.partition("#")[1:] == new.partition("#")[1:]  # what stands behind it
        assert old.partition("=")[0] == new.partition("=")[0]
    assert with_scorecard(text, spec.scorecard, spec.bands, spec.version) == text


@given(text=odd_texts(), data=st.data())
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_another_shape_is_written_into_a_text_however_it_is_written(
    text: str, data: st.DataObject
) -> None:
    spec, card = parse_spec(text), data.draw(cards("saas"))
    bands = BandsSpec(medium=data.draw(st.integers(1, 40)), high=data.draw(st.integers(41, 99)))
    made = with_scorecard(text, card, bands, '2 "b"')
    update = {"scorecard": card, "bands": bands, "version": '2 "b"'}
    assert parse_spec(made) == spec.model_copy(update=update)
    assert made.startswith("\ufeff") == text.startswith("\ufeff")
    assert made.count("\r\n") in {0, made.count("\n")}
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in made.splitlines() if line.startswith("#")] == comments


def _moved(card: ScorecardSpec) -> ScorecardSpec:
    """Move a point between two terms that are in no group."""
    free = [place for place, term in enumerate(card.terms) if term.group is None][:2]
    terms = list(card.terms)
    for place, change in zip(free, (-1, 1), strict=True):
        points = terms[place].points + change
        terms[place] = terms[place].model_copy(update={"points": points})
    return card.model_copy(update={"terms": tuple(terms)})


def test_a_change_that_cannot_be_written_is_refused() -> None:
    spec, text = load_spec("saas"), spec_text("saas")
    first, *rest = spec.scorecard.terms
    reason = first.model_copy(update={"reason": "for another reason"})
    other = spec.scorecard.model_copy(update={"terms": (reason, *rest)})
    with pytest.raises(SpecError, match=r"write each of them as \[\[scorecard.terms\]\]"):
        with_scorecard(text, other, spec.bands, spec.version)
