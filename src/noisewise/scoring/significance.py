"""Tests of differences between two systems on the same utterances.

- matched pairs (Gillick and Cox, ICASSP 1989; MAPSSWE) with whole utterances as segments;
- the exact sign test over utterances in which one of the two makes fewer errors.

Legend: N utterances.
"""

import math

import numpy as np
from numpy.typing import NDArray


def matched_pairs(differences: NDArray[np.int64]) -> tuple[float, float]:
    """z and two-sided p of differences of errors per utterance (N,) against mean 0, by the normal distribution.

    Example:
        >>> matched_pairs(np.array([1, -1, 0, 0]))
        (0.0, 1.0)
    """
    mean = float(differences.mean())
    if mean == 0 or len(differences) < 2:
        return 0.0, 1.0
    spread = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    z = mean / spread if spread else math.copysign(math.inf, mean)
    return z, math.erfc(abs(z) / math.sqrt(2))


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
