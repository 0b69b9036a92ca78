"""Word error rate degradation, its means, and its normalisation by the difficulty of a corruption.

Speech Robust Bench (Shah et al., ICLR 2025), as its code computes them, in points of percent:

    WERD = max(WER of a corruption at a severity - WER of clean speech, 0)
    NWERD = WERD / q

with the difficulty q of each cell (corruption and severity) from the quality of its speech, or where that is not
measured from the word error rate of a baseline recogniser:

    q = (n_DNSMOS + n_PESQ) / 2,  n_DNSMOS = 25 z(-DNSMOS) + 50,  n_PESQ = 25 (0.5 + z(-PESQ)) + 50
    q = 25 z(WER of the baseline) + 50

z being standard scores over all cells.

Legend: C cells.
"""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
LEAST_DIFFICULTY = 1.0
"""Bound of the difficulty, which would be negative two standard deviations below the mean."""


def werd(rates: Values, clean: Values) -> Values:
    """Word error rate degradation, a fraction. (..., C), (...) -> (..., C)

    Example:
        >>> werd(np.array([0.3, 0.05]), np.array(0.1)).round(3).tolist()
        [0.2, 0.0]
    """
    found: Values = np.maximum(rates - clean[..., None], 0.0)
    return found


def difficulty_of_baseline(rates: Values) -> Values:
    """q from the word error rates of a baseline recogniser. (C,) -> (C,)

    Example:
        >>> difficulty_of_baseline(np.array([0.1, 0.3])).tolist()
        [25.0, 75.0]
    """
    return np.asarray(np.maximum(25 * standard(rates) + 50, LEAST_DIFFICULTY))


def difficulty_of_quality(dnsmos: Values, pesq: Values) -> Values:
    """q from mean opinion scores predicted by DNSMOS and PESQ. (C,), (C,) -> (C,)"""
    mean = (25 * standard(-dnsmos) + 50 + 25 * (0.5 + standard(-pesq)) + 50) / 2
    return np.asarray(np.maximum(mean, LEAST_DIFFICULTY))


def nwerd(degradation: Values, difficulty: Values) -> Values:
    """Normalised degradation of each cell, from fractions. (C,), (C,) -> (C,)"""
    return np.asarray(100 * degradation / difficulty)


def standard(values: Values) -> Values:
    """Standard scores; 0 where all values are the same. (C,) -> (C,)"""
    spread = values.std()
    return np.asarray((values - values.mean()) / (spread if spread > 1e-12 else 1.0))
