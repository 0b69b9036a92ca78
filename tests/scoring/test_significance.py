"""Tests of differences against their definitions."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from noisewise.scoring.significance import matched_pairs, sign_test


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
