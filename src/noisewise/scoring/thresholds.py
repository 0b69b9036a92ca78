"""The signal-to-noise ratio at which an error rate crosses a level, by monotone interpolation.

Error rates at K ratios are made monotone by isotonic regression (never rising with the ratio; Barlow et al. 1972) and
interpolated linearly in dB. Nothing is extrapolated: where the level lies outside the rates that were measured there is
no crossing, and the ratio is known to be below the lowest (-inf) or above the highest (inf).

Legend: R resamples, K signal-to-noise ratios.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import EvaluationError

Values = NDArray[np.float64]
DIGITS = 12
"""Decimal places to which rates and levels are compared."""


def non_rising(rates: Values) -> Values:
    """The least-squares fit of rates that never rises along the last axis. (..., K) -> (..., K)

    By the min-max formula: value k is the least over i <= k of the greatest over j >= k of the mean of i to j.

    Example:
        >>> non_rising(np.array([0.9, 0.4, 0.6, 0.1])).tolist()
        [0.9, 0.5, 0.5, 0.1]
    """
    count = rates.shape[-1]
    sums = np.concatenate([np.zeros((*rates.shape[:-1], 1)), np.cumsum(rates, axis=-1)], axis=-1)

    def highest(first: int, place: int) -> Values:
        means = [(sums[..., last + 1] - sums[..., first]) / (last + 1 - first) for last in range(place, count)]
        return np.asarray(np.max(means, axis=0))

    fitted = [np.min([highest(first, place) for first in range(place + 1)], axis=0) for place in range(count)]
    return np.stack(fitted, axis=-1)


def crossing(snrs_db: Sequence[float], rates: Values, levels: Values) -> Values:
    """The ratio at which error rates fall to a level.

    Args:
        snrs_db: K signal-to-noise ratios, from the lowest.
        rates: error rates at them. (R, K)
        levels: one for each row. (R,)

    Returns:
        dB; -inf where even the lowest ratio has a lower rate, inf where even the highest has a higher one, NaN where
        the level is NaN. (R,)

    Raises:
        EvaluationError: the ratios do not rise, or are fewer than two.

    Example:
        >>> crossing([0, 10], np.array([[0.6, 0.2]]), np.array([0.5])).tolist()
        [2.5]
    """
    if len(snrs_db) < 2 or not np.all(np.diff(snrs_db) > 0):
        raise EvaluationError(f"`snrs_db` must be two ratios or more that rise, but is {list(snrs_db)} instead")
    fitted, levels = np.round(non_rising(rates), DIGITS), np.round(levels, DIGITS)
    places = np.asarray(snrs_db, dtype=np.float64)
    count = np.sum(fitted >= levels[:, None], axis=1)  # ratios at which the rate is at the level or above: the first
    before = np.clip(count - 1, 0, len(places) - 2)
    rows = np.arange(len(fitted))
    high, low = fitted[rows, before], fitted[rows, before + 1]
    drop = np.where(high > low, high - low, 1.0)
    found = places[before] + (high - levels) / drop * (places[before + 1] - places[before])
    found = np.where(count == 0, -np.inf, np.where(fitted[:, -1] > levels, np.inf, found))
    found = np.where(fitted[:, -1] == levels, places[-1], found)
    return np.asarray(np.where(np.isnan(levels), np.nan, found), dtype=np.float64)
