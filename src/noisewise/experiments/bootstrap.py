"""Error rates over seeds, and differences in pairs.

A run's rate is the mean over its seeds, which is the rate of the errors of all seeds together, for the words are the
same. Confidence intervals resample utterances, or whole speakers (Bisani and Ney, ICASSP 2004): what is drawn comes
with its errors under all conditions, by all seeds and all runs. So an interval says what other speech would give with
these trained models; how much training itself varies is in the rates by seed.

Legend: N utterances, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import EvaluationError
from noisewise.evaluation import blocks
from noisewise.evaluation.conditions import averaged
from noisewise.evaluation.result import GridResult
from noisewise.experiments.cells import Difference, Rate
from noisewise.scoring.significance import matched_pairs, sign_test
from noisewise.scoring.words import Counts, Rates, interval, resampled_rates

MEANS = ("type_a", "type_b", "all", "type_a_above_0_db", "type_b_above_0_db", "all_above_0_db")


def mixtures(grid: GridResult) -> dict[str, str]:
    """Condition to the hash of its mixtures."""
    return {key: row.mixture_sha256 for key, row in grid.rows.items()}


def groups(grid: GridResult) -> dict[str, list[str]]:
    """Names to the conditions whose mean they are: every condition itself, and the averages of the grid."""
    means = averaged([row.condition for row in grid.cells])
    return {key: [key] for key in grid.rows} | {name: [one.key for one in group] for name, group in means.items()}


def check_same(grids: Sequence[tuple[str, GridResult]]) -> None:
    """See that all were measured on the same utterances in the same mixtures, scored by the same rules.

    Raises:
        EvaluationError: one did not.
    """
    name, first = grids[0]
    for other_name, other in grids[1:]:
        expected, found = ((one.per_item.ids, one.normaliser, mixtures(one)) for one in (first, other))
        if expected != found:
            raise EvaluationError(
                f"`{other_name}` must be measured on the same mixtures as `{name}`, but is not (utterances, "
                "mixture_sha256 or normaliser differ: files have changed between the two); delete the older grid.json"
            )


@dataclass(frozen=True)
class Resampler:
    """The draws that serve every run, (R, N)."""

    times: Counts

    @classmethod
    def of(cls, grid: GridResult, unit: str, samples: int, seed: int) -> "Resampler":
        """Draws of the utterances or blocks of a grid."""
        return cls(blocks.draws_of(grid, unit, samples=samples, seed=seed))

    def rate(self, grids: Sequence[GridResult], conditions: Sequence[str]) -> Rate:
        """Mean over the seeds of a run."""
        errors, words = _summed(grids, conditions), _words(grids, conditions)
        found = interval(resampled_rates(self.times, errors, words))
        by_seed = [_rate(_summed([grid], conditions), _words([grid], conditions)) for grid in grids]
        return Rate(_rate(errors, words), (found.low, found.high), by_seed)

    def difference(
        self, better: Sequence[GridResult], than: Sequence[GridResult], conditions: Sequence[str]
    ) -> Difference:
        """Rate of the one less that of the other, over as many seeds of each."""
        words = _words(than, conditions)
        ours, theirs = _summed(better, conditions), _summed(than, conditions)
        resampled, beside = (resampled_rates(self.times, errors, words) for errors in (ours, theirs))
        difference, rate = _rate(ours - theirs, words), _rate(theirs, words)
        found = interval(resampled - beside)
        pairs = ours - theirs
        z, p = matched_pairs(pairs)
        wins, losses = int((pairs < 0).sum()), int((pairs > 0).sum())
        return Difference(
            difference=difference,
            ci=(found.low, found.high),
            relative=difference / rate if rate else None,
            relative_ci=_relative(resampled, beside) if rate else None,
            z=z,
            p=p,
            better=wins,
            worse=losses,
            sign_p=sign_test(wins, losses),
            by_seed=[
                _rate(_summed([one], conditions) - _summed([other], conditions), _words([other], conditions))
                for one, other in zip(better, than, strict=True)
            ],
        )


def _relative(resampled: Rates, beside: Rates) -> tuple[float, float]:
    """Interval of the relative change; resamples in which the other makes no error are left out."""
    drawn = np.where(beside > 0, beside, np.nan)
    found = interval((resampled - beside) / drawn)
    return found.low, found.high


def _summed(grids: Sequence[GridResult], conditions: Sequence[str]) -> NDArray[np.int64]:
    """Errors of each utterance over seeds and conditions. (N,)"""
    rows = [grid.per_item.errors[name] for grid in grids for name in conditions]
    summed: NDArray[np.int64] = np.array(rows, dtype=np.int64).sum(axis=0)
    return summed


def _words(grids: Sequence[GridResult], conditions: Sequence[str]) -> NDArray[np.int64]:
    """Reference words behind `_summed`. (N,)"""
    return np.array(grids[0].per_item.words, dtype=np.int64) * (len(grids) * len(conditions))


def _rate(errors: NDArray[np.int64], words: NDArray[np.int64]) -> float:
    return float(errors.sum() / words.sum())
