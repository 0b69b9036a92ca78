"""The CTC collapse."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from noisewise.decoding.hypothesis import collapse


def test_repeats_merge_and_a_blank_keeps_a_double_letter_apart() -> None:
    assert collapse([0, 3, 3, 0, 3, 4, 4, 0]) == [3, 3, 4]
    assert collapse([]) == []
    assert collapse([0, 0]) == []


def test_the_blank_can_be_another_id() -> None:
    assert collapse([2, 0, 0, 2, 0, 1], blank=2) == [0, 0, 1]


def test_number_of_paths_of_a_label() -> None:
    # Of the 3^4 paths over {blank, a, b} in 4 frames, C(4 + 2, 2 * 2) = 15 spell "ab" (Graves 2012, 7.3.1).
    assert sum(collapse(path) == [1, 2] for path in product(range(3), repeat=4)) == 15


@given(st.lists(st.integers(1, 4)))
def test_blanks_between_all_tokens_give_the_tokens_back(tokens: list[int]) -> None:
    path = [each for token in tokens for each in (0, token, token)]
    assert collapse(path) == tokens
