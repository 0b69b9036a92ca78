"""Loops are found where they begin; what people say twice is none."""

import pytest

from noisewise.decoding.whisper.repetition import loop_start


@pytest.mark.parametrize(
    ("tokens", "start"),
    [
        ([3, *[7] * 12], 2),
        ([3, *[7] * 11], None),  # too short
        ([3, 4, *[7, 8, 9] * 4], 5),
        ([3, 4, *[7, 8, 9] * 3], None),  # three times
        ([3, 4, *[7, 8, 9] * 4, 5], None),  # it went on
        ([1, *range(10, 20), *range(10, 20), *range(10, 15)], 11),  # a long phrase, twice and a half
        ([1, *range(10, 20), *range(10, 20), *range(10, 14)], None),
        ([], None),
    ],
)
def test_a_text_is_cut_behind_the_first_of_its_phrases(tokens: list[int], start: int | None) -> None:
    assert loop_start(tokens) == start
