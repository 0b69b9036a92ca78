"""Calibrated confidences: of the words with confidence 0.8, eight in ten should be correct.

Measured by the expected calibration error (Naeini et al. 2015; Guo et al. 2017, eq. 3), here over bins of equal mass,

    ECE = sum over bins b of  n_b / N  |accuracy(b) - confidence(b)|

and by the normalised cross entropy of NIST: 1 - H(correct | confidence) / H(correct), which is 1 for an oracle, 0 for
one that always gives the share of correct words, and negative for one that misleads. Fitted on a development set by

    logistic    p' = sigmoid(a logit(p) + b)    (Platt 1999; with b = 0 it is a temperature 1 / a, Guo et al. 2017)
    isotonic    the monotone steps nearest to the data (pool adjacent violators; Zadrozny and Elkan 2002)

Legend: N words, K bins.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
from numpy.typing import NDArray

from noisewise.errors import EvaluationError

Floats = NDArray[np.float64]
BINS = 15
CLOSEST = 1e-6
"""Confidences are kept so far from 0 and 1, where the logit has no end."""


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: in each bin, how sure and how often right. (K,) each"""

    confidence: list[float]
    """Mean confidence, rising."""
    accuracy: list[float]
    """Share of correct words."""
    words: list[int]
    """Number of words."""

    @property
    def error(self) -> float:
        """The expected calibration error, 0 to 1."""
        gaps = np.abs(np.array(self.accuracy) - np.array(self.confidence))
        return float(np.average(gaps, weights=self.words))


def correct_words(reference: str, hypothesis: str) -> list[bool]:
    """Which words of a hypothesis are right, by the edit distance that counts the word error rate (jiwer)."""
    if not reference.split():
        return [False] * len(hypothesis.split())
    right = [False] * len(hypothesis.split())
    for chunk in jiwer.process_words(reference, hypothesis).alignments[0]:
        if chunk.type == "equal":
            right[chunk.hyp_start_idx : chunk.hyp_end_idx] = [True] * (chunk.hyp_end_idx - chunk.hyp_start_idx)
    return right


