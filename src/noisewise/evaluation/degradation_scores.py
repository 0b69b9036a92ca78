"""Word error rate degradation of a suite: of each cell, of each group of corruptions, and of all.

Legend: N utterances, C cells, R resamples.
"""

from collections.abc import Sequence

import numpy as np

from noisewise.audio.corruptions import GROUPS
from noisewise.errors import EvaluationError
from noisewise.evaluation import blocks
from noisewise.evaluation.result import GridResult, Rate
from noisewise.scoring.robustness import difficulty_of_baseline, nwerd, werd
from noisewise.scoring.words import Counts, interval, resampled_rates


def groups_of(result: GridResult) -> dict[str, list[str]]:
    """Name of each group, and `all`, to the keys of its cells."""
    keys = {name: [row.condition.key for row in result.cells if row.condition.name in members]
            for name, members in GROUPS.items()}  # fmt: skip
    keys["all"] = [key for found in keys.values() for key in found]
    return {name: found for name, found in keys.items() if found}


def degradations_of(result: GridResult, times: Counts | None = None) -> dict[str, Rate]:
    """WERD of each cell of a suite, and its mean over each group and over all, with intervals; empty without a suite.

    Args:
        result: a grid of a suite.
        times: how often each utterance is drawn in each resample; as in the grid when left out. (R, N)
    """
    groups = groups_of(result)
    if result.task != "recognition" or not groups:
        return {}
    if times is None:
        config = result.config
        times = blocks.draws_of(result, config.bootstrap_unit, samples=config.bootstrap_samples, seed=config.seed)
    keys = groups["all"]
    found = _werd(result, keys, np.concatenate([np.ones((1, result.items), dtype=np.int64), times]))  # (1 + R, C)
    named = {key: [key] for key in keys} | groups
    rates = {}
    for name, members in named.items():
        values = found[:, [keys.index(key) for key in members]].mean(axis=1)
        ends = interval(values[1:])
        rates[name] = Rate(float(values[0]), [ends.low, ends.high])
    return rates


def normalised(result: GridResult, baseline: GridResult) -> dict[str, float]:
    """NWERD of each group and of all, the difficulty of a cell being from the word error rate of a baseline.

    Raises:
        EvaluationError: the baseline was not measured on all cells.
    """
    groups = groups_of(result)
    keys = groups.get("all", [])
    if missing := [key for key in keys if key not in baseline.rows]:
        raise EvaluationError(f"the baseline must have the cells of `{result.system}`, but lacks {', '.join(missing)}")
    if not keys:
        return {}
    once = np.ones((1, result.items), dtype=np.int64)
    difficulty = difficulty_of_baseline(np.array([baseline.rows[key].wer for key in keys]))
    each = nwerd(_werd(result, keys, once)[0], difficulty)
    return {name: float(np.mean([each[keys.index(key)] for key in members])) for name, members in groups.items()}


def _werd(result: GridResult, keys: Sequence[str], times: Counts) -> np.ndarray:
    """Degradation of each cell in each resample. (1 + R, C)"""
    errors = np.array([result.per_item.errors[key] for key in ("clean", *keys)], dtype=np.int64).T
    rates = resampled_rates(times, errors, np.array(result.per_item.words, dtype=np.int64))
    return werd(rates[:, 1:], rates[:, 0])
