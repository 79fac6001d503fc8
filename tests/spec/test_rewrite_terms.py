"""Rewriting a spec's scorecard: the spec that is meant, and every other line as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from whyrank.errors import SpecError
from whyrank.spec.load import load_spec, parse_spec, spec_text
from whyrank.spec.rewrite_terms import with_scorecard
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
@settings(max_examples=examples(8), deadline=None)
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


def test_a_text_that_cannot_be_rewritten_is_refused(tmp_path: Path) -> None:
    text = spec_text("saas")
    head, rest = text.split("[scorecard.groups.commitment]", 1)
    spec = load_spec("saas")
    terms = ", ".join(
        "{ " + ", ".join(_inline(t)) + " }" for t in spec.scorecard.terms if t.group is None
    )
    tail = rest[rest.index("[bands]") :]
    one = '{ name = "x", feature = "signups", points = 30, transform = "flag", reason = "r" }'
    inline = f"{head}[scorecard]\nterms = [ {one}, {terms} ]\n\n{tail}"
    path = tmp_path / "inline.toml"
    path.write_text(inline, encoding="utf-8")
    found = load_spec(path)
    with pytest.raises(SpecError, match=r"write each of them as \[\[scorecard.terms\]\]"):
        with_scorecard(inline, _moved(found.scorecard), found.bands, found.version)


def _moved(card: ScorecardSpec) -> ScorecardSpec:
    first, second, *rest = card.terms
    return card.model_copy(
        update={
            "terms": (
                first.model_copy(update={"points": first.points - 1}),
                second.model_copy(update={"points": second.points + 1}),
                *rest,
            )
        }
    )


def _inline(term: TermSpec) -> list[str]:
    pairs = term.model_dump(exclude_none=True, exclude={"map"})
    said = [f"{key} = {value!r}".replace("'", '"') for key, value in pairs.items()]
    return [*said, "map = { desktop = 1.0 }"] if term.map else said
