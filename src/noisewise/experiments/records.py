"""Record of a finished run: its results in a small file beside the result of its plan.

<results>/seed_<n>/<run>.json        results/wav2code/mini/seed_0/ew2_noisy.json

So the runs of a plan may be trained on several machines, or be deleted, and the tables are still those of all of them:
errors are kept utterance by utterance, and what a tagger got right clip by clip. No transcript is kept.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from noisewise.checkpoints import model_folder
from noisewise.config import parse
from noisewise.errors import ConfigError, EvaluationError
from noisewise.evaluation import format_1
from noisewise.evaluation.provenance import portable
from noisewise.evaluation.result import GridResult, Row, as_json
from noisewise.experiments.cells import Cell, Trained
from noisewise.experiments.jobs import Measurement
from noisewise.experiments.plan import Plan
from noisewise.experiments.recipe_hash import recipe_hash
from noisewise.experiments.runs import Run
from noisewise.files import replaced
from noisewise.run import TEST

FORMAT = "noisewise-run-2"
FORMAT_1 = "noisewise-run-1"
"""Format of older records, still read: `recipe_sha256` depends on every default too (see `recipe_hash`), and the grid
is of `noisewise-grid-1` and does not name its format."""


@dataclass(frozen=True)
class Record:
    """One finished run with one seed."""

    trained: Trained
    grid: GridResult | None = None
    """Grid of a recogniser that was measured, without transcripts."""
    test: dict[str, Any] | None = None
    """Test of a tagger by its recipe, clip by clip."""
    format: str = FORMAT
    """Format of the file, which decides how `recipe_sha256` is computed."""

    @property
    def key(self) -> str:
        """`seed_0/ew2_noisy`."""
        return f"seed_{self.trained.seed}/{self.trained.run}"

    def save(self, folder: Path) -> None:
        """Write the file, whole or not at all."""
        with replaced(folder / f"{self.key}.json") as file:
            grid = None if self.grid is None else self.grid.plain()
            file.write(as_json({"format": self.format, **asdict(self), "grid": grid}) + "\n")


def record(run: Run, plan: Plan) -> Record:
    """Record of the run in a finished folder."""
    grid = None
    if plan.grid is not None and run.name in plan.measured:
        grid = Measurement(run, plan.grid).result()
    if grid is not None:
        grid = grid.without_transcripts()
    test = None
    if run.recipe.test is not None:
        test = json.loads((run.folder / TEST).read_text(encoding="utf-8"))
    return Record(_trained(run, grid), grid, test)


def kept(run: Run, plan: Plan, folder: Path) -> Record | None:
    """Kept record of a run; None where there is none, or one of another recipe. A grid of other mixtures is left out.

    Raises:
        EvaluationError: the file is not such a record.
    """
    path = folder / f"{run.key}.json"
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if (found := values.get("format")) not in (FORMAT, FORMAT_1):
            raise EvaluationError(f"`{path}` must have the format {FORMAT}, but has {found!r} instead; delete it")
        if values.get("grid") is not None:
            values["grid"] = _grid(values["grid"], path)
        result = parse(Record, values)
    except (OSError, ValueError, AttributeError, ConfigError) as error:
        raise EvaluationError(f"`{path}` must be the record of a run, but is not: {error}; delete it") from error
    if result.trained.recipe_sha256 != _hash(run, result.format):
        return None
    fits = plan.grid is not None and result.grid is not None and Measurement(run, plan.grid).fits(result.grid)
    return result if fits else replace(result, grid=None)


def _grid(values: dict[str, Any], path: Path) -> GridResult:
    try:
        return GridResult.parse({"format": format_1.WORDS, **values})
    except EvaluationError as error:
        raise EvaluationError(f"`{path}`: {error}; delete it") from error


def _trained(run: Run, grid: GridResult | None) -> Trained:
    state = run.state()
    model = model_folder.load_stored(run.best)
    about = json.loads((run.best / "config.json").read_text(encoding="utf-8"))
    return Trained(
        run=run.name,
        seed=run.seed,
        recipe=portable(str(run.file)),
        recipe_sha256=_hash(run),
        kind=model.config.kind,
        steps=run.steps,
        best_step=about.get("step", 0),
        validation=about.get("metrics", {}),
        training_seconds=round(state.seconds, 1) if state else 0.0,
        audio_seconds=round(state.audio_seconds, 1) if state else 0.0,
        parameters=sum(parameter.numel() for parameter in model.model().parameters()),
        weights_sha256=model_folder.weights_hash(run.best),
        cells=[] if grid is None else [_cell(row) for row in (grid.clean, *grid.cells)],
    )


def _hash(run: Run, record_format: str = FORMAT) -> str:
    """Hash of every value that decides what the run computes, those of the runs that it begins from included."""
    before = {one.name: _hash(one, record_format) for one in run.after}
    return recipe_hash(run.recipe, before, format_number=1 if record_format == FORMAT_1 else 2)


def _cell(row: Row) -> Cell:
    return Cell(row.condition.key, row.wer, **row.counts, failures=row.failures)
