"""What a finished run came to, in a small file beside the result of its plan.

<results>/seed_<n>/<run>.json        results/wav2code/mini/seed_0/ew2_noisy.json

So the runs of a plan may be trained on several machines, or be deleted, and the tables are still those of all of them:
errors are kept utterance by utterance, and what a tagger got right clip by clip. Nothing that was said is kept.
"""

import hashlib
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
from noisewise.experiments.runs import Stage
from noisewise.files import replaced
from noisewise.recipe import essence
from noisewise.run import TEST

FORMAT = "noisewise-run-2"
FIRST_FORMAT = "noisewise-run-1"
"""Records whose grid is of `noisewise-grid-1` and does not name its format."""


@dataclass(frozen=True)
class Record:
    """One finished run with one seed."""

    trained: Trained
    grid: GridResult | None = None
    """Of a recogniser that was measured, without transcripts."""
    test: dict[str, Any] | None = None
    """Of a tagger: its recipe's test, clip by clip."""

    @property
    def key(self) -> str:
        """`seed_0/ew2_noisy`."""
        return f"seed_{self.trained.seed}/{self.trained.run}"

    def save(self, folder: Path) -> None:
        """Write the file, whole or not at all."""
        with replaced(folder / f"{self.key}.json") as file:
            grid = None if self.grid is None else self.grid.plain()
            file.write(as_json({"format": FORMAT, **asdict(self), "grid": grid}) + "\n")


def record(stage: Stage, plan: Plan) -> Record:
    """What the folder of a finished run says."""
    grid = None
    if plan.grid is not None and stage.name in plan.measured:
        grid = Measurement(stage, plan.grid).result()
    if grid is not None:
        grid = grid.without_transcripts()
    test = None
    if stage.recipe.test is not None:
        test = json.loads((stage.folder / TEST).read_text(encoding="utf-8"))
    return Record(_trained(stage, grid), grid, test)


def kept(stage: Stage, plan: Plan, folder: Path) -> Record | None:
    """What was kept of a run; None where nothing was, or of another recipe. A grid of other conditions is left out.

    Raises:
        EvaluationError: the file is not such a record.
    """
    path = folder / f"{stage.key}.json"
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        found = values.pop("format", None)
        if found not in (FORMAT, FIRST_FORMAT):
            raise EvaluationError(f"`{path}` must have the format {FORMAT}, but has {found!r} instead; delete it")
        if values.get("grid") is not None:
            values["grid"] = _grid(values["grid"], path)
        result = parse(Record, values)
    except (OSError, ValueError, AttributeError, ConfigError) as error:
        raise EvaluationError(f"`{path}` must be the record of a run, but is not: {error}; delete it") from error
    if result.trained.recipe_sha256 != _hash(stage):
        return None
    fits = plan.grid is not None and result.grid is not None and Measurement(stage, plan.grid).fits(result.grid)
    return result if fits else replace(result, grid=None)


def _grid(values: dict[str, Any], path: Path) -> GridResult:
    try:
        return GridResult.parse({"format": format_1.WORDS, **values})
    except EvaluationError as error:
        raise EvaluationError(f"`{path}`: {error}; delete it") from error


def _trained(stage: Stage, grid: GridResult | None) -> Trained:
    state = stage.state()
    model = model_folder.load_stored(stage.best)
    about = json.loads((stage.best / "config.json").read_text(encoding="utf-8"))
    return Trained(
        run=stage.name,
        seed=stage.seed,
        recipe=portable(str(stage.file)),
        recipe_sha256=_hash(stage),
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


def _hash(stage: Stage) -> str:
    """Of every value that decides what the run computes, those of the runs that it begins from included."""
    values = essence(stage.recipe)
    if stage.after:
        values["after"] = {one.name: _hash(one) for one in stage.after}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _cell(row: Row) -> Cell:
    return Cell(row.condition.key, row.wer, **row.counts, failures=row.failures)
