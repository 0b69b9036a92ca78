"""Vocabularies in another case or alphabet are named, with what to do."""

import logging

import pytest

from noisewise.decoding.fusion.spelling import must_be_spelled, spells
from noisewise.errors import DecodingError
from noisewise.text.tokenizer import BLANK, BOUNDARY, UNKNOWN, CharacterTokenizer

CAPITALS = CharacterTokenizer()
SMALL_LETTERS = CharacterTokenizer((BLANK, UNKNOWN, BOUNDARY, *"abcdefghij"))
GREEK = CharacterTokenizer((BLANK, BOUNDARY, *"αβγδ"))


@pytest.mark.parametrize("tokenizer", [CAPITALS, GREEK], ids=["with unknown", "without"])
def test_spells(tokenizer: CharacterTokenizer) -> None:
    word = "".join(tokenizer.symbols[-2:])
    assert spells(tokenizer, word)
    assert not any(spells(tokenizer, wrong) for wrong in ("", word + "7", "жук", word.swapcase()))


@pytest.mark.parametrize(
    ("words", "tokenizer", "remedy"),
    [
        (["enter", "six"], CAPITALS, "0% of its words can be; check the case: 'enter' would have to be in capitals"),
        (["BAD", "CAFE"], SMALL_LETTERS, "check the case: 'BAD' would have to be in small letters, 'bad'"),
        (["жук", "лес"], CAPITALS, "check the case and the alphabet: 'жук' is not in the letters"),
        (["1", "2", "3"], GREEK, "is not in the letters .αβγδ"),
    ],
)
def test_no_word(words: list[str], tokenizer: CharacterTokenizer, remedy: str) -> None:
    with pytest.raises(DecodingError, match=remedy):
        must_be_spelled(words, tokenizer, "lm.arpa")


def test_few_words_warn_once(caplog: pytest.LogCaptureFixture) -> None:
    few = ["ONE", "two", "three", "four"] * 400
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            must_be_spelled(few, CAPITALS, "few words")
    assert [record.message for record in caplog.records] == [
        "`few words` should hold words that the recogniser can spell, but 25% of its words can be; check the case: "
        "'two' would have to be in capitals, 'TWO'"
    ]


@pytest.mark.parametrize("words", [[], ["ONE"], ["ONE", "two"]])
def test_most_words_and_no_words_are_silent(words: list[str], caplog: pytest.LogCaptureFixture) -> None:
    must_be_spelled(words, CAPITALS, "lm.arpa")
    assert not caplog.records
