"""Where long recordings are cut, and how their pieces are put together."""

import itertools

import pytest
import torch

from noisewise.decoding.attention.segmentation import joined, pieces
from noisewise.decoding.hypothesis import Hypothesis, Word
from tests.decoding.table import SYMBOLS, TOKENIZER


def test_long_recordings_are_cut_in_their_longest_pauses() -> None:
    path = [2] * 6 + [0] + [2] * 2 + [0] * 4 + [3] * 7 + [1] * 2 + [2] * 3
    log_probs = torch.full((len(path), SYMBOLS), 0.02).scatter(1, torch.tensor(path)[:, None], 0.94).log()
    assert pieces(log_probs, 100, (0, 1)) == [(0, 25)]
    assert pieces(log_probs, 13, (0, 1)) == [(0, 11), (11, 21), (21, 25)]
    for longest in (1, 2, 5):  # whatever comes, everything is covered and nothing is too long
        found = pieces(log_probs, longest, (0, 1))
        assert [found[0][0], found[-1][1]] == [0, 25]
        assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
        assert all(0 < end - start <= longest for start, end in found)


def hypothesis(text: str, score: float) -> Hypothesis:
    words = [Word(word, at, at + 0.5, 0.9) for at, word in enumerate(text.split())]
    return Hypothesis(text, TOKENIZER.encode(text), words, score, 2 * score)


def test_the_best_of_all_pieces_are_those_of_the_largest_sums() -> None:
    parts = [
        (0.0, [hypothesis("A", -1.0), hypothesis("B", -2.0), hypothesis("", -9.0)]),
        (5.0, [hypothesis("B A", -1.0), hypothesis("", -1.5)]),
        (7.0, []),
    ]
    found = joined(parts, TOKENIZER, 3)
    assert [(each.text, each.score, each.ctc_score) for each in found] == [
        ("A B A", -2.0, -4.0), ("A", -2.5, -5.0), ("B B A", -3.0, -6.0),
    ]  # fmt: skip
    assert found[0].tokens == TOKENIZER.encode("A B A") and found[1].tokens == TOKENIZER.encode("A")
    assert [word.start for word in found[0].words] == [0.0, pytest.approx(5.0), pytest.approx(6.0)]
    assert found[0].words[-1].end == pytest.approx(6.5)
