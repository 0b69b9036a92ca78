"""Tagging scores against counts by hand and by brute force."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisewise.errors import EvaluationError
from noisewise.scoring.tagging import bootstrap, hits, score


def precision_by_hand(scores: list[float], truth: list[bool]) -> float:
    """Walk down the thresholds; sum precision times the step of recall."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = [label for value, label in zip(scores, truth, strict=True) if value >= threshold]
        recall = sum(chosen) / sum(truth)
        total += (recall - before) * sum(chosen) / len(chosen)
        before = recall
    return total


def area_by_hand(scores: list[float], truth: list[bool]) -> float:
    """Chance that a clip with the label scores above one without; equals count half."""
    pairs = [
        (a > b) + 0.5 * (a == b)
        for a, has in zip(scores, truth, strict=True)
        for b, lacks in zip(scores, truth, strict=True)
        if has and not lacks
    ]
    return sum(pairs) / len(pairs)


def test_a_ranking_by_hand() -> None:
    found = score([[0.9], [0.8], [0.7], [0.6]], [[1], [0], [1], [0]])
    assert found.mean_average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert found.area[0] == pytest.approx(3 / 4)
    assert found.d_prime == pytest.approx(math.sqrt(2) * 0.6744897502)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=20))
@settings(deadline=None)
def test_ties_and_all_against_brute_force(rows: list[tuple[int, bool]]) -> None:
    scores, truth = [float(value) for value, _ in rows], [label for _, label in rows]
    if not any(truth):
        return
    found = score([[value] for value in scores], [[label] for label in truth])
    assert found.average_precision[0] == pytest.approx(precision_by_hand(scores, truth))
    if not all(truth):
        assert found.area[0] == pytest.approx(area_by_hand(scores, truth))
    else:
        assert math.isnan(found.area[0])


def test_the_mean_is_over_classes_that_occur() -> None:
    found = score([[0.9, 0.1, 0.5], [0.1, 0.9, 0.5]], [[1, 0, 0], [1, 1, 0]])
    assert found.average_precision[:2].tolist() == [1.0, 1.0] and math.isnan(found.average_precision[2])
    assert found.mean_average_precision == 1.0
    assert found.accuracy is None
    assert found.d_prime == math.inf
    assert score([[0.1], [0.9]], [[1], [0]]).d_prime == -math.inf


def test_accuracy_is_of_single_labels() -> None:
    scores = [[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.5, 0.5]]
    labels = [[1, 0], [0, 1], [0, 1], [1, 0]]
    assert hits(scores, labels).tolist() == [True, True, False, True]
    assert score(scores, labels).accuracy == 0.75


def test_scores_may_be_logits() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(40, 5)), rng.random((40, 5)) < 0.3
    sigmoid = 1 / (1 + np.exp(-logits))
    assert score(logits, labels).mean_average_precision == pytest.approx(score(sigmoid, labels).mean_average_precision)


def test_the_interval_is_that_of_explicit_resamples() -> None:
    rng = np.random.default_rng(1)
    scores, labels = rng.normal(size=(30, 3)), rng.random((30, 3)) < 0.4
    found = bootstrap(scores, labels, "mean_average_precision", samples=60, seed=4)
    times = np.random.default_rng(4).multinomial(30, np.full(30, 1 / 30), size=60)
    rates = []
    for row in times:
        rows = np.repeat(np.arange(30), row)
        rates.append(score(scores[rows], labels[rows]).mean_average_precision)
    assert [found.low, found.high] == pytest.approx(np.percentile(rates, [2.5, 97.5]).tolist())


def test_the_interval_of_accuracy_is_the_binomial_one() -> None:
    right = np.arange(400) < 300
    scores = np.stack([right, ~right], axis=1).astype(float)
    labels = np.tile([True, False], (400, 1))
    found = bootstrap(scores, labels, "accuracy", samples=2000)
    width = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert found.low == pytest.approx(0.75 - width, abs=0.01) and found.high == pytest.approx(0.75 + width, abs=0.01)
    together = bootstrap(scores, labels, "accuracy", groups=[str(clip // 20) for clip in range(400)])
    assert together.high - together.low > 2 * (found.high - found.low)


def test_what_cannot_be_scored_is_said() -> None:
    with pytest.raises(EvaluationError, match="clips by classes"):
        score([[0.1, 0.2]], [[1]])
    with pytest.raises(EvaluationError, match="finite"):
        score([[math.nan]], [[1]])
    with pytest.raises(EvaluationError, match="hold a label"):
        score([[0.1]], [[0]])
