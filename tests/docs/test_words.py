"""The words of the redesign stay: private ones are in no page, help text, docstring or message."""

from __future__ import annotations

import re

import pytest

from tests.docs.words import ALLOWED, WORDS, found_in, words_in


def test_no_private_word_is_back() -> None:
    assert [str(found) for found in found_in()] == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("ranks users by their chance of buying", "chance"),
        ("what both\n    accounts say", "both accounts"),
        ("Whoever bought is left out.", "Whoever"),
        ("models are built\nanew", "anew"),
    ],
)
def test_a_private_word_is_found_where_it_stands(text: str, word: str) -> None:
    ((_, found, better),) = words_in(text)
    assert found == word
    assert better in WORDS.values()


@pytest.mark.parametrize(
    "text",
    [
        "better than by chance",
        "the metric `chosen_minus_scorecard`, the key `chance`",
        "[why](../decisions/0020-acting-pays-from-a-chance.md)",
        "```sh\nwhoever\n```",
        "an account balance, a chess set, the twinset",
        "training_world, world.json and CHANCES are names",
        ">>> world\n'chance'\n",
    ],
)
def test_names_code_and_ordinary_english_pass(text: str) -> None:
    assert list(words_in(text)) == []


def test_patterns_are_of_whole_words_and_allowed_phrases_hold_one() -> None:
    """An entry of the allow-list that allows nothing is out of date."""
    for phrase in ALLOWED:
        first = phrase.split("|")[0].replace("(more|less)", "more")
        assert any(re.search(rf"\b({word})\b", first) for word in WORDS), phrase
