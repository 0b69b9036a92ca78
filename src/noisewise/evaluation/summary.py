"""From scored conditions to a `GridResult`: rows, means over conditions, confidence intervals.

Legend: N utterances or clips, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from noisewise.errors import EvaluationError
from noisewise.evaluation import blocks
from noisewise.evaluation.conditions import averaged, degradations, noise_types
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import Average, GridResult, PerItem, Rate, Row
from noisewise.evaluation.resume import Cell
from noisewise.evaluation.test_set import Utterance
from noisewise.scoring import words
from noisewise.scoring.words import Counts, interval


@dataclass(frozen=True)
class Scored:
    """Scores of one condition."""

    cell: Cell
    values: dict[str, float]
    """Metric to its value."""
    resampled: dict[str, words.Rates]
    """Metric to its value in each resample, for those that are given with an interval. (R,) each"""
    errors: list[int]
    """Errors of each item. (N,)"""
    hypotheses: list[str]
    """Hypothesis, or best class, of each item. (N,)"""
    counts: dict[str, int]
    """Word errors, as in `Row`."""
    nll: dict[str, Rate] | None = None
    """Negative log-likelihoods, as in `Row`."""


def check_unit(items: Sequence[Utterance], config: GridConfig) -> None:
    """Refuse what cannot be resampled, or has no subgroups.

    Raises:
        EvaluationError: the bootstrap unit is unknown, or is the speaker where no entry names one; no entry has a
            value in a column of subgroups.
    """
    columns = _columns(items, config)
    blocks.check(config.bootstrap_unit, [one.id for one in items], [one.speaker for one in items], columns)
    for name in config.subgroups:
        if not any(columns[name]):
            raise EvaluationError(f"`subgroups` must be columns of the manifest, but no entry has '{name}'")


def draws(items: Sequence[Utterance], config: GridConfig) -> Counts:
    """How often each item is drawn in each resample, the same for all conditions. (R, N)"""
    return blocks.draws(
        config.bootstrap_unit,
        [one.id for one in items],
        [one.speaker for one in items],
        _columns(items, config),
        samples=config.bootstrap_samples,
        seed=config.seed,
    )


def _columns(items: Sequence[Utterance], config: GridConfig) -> dict[str, list[str]]:
    """Columns of the manifest, each with the value of every item; empty where an item has none. (N,) each"""
    return {name: [one.columns.get(name, "") for one in items] for name in config.columns}


def _settled(items: Sequence[Utterance], config: GridConfig) -> GridConfig:
    """The configuration as stored: without paths of this machine, with the unit that `auto` stands for."""
    unit = blocks.resolved(config.bootstrap_unit, [one.id for one in items], [one.speaker for one in items])
    return replace(config.portable(), bootstrap_unit=unit)


def summarise(
    items: Sequence[Utterance],
    scored: Sequence[Scored],
    config: GridConfig,
    *,
    task: Literal["recognition", "tagging"],
    lengths: Sequence[int],
    normaliser: str = "",
    lost: dict[str, dict[str, int]] | None = None,
    classes: int = 0,
) -> GridResult:
    """Rows, means over conditions and errors of each item.

    Args:
        items: the test set, N of them.
        scored: each condition, clean first.
        config: what was measured.
        task: words or tags.
        lengths: reference words of each item. (N,)
        normaliser: of words.
        lost: characters that it removed, as in `GridResult`.
        classes: number of classes of a tagger.
    """
    rows = [_row(one) for one in scored]
    by_condition = {one.cell.condition: one for one in scored}
    means = averaged([one.cell.condition for one in scored[1:]])
    return GridResult(
        task=task,
        config=_settled(items, config),
        items=len(items),
        groups=len({one.speaker for one in items}),
        seconds=round(sum(one.seconds for one in items), 3),
        wada_snr_db=_percentiles([one.wada_snr_db for one in items if one.wada_snr_db is not None]),
        clean=rows[0],
        cells=rows[1:],
        averages={name: _average([by_condition[one] for one in group]) for name, group in means.items()},
        per_item=PerItem(
            ids=[one.id for one in items],
            groups=[one.speaker for one in items],
            words=list(lengths),
            errors={one.cell.condition.key: one.errors for one in scored},
            references=[one.text for one in items],
            hypotheses={one.cell.condition.key: one.hypotheses for one in scored},
            failures={one.cell.condition.key: one.cell.failures for one in scored if one.cell.failures},
            columns=_columns(items, config),
        ),
        normaliser=normaliser,
        lost={side: counts for side, counts in (lost or {}).items() if counts},
        classes=classes,
    )


def _percentiles(values: Sequence[float]) -> list[float]:
    return [round(float(each), 2) for each in np.percentile(values, [5, 50, 95])] if values else []


def _row(one: Scored) -> Row:
    return Row(
        condition=one.cell.condition,
        rates=_rates([one]),
        counts=one.counts,
        failures=len(one.cell.failures),
        scaled=one.cell.scaled,
        mixture_sha256=one.cell.mixture_sha256,
        nll=one.nll,
    )


def _average(group: Sequence[Scored]) -> Average:
    conditions = [one.cell.condition for one in group]
    names = [*noise_types(conditions), *degradations(conditions)]
    return Average(rates=_rates(group), cells=len(group), names=names)


def _rates(group: Sequence[Scored]) -> dict[str, Rate]:
    """Means of all metrics over conditions, with intervals of those that were resampled."""
    return {
        metric: Rate(
            float(np.mean([one.values[metric] for one in group])),
            _ci([one.resampled[metric] for one in group]) if metric in group[0].resampled else None,
        )
        for metric in group[0].values
    }


def _ci(resampled: Sequence[words.Rates]) -> list[float]:
    """Low and high end of the interval of the mean of rates over resamples. (R,) each"""
    found = interval(np.stack(resampled, axis=1).mean(axis=1))
    return [found.low, found.high]
