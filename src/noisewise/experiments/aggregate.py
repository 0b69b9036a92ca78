"""From the records of a plan's runs to one `Reproduction`."""

from collections.abc import Sequence
from pathlib import Path

from noisewise.evaluation import blocks
from noisewise.evaluation.provenance import portable, versions
from noisewise.evaluation.result import GridResult
from noisewise.experiments.bootstrap import MEANS, Resampler, check_same, groups, mixtures
from noisewise.experiments.plan import ComparisonPlan, Plan
from noisewise.experiments.records import Record
from noisewise.experiments.result import Bootstrap, Compared, Measured, Mixtures, Reproduction
from noisewise.experiments.tagging import aggregate_tagging

RESAMPLES = 1000
Grids = dict[str, dict[int, GridResult]]
"""Run and seed to its grid."""


def aggregate(
    plan: Plan, path: Path, title: str, seeds: Sequence[int], records: Sequence[Record], command: str
) -> Reproduction:
    """Results of all finished runs and their grids.

    Args:
        plan: what was to be done.
        path: its file.
        title: what the result is called.
        seeds: with which every run was to be trained.
        records: of the finished runs, of all seeds.
        command: rebuilds the result.

    Raises:
        EvaluationError: grids are of other mixtures.
        EvaluationError: taggers were not tested on the same clips.
    """
    grids: Grids = {}
    for one in records:
        if one.grid is not None:
            grids.setdefault(one.trained.run, {})[one.trained.seed] = one.grid
    named = [(one.key, one.grid) for one in records if one.grid is not None]
    result = Reproduction(
        title=title,
        plan=portable(str(path)),
        seeds=sorted(seeds),
        runs=[one.trained for one in records],
        tables=plan.tables,
        command=command,
        versions=versions(),
        sounds=None if plan.sounds is None else aggregate_tagging(plan.sounds, records),
    )
    if plan.grid is None or not named:
        return result
    check_same(named)
    first = named[0][1]
    unit = blocks.resolved(plan.grid.bootstrap_unit, first.per_item.ids, first.per_item.groups)
    resampler = Resampler.of(first, unit, RESAMPLES, plan.grid.seed)
    return Reproduction(
        **{
            **vars(result),
            "test": _test(first),
            "bootstrap": Bootstrap(unit=unit, samples=RESAMPLES),
            "measured": [_measured(name, found, resampler) for name, found in grids.items()],
            "compared": [
                _compared(one, grids, resampler)
                for one in plan.comparisons
                if grids.get(one.better, {}).keys() & grids.get(one.than, {}).keys()
            ],
        }
    )


def _measured(name: str, grids: dict[int, GridResult], resampler: Resampler) -> Measured:
    found = list(grids.values())
    rates = {mean: resampler.rate(found, conditions) for mean, conditions in groups(found[0]).items()}
    return Measured(name, sorted(grids), rates)


def _compared(plan: ComparisonPlan, grids: Grids, resampler: Resampler) -> Compared:
    """Over the seeds that both have."""
    seeds = sorted(grids[plan.better].keys() & grids[plan.than].keys())
    better, than = ([grids[name][seed] for seed in seeds] for name in (plan.better, plan.than))
    wanted = groups(better[0])
    return Compared(
        plan.better,
        plan.than,
        seeds,
        {
            name: resampler.difference(better, than, conditions)
            for name, conditions in wanted.items()
            if name in ("clean", *MEANS, *better[0].noise_types)
        },
    )


def _test(grid: GridResult) -> Mixtures:
    return Mixtures(
        manifest=grid.config.manifest,
        noise=grid.config.noise,
        seed=grid.config.seed,
        utterances=grid.items,
        speakers=grid.groups,
        words=sum(grid.per_item.words),
        seconds=grid.seconds,
        normaliser=grid.normaliser,
        noise_types=grid.noise_types,
        snr_db=grid.snrs_db,
        mixtures=mixtures(grid),
    )
