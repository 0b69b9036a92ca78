"""Scores of audio tagging: mean average precision, area under the ROC curve, d-prime, accuracy; how sure they are.

Average precision of a class is the sum over thresholds of precision times the step of recall, clips of equal score
taken together, as scikit-learn has it. The mean is over classes ("macro"); a class that no clip has, or all, has no
rate and is left out. d-prime is sqrt(2) times the normal quantile of the mean area under the curve, as the AudioSet
papers have it.

Legend: N clips, K classes, R resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import EvaluationError
from noisewise.scoring.words import Counts, Interval, Rates, interval, resample

Scores = NDArray[np.float64]
Labels = NDArray[np.bool_]


@dataclass(frozen=True)
class TaggingScore:
    """What `score` returns."""

    average_precision: Rates
    """Average precision of each class, NaN where no clip has it. (K,)"""
    area: Rates
    """Area under the ROC curve of each class, NaN where no clip has it or all have. (K,)"""
    accuracy: float | None
    """Share of clips whose best class is their label; None when a clip has none or several."""

    @property
    def mean_average_precision(self) -> float:
        """Mean over the classes that some clip has."""
        return float(np.nanmean(self.average_precision))

    @property
    def d_prime(self) -> float:
        """Distance of two unit normals with the mean area under the curve; infinite when that is 1."""
        mean = float(np.nanmean(self.area))
        return math.sqrt(2) * NormalDist().inv_cdf(mean) if 0 < mean < 1 else math.copysign(math.inf, mean - 0.5)


def score(scores: Any, labels: Any) -> TaggingScore:
    """Compare scores with labels.

    Args:
        scores: higher where a label is likelier; probabilities, logits, any. (N, K)
        labels: whether a label holds. (N, K)

    Raises:
        EvaluationError: shapes differ, a score is not a number, or no clip has a label.

    Example:
        >>> found = score([[0.9, 0.1], [0.2, 0.8]], [[True, False], [False, True]])
        >>> found.accuracy, found.mean_average_precision
        (1.0, 1.0)
    """
    given, truth = _checked(scores, labels)
    once = np.ones((1, len(given)))
    precision = np.array([_average_precision(given[:, k], truth[:, k], once)[0] for k in range(given.shape[1])])
    area = np.array([_area(given[:, k], truth[:, k], once)[0] for k in range(given.shape[1])])
    single = bool((truth.sum(axis=1) == 1).all())
    return TaggingScore(precision, area, float(hits(given, truth).mean()) if single else None)


def hits(scores: Any, labels: Any) -> Labels:
    """Whether the class of highest score, the first of equals, is a label of the clip. (N, K), (N, K) -> (N,)"""
    given, truth = _checked(scores, labels)
    found: Labels = truth[np.arange(len(given)), given.argmax(axis=1)]
    return found


def bootstrap(
    scores: Any,
    labels: Any,
    metric: Literal["mean_average_precision", "accuracy"],
    *,
    groups: Sequence[str] | None = None,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a metric over resampled clips, or groups of clips that belong together.

    A class that a resample draws no clip of is left out of its mean. Arguments as in `score` and
    `noisewise.scoring.words.bootstrap`.
    """
    given, _ = _checked(scores, labels)
    times = resample(len(given), groups=groups, samples=samples, seed=seed)
    return interval(resampled(given, labels, metric, times), level)


def resampled(scores: Any, labels: Any, metric: Literal["mean_average_precision", "accuracy"], times: Counts) -> Rates:
    """A metric in each resample; arguments as in `bootstrap`.

    Args:
        scores: of the clips. (N, K)
        labels: that hold. (N, K)
        metric: which.
        times: how often each clip is drawn, as `noisewise.scoring.words.resample` returns. (R, N)

    Returns:
        (R,), NaN for a resample without a label.
    """
    given, truth = _checked(scores, labels)
    weights = times.astype(np.float64)
    if metric == "accuracy":
        found: Rates = weights @ hits(given, truth) / weights.sum(axis=1)
        return found
    total, count = np.zeros(len(times)), np.zeros(len(times))
    for k in np.flatnonzero(truth.any(axis=0)):
        precision = _average_precision(given[:, k], truth[:, k], weights)
        total, count = total + np.nan_to_num(precision), count + ~np.isnan(precision)
    means: Rates = np.divide(total, count, out=np.full(len(times), np.nan), where=count > 0)
    return means


def _average_precision(scores: Scores, truth: Labels, times: Rates) -> Rates:
    """Average precision of one class, each clip counted `times` times. (N,), (N,), (R, N) -> (R,)"""
    right, drawn = _above(scores, truth, times)  # (R, thresholds)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(drawn > 0, right / drawn, 0.0)
        recall = right / right[:, -1:]
    found: Rates = (np.diff(recall, axis=1, prepend=0.0) * precision).sum(axis=1)
    return found


def _area(scores: Scores, truth: Labels, times: Rates) -> Rates:
    """Area under the ROC curve of one class, by trapezia, so that equals count half. (N,), (N,), (R, N) -> (R,)"""
    right, drawn = (np.pad(each, ((0, 0), (1, 0))) for each in _above(scores, truth, times))
    wrong = drawn - right
    with np.errstate(divide="ignore", invalid="ignore"):
        area: Rates = (np.diff(wrong, axis=1) * (right[:, 1:] + right[:, :-1])).sum(axis=1) / (
            2 * right[:, -1] * wrong[:, -1]
        )
    return area


def _above(scores: Scores, truth: Labels, times: Rates) -> tuple[Rates, Rates]:
    """Clips with the label, and all, at or above each distinct score, from the highest. (R, thresholds) each"""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    drawn = times[:, order]
    return np.cumsum(drawn * truth[order], axis=1)[:, last], np.cumsum(drawn, axis=1)[:, last]


def _checked(scores: Any, labels: Any) -> tuple[Scores, Labels]:
    given, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    if given.ndim != 2 or given.shape != truth.shape or not given.size:
        raise EvaluationError(
            f"`scores` and `labels` must both be clips by classes, but are {given.shape} and {truth.shape} instead"
        )
    if not np.isfinite(given).all():
        raise EvaluationError("`scores` must be finite, but some are not; look for a model that has diverged")
    if not truth.any():
        raise EvaluationError("`labels` must hold a label, but hold none; check the table of labels")
    return given, truth
