"""One run of a plan with one seed: its folder, its recipe, and how far it has come.

<output>/seed_<n>/<run>/             as `noisewise train` leaves it
<output>/seed_<n>/<run>/train.log    what the training printed
<output>/seed_<n>/<run>/grid.json    as `noisewise evaluate` leaves it, and grid.log
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from noisewise.config import load
from noisewise.errors import ConfigError, RunError
from noisewise.experiments.plan import Plan
from noisewise.models import AcousticConfig
from noisewise.recipe import Recipe
from noisewise.run import TEST, check_folder
from noisewise.training import checkpoint

TAIL_BYTES = 1 << 14
"""Of a log: enough for its last records."""
BUSY_SECONDS = 180.0
"""A log that was written so recently, and is ahead of the checkpoints, is being written."""


@dataclass(frozen=True)
class Run:
    """One training."""

    name: str
    """Name of the run in the plan."""
    seed: int
    folder: Path
    file: Path
    """File of the recipe."""
    overrides: list[str]
    """Values that differ from the recipe, with placeholders filled in and the seed among them."""
    recipe: Recipe
    after: list["Run"]
    """Runs of the same seed that it begins from."""

    @property
    def needs(self) -> list[str]:
        """Names of what it needs."""
        return [one.name for one in self.after]

    @property
    def key(self) -> str:
        """`seed_0/ew2`."""
        return f"seed_{self.seed}/{self.name}"

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return self.recipe.run.steps

    @property
    def best(self) -> Path:
        """The folder of the model that the validation set chose."""
        return self.folder / "best"

    @property
    def grid(self) -> Path:
        """The result of its evaluation."""
        return self.folder / "grid.json"

    @property
    def recognises(self) -> bool:
        """Whether its model gives text."""
        return isinstance(self.recipe.model, AcousticConfig)

    def saved(self) -> int:
        """Step of the newest checkpoint; 0 without one."""
        return max(checkpoint.steps(self.folder), default=0)

    def finished(self) -> bool:
        """Whether all steps are taken and there is a model, tested where its recipe has a test set."""
        model, test = self.best / "model.safetensors", self.folder / TEST
        if self.saved() != self.steps or not model.is_file():
            return False
        if self.recipe.test is None:
            return True
        return test.is_file() and test.stat().st_mtime_ns >= model.stat().st_mtime_ns

    def state(self) -> checkpoint.State | None:
        """What the newest checkpoint says of the run."""
        try:
            path = checkpoint.folder_of(self.folder, self.saved()) / "state.json"
            return checkpoint.State(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def reached(self) -> int:
        """Last step in the log, saved or not; that of the newest checkpoint where there is no log."""
        for record in reversed(_last_records(self.folder / "log.jsonl")):
            if record.get("kind") == "train":
                return int(str(record["step"]))
        return self.saved()

    def busy(self) -> bool:
        """Whether it seems to be trained right now by something else, which holds no lock when begun by hand."""
        log = self.folder / "log.jsonl"
        return log.is_file() and time.time() - log.stat().st_mtime < BUSY_SECONDS and self.reached() > self.saved()

    def fits(self) -> bool:
        """Whether what lies in the folder is a run of this recipe."""
        try:
            self.check()
        except ConfigError:
            return False
        return True

    def check(self) -> None:
        """See that what lies in the folder is a run of this recipe.

        Raises:
            ConfigError: it is another, or was trained for longer.
        """
        check_folder(self.recipe, self.folder)
        if self.saved() > self.steps:
            raise ConfigError(
                f"`{self.folder}` must have at most {self.steps} steps, as in the plan, but has {self.saved()}; "
                "choose another --output, or the steps that it has"
            )


def runs_of(plan: Plan, path: Path, output: Path, seeds: list[int], names: list[str]) -> list[Run]:
    """Runs of a plan and what they need, seed after seed, each after what it needs.

    Raises:
        RunError: an unknown run; a run in a table that does not recognise.
        ConfigError: a recipe that cannot be used.
    """
    found: list[Run] = []
    for seed in seeds:
        there: dict[str, Run] = {}
        for name in plan.chosen(names):
            there[name] = _run(plan, name, path, output, seed, there)
        found += there.values()
    for one in found:
        if one.name in plan.measured and not one.recognises:
            raise RunError(
                f"tables and comparisons must name runs that recognise, but `{one.name}` is a model of kind "
                f"{one.recipe.model.kind}; name the run that is fine-tuned from it"
            )
        if plan.sounds is not None and one.name in plan.sounds.runs and one.recipe.test is None:
            raise RunError(
                f"`sounds` must name runs that are tested, but `{one.name}` is not; add `test` to its recipe"
            )
    return found


def _run(plan: Plan, name: str, path: Path, output: Path, seed: int, before: dict[str, Run]) -> Run:
    chosen = plan.runs[name]
    runs = output / f"seed_{seed}"
    overrides = [text.replace("{runs}", runs.as_posix()) for text in chosen.set]
    overrides.append(f"run.seed={seed}")
    file = Path(os.path.normpath(path.parent / chosen.recipe))
    try:
        recipe = load(Recipe, file, overrides)
    except ConfigError as error:
        raise ConfigError(f"`runs.{name}`: {error}") from error
    return Run(name, seed, runs / name, file, overrides, recipe, [before[need] for need in chosen.needs])


def _last_records(path: Path) -> list[dict[str, object]]:
    """The last whole lines of a log that may be growing."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # cut by the tail, or just being written
    return [record for record in records if isinstance(record, dict)]
