"""Transcripts in capitals as sentences; others as they are."""

import pytest

from noisewise.text.written import written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ENTER SIX TWO FOUR", "Enter six two four."),
        ("R U B O U T", "R U B O U T."),
        ("U M N Y H SIX", "U M N Y H six."),
        ("THERE'S IRON THEY SAY AND A GRAIN", "There's iron they say and a grain."),
        ("I SAID I'M IN AND I'LL STAY", "I said I'm in and I'll stay."),
        ("A GRAIN A DAY", "A grain a day."),
        ("TYPE A B A THEN GO", "Type A B A then go."),
        ("AM I A FOOL", "Am I a fool."),
        ("WHO IS IT?", "Who is it?"),
        ('"STOP," HE SAID!', '"Stop," he said!'),
        ("ÜBER DEN FLUSS", "Über den fluss."),
        ("YES <unk>  NO [NOISE]", "Yes no."),
        ("<NOISE>", ""),
        ("6 2 4", "6 2 4"),
        ("今日は", "今日は"),
        ("enter six", "enter six"),
        ("Enter  SIX, please", "Enter SIX, please"),
    ],
)
def test_capitals_become_a_sentence_and_others_stay(text: str, expected: str) -> None:
    assert written(text) == expected
    assert written(expected) == expected or expected.upper() == expected


def test_as_it_is_only_tags_and_spaces_go() -> None:
    assert written("ENTER  <unk> SIX", "as_is") == "ENTER SIX"