def reliability(confidences: Sequence[float], correct: Sequence[bool], bins: int = BINS) -> Reliability:
    """Words in bins that hold as many each as can be; equal confidences are never parted.

    Raises:
        EvaluationError: no words, lists of different lengths, or confidences outside 0 to 1.
    """
    sure, right = _checked(confidences, correct)
    order = np.argsort(sure, kind="stable")
    sure, right = sure[order], right[order]
    wanted = sure[np.arange(1, min(bins, len(sure))) * len(sure) // min(bins, len(sure))]  # first of each later bin
    cuts = np.unique(np.searchsorted(sure, wanted))
    parts = [part for part in np.split(np.arange(len(sure)), cuts) if len(part)]
    return Reliability(
        [float(sure[part].mean()) for part in parts],
        [float(right[part].mean()) for part in parts],
        [len(part) for part in parts],
    )


def normalised_cross_entropy(confidences: Sequence[float], correct: Sequence[bool]) -> float:
    """1 - H(correct | confidence) / H(correct).

    Raises:
        EvaluationError: as `reliability`, or all words are right, or all wrong.
    """
    sure, right = _checked(confidences, correct)
    _must_be_mixed(right)
    share = np.full(len(right), right.mean())
    return float(1 - _cross_entropy(np.clip(sure, CLOSEST, 1 - CLOSEST), right) / _cross_entropy(share, right))


@dataclass(frozen=True)
class Logistic:
    """p' = sigmoid(slope * logit(p) + offset)."""

    slope: float
    offset: float

    def __call__(self, confidences: Sequence[float]) -> Floats:
        """Calibrated confidences. (N,)"""
        return _sigmoid(self.slope * _logit(np.asarray(confidences, dtype=np.float64)) + self.offset)


@dataclass(frozen=True)
class Isotonic:
    """Straight lines between points, flat outside them. (K,) each"""

    confidence: list[float]
    calibrated: list[float]

    def __call__(self, confidences: Sequence[float]) -> Floats:
        """Calibrated confidences. (N,)"""
        return np.interp(np.asarray(confidences, dtype=np.float64), self.confidence, self.calibrated)


def fit_logistic(confidences: Sequence[float], correct: Sequence[bool], *, temperature: bool = False) -> Logistic:
    """The slope and offset that make a development set most probable, by Newton's method.

    Args:
        confidences: of the words of the development set. (N,)
        correct: whether they are right. (N,)
        temperature: keep the offset at 0, so that 0.5 stays 0.5.

    Raises:
        EvaluationError: as `normalised_cross_entropy`.
    """
    sure, right = _checked(confidences, correct)
    _must_be_mixed(right)
    inputs = np.stack([_logit(sure), np.zeros_like(sure) if temperature else np.ones_like(sure)], axis=1)  # (N, 2)
    prior, weight = np.array([1.0, 0.0]), 1e-3  # what keeps the fit finite where confidence parts right from wrong

    def loss(at: Floats) -> float:
        logits = inputs @ at
        return float((np.logaddexp(0.0, logits) - right * logits).sum() + weight / 2 * np.square(at - prior).sum())

    found = prior.copy()
    for _ in range(100):
        fitted = _sigmoid(inputs @ found)
        gradient = inputs.T @ (fitted - right) + weight * (found - prior)
        curvature = (inputs * (fitted * (1 - fitted))[:, None]).T @ inputs + weight * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while loss(found - step) > loss(found) and np.abs(step).max() > 1e-9:
            step = step / 2  # Newton's method goes too far where the sigmoid is flat
        found = found - step
        if np.abs(step).max() <= 1e-9:
            break
    return Logistic(float(found[0]), float(found[1]))


def fit_isotonic(confidences: Sequence[float], correct: Sequence[bool]) -> Isotonic:
    """The rising steps with the least squares: neighbours that fall are pooled until none do.

    Raises:
        EvaluationError: as `reliability`.
    """
    sure, right = _checked(confidences, correct)
    values, where = np.unique(sure, return_inverse=True)
    words = np.bincount(where).astype(np.float64)
    levels = np.bincount(where, weights=right) / words
    pools: list[list[float]] = []  # of each: level, words, sum of confidences
    for value, level, count in zip(values.tolist(), levels.tolist(), words.tolist(), strict=True):
        pools.append([level, count, value * count])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            above, below = pools.pop(), pools.pop()
            count = above[1] + below[1]
            pools.append([(above[0] * above[1] + below[0] * below[1]) / count, count, above[2] + below[2]])
    return Isotonic([total / count for _, count, total in pools], [level for level, _, _ in pools])


def _checked(confidences: Sequence[float], correct: Sequence[bool]) -> tuple[Floats, Floats]:
    """Both as float64 arrays. (N,), (N,)"""
    sure, right = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if sure.shape != right.shape or sure.ndim != 1 or not len(sure):
        raise EvaluationError(
            f"`correct` must hold whether each word is right, but there are {right.size} for {sure.size} "
            "confidences instead"
        )
    if not ((sure >= 0) & (sure <= 1)).all():
        raise EvaluationError("`confidences` must lie in 0 to 1, but some do not; give probabilities")
    return sure, right


def _must_be_mixed(right: Floats) -> None:
    if right.min() == right.max():
        which = "right" if right[0] else "wrong"
        raise EvaluationError(
            f"`correct` must hold right and wrong words, but all are {which} instead; take harder recordings, or more"
        )


def _cross_entropy(sure: Floats, right: Floats) -> float:
    return float(-(right * np.log(sure) + (1 - right) * np.log(1 - sure)).mean())


def _logit(sure: Floats) -> Floats:
    clipped = np.clip(sure, CLOSEST, 1 - CLOSEST)
    return np.log(clipped) - np.log1p(-clipped)


def _sigmoid(values: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(0.5 * values))
