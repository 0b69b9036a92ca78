"""Degradation and difficulty against the formulas."""

import numpy as np
import pytest
from scipy.stats import zscore

from noisewise.scoring.robustness import difficulty_of_baseline, difficulty_of_quality, nwerd, werd


def test_degradation_is_clipped_at_none() -> None:
    found = werd(np.array([[0.3, 0.05], [0.2, 0.6]]), np.array([0.1, 0.2]))
    np.testing.assert_allclose(found, [[0.2, 0.0], [0.0, 0.4]])


def test_difficulties_are_standard_scores_around_fifty() -> None:
    random = np.random.default_rng(0)
    rates, dnsmos, pesq = random.random(40), 1 + 3 * random.random(40), 1 + 3 * random.random(40)
    np.testing.assert_allclose(difficulty_of_baseline(rates), np.maximum(25 * zscore(rates) + 50, 1))
    expected = (25 * zscore(-dnsmos) + 50 + 25 * (0.5 + zscore(-pesq)) + 50) / 2
    np.testing.assert_allclose(difficulty_of_quality(dnsmos, pesq), np.maximum(expected, 1))
    assert difficulty_of_baseline(np.full(3, 0.2)).tolist() == [50.0] * 3
    assert nwerd(np.array([0.5]), np.array([50.0]))[0] == pytest.approx(1.0)
