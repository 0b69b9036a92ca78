"""Tests of differences between two systems on the same utterances.

- matched pairs (Gillick and Cox, ICASSP 1989; MAPSSWE): differences of errors per segment against mean 0. Segments are
  whole utterances, or the parts of utterances between words that both systems got right;
- the exact sign test over utterances in which one of the two makes fewer errors;
- the correction of Holm (1979) for many tests of one grid.

Legend: N utterances or segments.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import jiwer
import numpy as np
from numpy.typing import NDArray

BETWEEN = 2
"""Words in a row that both systems got right, at which a segment ends."""


def matched_pairs(differences: NDArray[np.int64]) -> tuple[float, float]:
    """z and two-sided p of differences of errors per segment (N,) against mean 0, by the normal distribution.

    W = mean(Z) / (sd(Z) / sqrt(N)), Z_i the errors of one system in segment i less those of the other.

    Example:
        >>> matched_pairs(np.array([1, -1, 0, 0]))
        (0.0, 1.0)
    """
    mean = float(differences.mean()) if len(differences) else 0.0
    if mean == 0 or len(differences) < 2:
        return 0.0, 1.0
    spread = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    z = mean / spread if spread else math.copysign(math.inf, mean)
    return z, math.erfc(abs(z) / math.sqrt(2))


def segment_errors(
    references: Sequence[str], first: Sequence[str], second: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Errors of two systems in each segment in which one of them makes an error.

    A segment ends at `BETWEEN` words in a row that both got right, and at the end of an utterance, as in `sc_stats` of
    the NIST toolkit.

    Args:
        references: normalised references.
        first: normalised hypotheses of one system.
        second: normalised hypotheses of the other.

    Returns:
        (N,) each, over all utterances.

    Example:
        >>> segment_errors(["a b c d e f"], ["x b c d e f"], ["a b c d e x y"])
        (array([1, 0]), array([0, 2]))
    """
    one, other = _errors_by_place(references, first), _errors_by_place(references, second)
    found = [pair for left, right in zip(one, other, strict=True) for pair in _segments(left, right)]
    errors = np.array(found, dtype=np.int64).reshape(-1, 2)
    return errors[:, 0], errors[:, 1]


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact probability of counts this far apart when either is as likely.

    Example:
        >>> sign_test(better=0, worse=10)
        0.001953125
    """
    count, fewer = better + worse, min(better, worse)
    ways, total = 1, 1
    for chosen in range(1, fewer + 1):
        ways = ways * (count - chosen + 1) // chosen
        total += ways
    p: float = 2 * total / 2**count
    return min(1.0, p)


def holm(probabilities: Sequence[float]) -> list[float]:
    """Probabilities of a family of m tests, corrected: p_(k) becomes max over j <= k of min(1, (m - j + 1) p_(j)).

    At any level the chance that one of the true null hypotheses is refused is at most that level (Holm 1979, "A simple
    sequentially rejective multiple test procedure").

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(probabilities)), key=lambda place: probabilities[place])
    corrected, highest = [0.0] * len(order), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * probabilities[place]))
        corrected[place] = highest
    return corrected


def _errors_by_place(references: Sequence[str], hypotheses: Sequence[str]) -> list[NDArray[np.int64]]:
    """Errors before, at and behind each reference word: insertions at even places, substitutions and deletions at odd
    ones. (2 * words + 1,) for each utterance"""
    aligned = jiwer.process_words(list(references), list(hypotheses))
    found = []
    for chunks, words in zip(aligned.alignments, aligned.references, strict=True):
        errors = np.zeros(2 * len(words) + 1, dtype=np.int64)
        for chunk in chunks:
            if chunk.type == "insert":
                errors[2 * chunk.ref_start_idx] += chunk.hyp_end_idx - chunk.hyp_start_idx
            elif chunk.type != "equal":
                errors[2 * chunk.ref_start_idx + 1 : 2 * chunk.ref_end_idx + 1 : 2] += 1
        found.append(errors)
    return found


def _segments(one: NDArray[np.int64], other: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Errors of both in each segment of an utterance; arguments as `_errors_by_place` gives them."""
    wrong = np.flatnonzero(one + other)
    right_between = [(later // 2) - ((earlier + 1) // 2) for earlier, later in pairwise(wrong)]
    ends = [place + 1 for place, count in enumerate(right_between) if count >= BETWEEN]
    return [(int(one[part].sum()), int(other[part].sum())) for part in np.split(wrong, ends) if len(part)]
