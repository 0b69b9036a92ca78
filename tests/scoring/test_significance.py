"""Tests of differences against their definitions."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from noisewise.scoring.significance import holm, matched_pairs, segment_errors, sign_test
from noisewise.scoring.words import score


def test_matched_pairs_is_a_normal_test_of_the_mean() -> None:
    differences = np.array([1, 0, 2, -1, 1, 0, 3, 1], dtype=np.int64)
    z, p = matched_pairs(differences)
    assert z == pytest.approx(differences.mean() / (np.sqrt(np.var(differences, ddof=1)) / np.sqrt(8)))
    assert p == pytest.approx(2 * (1 - NormalDist().cdf(abs(z))))
    assert matched_pairs(-differences) == pytest.approx((-z, p))
    assert matched_pairs(np.zeros(5, dtype=np.int64)) == (0.0, 1.0)
    assert matched_pairs(np.ones(5, dtype=np.int64)) == (math.inf, 0.0)


def test_matched_pairs_rejects_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    found = [matched_pairs(random.poisson(1, 200) - random.poisson(1, 200))[1] for _ in range(400)]
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.09


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [(1, 5, 2 * 7 / 64), (5, 1, 2 * 7 / 64), (0, 0, 1.0), (3, 3, 1.0), (0, 10, 2 / 1024), (2, 6, 2 * 37 / 256)],
)
def test_the_sign_test_counts_coins(better: int, worse: int, p: float) -> None:
    assert sign_test(better, worse) == pytest.approx(p)
    assert 0.04 < sign_test(5000, 5200) < 0.06


@pytest.mark.parametrize(
    ("first", "second", "segments"),
    [
        ("a b c d e f g", "a b c d e f g", []),
        ("x b c x e f g", "a b c d e f g", [(1, 0), (1, 0)]),
        ("x b x d e f g", "a b c d e f g", [(2, 0)]),
        ("x b c d e f g", "a b c d e f", [(1, 0), (0, 1)]),
        ("x b c d e f g", "a b y d e f g", [(1, 1)]),
        ("a i b c d e f g", "a b c j d e f g", [(1, 0), (0, 1)]),
        ("a i b j c d e f g", "a b c d e f g", [(2, 0)]),
        ("", "a b c d e f g", [(7, 0)]),
    ],
)
def test_segments_end_at_two_words_that_both_got_right(
    first: str, second: str, segments: list[tuple[int, int]]
) -> None:
    one, other = segment_errors(["a b c d e f g"], [first], [second])
    assert list(zip(one.tolist(), other.tolist(), strict=True)) == segments


def test_a_segment_ends_with_its_utterance_and_no_error_is_lost() -> None:
    random = np.random.default_rng(1)
    texts = [[" ".join(random.choice(list("abc"), size=9)) for _ in range(30)] for _ in range(3)]
    one, other = segment_errors(texts[0], texts[1], texts[2])
    for errors, hypotheses in ((one, texts[1]), (other, texts[2])):
        assert errors.sum() == score(texts[0], hypotheses, normaliser=str.strip).words.total
    assert [each.tolist() for each in segment_errors(["a", "a"], ["b", "b"], ["a", "a"])] == [[1, 1], [0, 0]]


def test_holm_against_its_sequential_definition() -> None:
    random = np.random.default_rng(2)
    for _ in range(20):
        given = random.random(7) ** 3
        for level in (0.01, 0.05, 0.2):
            refused = set()
            for rank, place in enumerate(np.argsort(given)):
                if given[place] > level / (7 - rank):
                    break
                refused.add(int(place))
            assert {place for place, p in enumerate(holm(given.tolist())) if p <= level} == refused
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]
