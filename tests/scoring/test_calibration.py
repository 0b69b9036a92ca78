"""Calibration against cases counted by hand and against data drawn from a known truth."""

import math

import numpy as np
import pytest

from noisewise.errors import EvaluationError
from noisewise.scoring.calibration import (
    correct_words,
    fit_isotonic,
    fit_logistic,
    normalised_cross_entropy,
    reliability,
)


def drawn(count: int = 4000, slope: float = 0.4, offset: float = -0.5) -> tuple[list[float], list[bool]]:
    """Overconfident words: right with probability sigmoid(slope * logit(confidence) + offset)."""
    random = np.random.default_rng(0)
    logits = random.normal(1.5, 2.0, count)
    truth = 1 / (1 + np.exp(-(slope * logits + offset)))
    return (1 / (1 + np.exp(-logits))).tolist(), (random.random(count) < truth).tolist()


def test_which_words_are_right() -> None:
    assert correct_words("ONE TWO THREE", "ONE TO THREE") == [True, False, True]
    assert correct_words("ONE TWO THREE", "OH ONE THREE") == [False, True, True]
    assert correct_words("ONE", "") == []
    assert correct_words("", "ONE TWO") == [False, False]


def test_bins_and_error_counted_by_hand() -> None:
    sure = [0.9, 0.2, 0.8, 0.4]
    found = reliability(sure, [True, False, False, True], bins=2)
    assert found.confidence == pytest.approx([0.3, 0.85])
    assert found.accuracy == pytest.approx([0.5, 0.5])
    assert found.words == [2, 2]
    assert found.error == pytest.approx((0.2 + 0.35) / 2)
    assert reliability(sure, [True, False, False, True], bins=4).error == pytest.approx((0.1 + 0.2 + 0.8 + 0.6) / 4)


def test_bins_weigh_by_their_words_and_equal_confidences_stay_together() -> None:
    sure = [1.0] * 6 + [0.5] * 2
    right = [True] * 3 + [False] * 3 + [True, False]
    found = reliability(sure, right, bins=4)
    assert found.words == [2, 6]
    assert found.error == pytest.approx(0.5 * 6 / 8)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(8)
        assert reliability([sure[at] for at in order], [right[at] for at in order], bins=4) == found


def test_normalised_cross_entropy_of_an_oracle_of_the_share_and_of_a_liar() -> None:
    right = [True, True, True, False]
    assert normalised_cross_entropy([1.0, 1.0, 1.0, 0.0], right) == pytest.approx(1.0, abs=1e-4)
    assert normalised_cross_entropy([0.75] * 4, right) == pytest.approx(0.0)
    assert normalised_cross_entropy([0.01, 0.01, 0.01, 0.99], right) < -1
    by_hand = -(3 * math.log(0.9) + math.log(0.4)) / -(3 * math.log(0.75) + math.log(0.25))
    assert normalised_cross_entropy([0.9, 0.9, 0.9, 0.6], right) == pytest.approx(1 - by_hand)


def test_the_logistic_fit_finds_what_the_data_were_drawn_from() -> None:
    sure, right = drawn()
    fitted = fit_logistic(sure, right)
    assert fitted.slope == pytest.approx(0.4, abs=0.05)
    assert fitted.offset == pytest.approx(-0.5, abs=0.1)
    assert reliability(sure, right).error > 0.2
    assert reliability(fitted(sure).tolist(), right).error < 0.03
    assert np.argsort(fitted(sure)).tolist() == np.argsort(sure).tolist()


def test_a_temperature_keeps_one_half_and_what_is_calibrated_is_left_alone() -> None:
    fitted = fit_logistic(*drawn(slope=0.5, offset=0.0), temperature=True)
    assert fitted.offset == 0.0
    assert fitted.slope == pytest.approx(0.5, abs=0.05)
    assert fitted([0.5])[0] == pytest.approx(0.5)
    honest = fit_logistic(*drawn(slope=1.0, offset=0.0))
    assert (honest.slope, honest.offset) == pytest.approx((1.0, 0.0), abs=0.15)


def test_a_fit_stays_finite_where_confidence_parts_right_from_wrong() -> None:
    fitted = fit_logistic([0.1, 0.2, 0.8, 1.0], [False, False, True, True])
    assert math.isfinite(fitted.slope)
    assert fitted.slope > 1
    assert ((fitted([0.0, 1.0]) >= 0) & (fitted([0.0, 1.0]) <= 1)).all()


def test_isotonic_steps_counted_by_hand() -> None:
    fitted = fit_isotonic([0.1, 0.2, 0.3, 0.4, 0.4], [False, True, False, True, True])
    assert fitted.confidence == pytest.approx([0.1, 0.25, 0.4])
    assert fitted.calibrated == pytest.approx([0.0, 0.5, 1.0])
    assert fitted([0.0, 0.1, 0.175, 0.25, 0.9]) == pytest.approx([0.0, 0.0, 0.25, 0.5, 1.0])


def test_isotonic_never_falls_and_mends_what_was_drawn() -> None:
    sure, right = drawn()
    fitted = fit_isotonic(sure, right)
    assert (np.diff(fitted(np.linspace(0, 1, 101).tolist())) >= 0).all()
    assert reliability(fitted(sure).tolist(), right).error < 0.03


def test_what_says_nothing_is_named() -> None:
    with pytest.raises(EvaluationError, match="there are 1 for 2 confidences"):
        reliability([0.1, 0.2], [True])
    with pytest.raises(EvaluationError, match="0 for 0"):
        fit_isotonic([], [])
    with pytest.raises(EvaluationError, match="must lie in 0 to 1"):
        reliability([0.1, 1.2], [True, False])
    with pytest.raises(EvaluationError, match="all are right"):
        fit_logistic([0.1, 0.2], [True, True])
