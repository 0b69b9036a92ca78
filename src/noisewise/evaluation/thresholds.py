"""The SNR at which the word error rate doubles, and that at which it reaches 50 %, for each noise type.

Both are read off the rates of a grid by monotone interpolation (`noisewise.scoring.thresholds`), on the resamples of
the grid for their intervals. Lower is better: a recogniser that needs less signal.

Legend: N utterances, R resamples, K signal-to-noise ratios.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from noisewise.evaluation import blocks
from noisewise.evaluation.result import GridResult, SnrThresholds, Threshold
from noisewise.scoring.thresholds import Values, crossing
from noisewise.scoring.words import Counts, resampled_rates

HALF = 0.5
"""The word error rate of `SnrThresholds.half`."""


def thresholds(result: GridResult, times: Counts | None = None) -> dict[str, SnrThresholds]:
    """Thresholds of each noise type, and of the types of `all` together; none without words, noise or two SNRs.

    Args:
        result: a grid of a recogniser.
        times: how often each utterance is drawn in each resample; as in the grid when left out. (R, N)
    """
    if result.task != "recognition" or len(result.snrs_db) < 2:
        return {}
    if times is None:
        config = result.config
        times = blocks.draws_of(result, config.bootstrap_unit, samples=config.bootstrap_samples, seed=config.seed)
    once = np.ones((1, result.items), dtype=np.int64)
    times = np.concatenate([once, times])  # the first row is the grid itself
    groups = {kind: [kind] for kind in result.noise_types}
    if "all" in result.averages:
        groups["all"] = result.averages["all"].names
    return {name: _of(result, kinds, times) for name, kinds in groups.items()}


def _of(result: GridResult, kinds: Sequence[str], times: Counts) -> SnrThresholds:
    clean = _rates(result, ["clean"], times)
    rates = np.stack(
        [_rates(result, [result.cell(kind, snr).condition.key for kind in kinds], times) for snr in result.snrs_db],
        axis=1,
    )  # (1 + R, K)
    doubled = np.where(clean > 0, 2 * clean, np.nan)
    return SnrThresholds(
        doubled=_threshold(result.snrs_db, crossing(result.snrs_db, rates, doubled)),
        half=_threshold(result.snrs_db, crossing(result.snrs_db, rates, np.full(len(rates), HALF))),
    )


def _rates(result: GridResult, keys: Sequence[str], times: Counts) -> Values:
    """Mean over conditions in each resample. (1 + R,)"""
    errors = np.array([result.per_item.errors[key] for key in keys], dtype=np.int64).T
    mean: Values = resampled_rates(times, errors, np.array(result.per_item.words, dtype=np.int64)).mean(axis=1)
    return mean


def _threshold(snrs_db: Sequence[float], found: Values) -> Threshold:
    """A threshold from its value and its resamples; those beyond the SNRs measured count as the nearest of these."""
    value, resampled = float(found[0]), found[1:][~np.isnan(found[1:])]
    where: Literal["within", "below", "above", "undefined"] = "within"
    if not np.isfinite(value):
        where = "undefined" if np.isnan(value) else "above" if value > 0 else "below"
    ci = None
    if where != "undefined" and len(resampled):
        within = np.clip(resampled, snrs_db[0], snrs_db[-1])
        ci = [float(end) for end in np.percentile(within, [2.5, 97.5])]
    return Threshold(value if where == "within" else None, ci, where)
