"""From the folders of a plan's runs to one `Reproduction`."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from noisewise import model_folder
from noisewise.evaluation.provenance import portable, versions
from noisewise.evaluation.result import Bootstrap, GridResult, Row
from noisewise.recipe import essence
from noisewise.reproduce.jobs import Measurement
from noisewise.reproduce.plan import ComparisonPlan, Plan
from noisewise.reproduce.result import Cell, Compared, Measured, Mixtures, Reproduction, Trained
from noisewise.reproduce.seeds import MEANS, Resampler, check_same, condition, groups, mixtures
from noisewise.reproduce.sounds import gather_sounds
from noisewise.reproduce.stage import Stage

RESAMPLES = 1000
Grids = dict[str, dict[int, GridResult]]
"""Run and seed to what it got wrong."""


def gather(plan: Plan, path: Path, title: str, stages: Sequence[Stage], command: str) -> Reproduction:
    """All that finished runs and their grids say; what is not there, or is a run of another recipe, is left out.

    Args:
        plan: what was to be done.
        path: its file.
        title: what the result is called.
        stages: the runs, of all seeds.
        command: rebuilds the result.

    Raises:
        MixtureError: grids did not hear the same.
        TestSetError: taggers were not tested on the same clips.
    """
    finished = [one for one in stages if one.finished() and one.fits()]
    grids: Grids = {}
    for one in finished:
        grid = Measurement(one, plan.grid).result() if plan.grid and one.name in plan.measured else None
        if grid is not None:
            grids.setdefault(one.name, {})[one.seed] = grid
    named = [(f"seed_{seed}/{name}", grid) for name, found in grids.items() for seed, grid in found.items()]
    result = Reproduction(
        title=title,
        plan=portable(str(path)),
        seeds=sorted({one.seed for one in stages}),
        runs=[_trained(one, grids.get(one.name, {}).get(one.seed)) for one in finished],
        tables=plan.tables,
        command=command,
        versions=versions(),
        sounds=None if plan.sounds is None else gather_sounds(plan.sounds, stages),
    )
    if plan.grid is None or not named:
        return result
    check_same(named)
    unit, first = plan.grid.bootstrap_unit, named[0][1]
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


def _trained(stage: Stage, grid: GridResult | None) -> Trained:
    state = stage.state()
    model = model_folder.load_stage(stage.best)
    about = json.loads((stage.best / "config.json").read_text(encoding="utf-8"))
    return Trained(
        run=stage.name,
        seed=stage.seed,
        recipe=portable(str(stage.file)),
        recipe_sha256=hashlib.sha256(json.dumps(essence(stage.recipe), sort_keys=True).encode()).hexdigest(),
        kind=model.config.kind,
        steps=stage.steps,
        best_step=about.get("step", 0),
        validation=about.get("metrics", {}),
        training_seconds=round(state.seconds, 1) if state else 0.0,
        audio_seconds=round(state.audio_seconds, 1) if state else 0.0,
        parameters=sum(parameter.numel() for parameter in model.model().parameters()),
        weights_sha256=model_folder.weights_hash(stage.best),
        cells=[] if grid is None else [_cell(row) for row in (grid.clean, *grid.cells)],
    )


def _cell(row: Row) -> Cell:
    return Cell(condition(row), row.wer, row.S, row.D, row.I, row.words, row.failures)


def _test(grid: GridResult) -> Mixtures:
    return Mixtures(
        manifest=grid.manifest,
        noise=grid.noise,
        seed=grid.seed,
        utterances=grid.utterances,
        speakers=grid.speakers,
        words=sum(grid.per_utterance.words),
        seconds=grid.seconds,
        normaliser=grid.normaliser,
        noise_types=grid.noise_types,
        snr_db=grid.snr_db,
        mixtures=mixtures(grid),
    )
