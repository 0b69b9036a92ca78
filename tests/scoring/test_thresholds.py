"""Monotone fits against a second implementation, and crossings found by hand."""

import numpy as np
import pytest
from sklearn.isotonic import isotonic_regression

from noisewise.errors import EvaluationError
from noisewise.scoring.thresholds import crossing, non_rising


def test_the_monotone_fit_is_isotonic_regression() -> None:
    rates = np.random.default_rng(0).random((40, 6))
    expected = [isotonic_regression(row, increasing=False) for row in rates]
    np.testing.assert_allclose(non_rising(rates), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("rates", "level", "snr_db"),
    [
        ([0.9, 0.5, 0.1], 0.7, 2.5),
        ([0.9, 0.5, 0.1], 0.5, 5.0),
        ([0.9, 0.5, 0.1], 0.1, 10.0),
        ([0.9, 0.5, 0.1], 0.3, 7.5),
        ([0.9, 0.5, 0.1], 0.95, -np.inf),
        ([0.9, 0.5, 0.1], 0.05, np.inf),
        ([0.5, 0.5, 0.1], 0.5, 5.0),
        ([0.4, 0.6, 0.1], 0.5, 5.0),
        ([0.1, 0.1, 0.1], 0.1, 10.0),
    ],
)
def test_crossings(rates: list[float], level: float, snr_db: float) -> None:
    found = crossing([0, 5, 10], np.array([rates, rates]), np.array([level, np.nan]))
    assert found[0] == pytest.approx(snr_db) and np.isnan(found[1])


@pytest.mark.parametrize("snrs_db", [[0], [5, 0], [0, 0]])
def test_ratios_must_rise(snrs_db: list[float]) -> None:
    with pytest.raises(EvaluationError, match="that rise"):
        crossing(snrs_db, np.zeros((1, len(snrs_db))), np.array([0.5]))
