"""What is done for one run: its training, then its noise grid. Each is a program of its own that can be resumed."""

import json
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from noisewise.checkpoints.model_folder import weights_hash
from noisewise.errors import EvaluationError
from noisewise.evaluation.provenance import portable
from noisewise.evaluation.result import GridResult
from noisewise.experiments.plan import GridPlan
from noisewise.experiments.runs import Run

NOISEWISE = (sys.executable, "-m", "noisewise")


@dataclass(frozen=True)
class Training:
    """`noisewise train` of a run."""

    run: Run

    @property
    def name(self) -> str:
        """`seed_0/ew2`."""
        return self.run.key

    @property
    def needs(self) -> frozenset[str]:
        """Trainings that come first."""
        return frozenset(f"seed_{self.run.seed}/{name}" for name in self.run.needs)

    @property
    def log(self) -> Path:
        """What the program prints."""
        return self.run.folder / "train.log"

    def command(self) -> list[str]:
        """The program; the same one begins a run and goes on with it."""
        one = self.run
        return [*NOISEWISE, "train", str(one.file), *one.overrides, "--output", str(one.folder)]

    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.run.finished()

    def position(self) -> tuple[int, int]:
        """Steps taken, and in all."""
        return self.run.reached(), self.run.steps


@dataclass(frozen=True)
class Measurement:
    """`noisewise evaluate` of a run's best model."""

    run: Run
    grid: GridPlan

    @property
    def name(self) -> str:
        """`seed_0/ew2 grid`."""
        return f"{self.run.key} grid"

    @property
    def needs(self) -> frozenset[str]:
        """The training of its model."""
        return frozenset({self.run.key})

    @property
    def log(self) -> Path:
        """What the program prints."""
        return self.run.folder / "grid.log"

    @property
    def partial(self) -> Path:
        """Where `noisewise evaluate` keeps finished cells."""
        return self.run.folder / ".grid.json.partial"

    def command(self) -> list[str]:
        """The program; it goes on with the cells of the same model and mixtures, and forgets those of others."""
        grid = self.grid
        words = [*NOISEWISE, "evaluate", grid.manifest, "--model", str(self.run.best), *grid.options()]
        words += ["--device", grid.device, "--output", str(self.run.grid)]
        return [*words, "--restart"] if self._begun_otherwise() else words

    def done(self) -> bool:
        """Whether there is a grid of this model on these mixtures."""
        return self.result() is not None

    def result(self) -> GridResult | None:
        """The grid of this model on these mixtures, if there is one."""
        if not self.run.finished() or not self.run.grid.is_file():
            return None
        try:
            found = GridResult.load(self.run.grid)
        except EvaluationError:
            return None
        return found if self.fits(found) and found.system_details == self._details else None

    def fits(self, found: GridResult) -> bool:
        """Whether a grid, of whatever model, is of these mixtures."""
        wanted, measured = self.grid.portable(), found.config
        names = ("manifest", "noise", "levels", "seed", "limit")
        same = all(getattr(wanted, name) == getattr(measured, name) for name in names)
        return same and (
            wanted.noise is None
            or (
                found.snrs_db == sorted(set(wanted.snrs_db))
                and (not wanted.types or set(found.noise_types) == set(wanted.types))
            )
        )

    def position(self) -> tuple[int, int]:
        """Cells that are done, and all of them; 0 where that is not known."""
        try:
            done = len(self.partial.read_text(encoding="utf-8").splitlines()) - 1
        except OSError:
            done = 0
        types, snrs = len(self.grid.types), len(set(self.grid.snrs_db))
        return max(done, 0), (1 if self.grid.noise is None else (types * snrs + 1 if types else 0))

    @property
    def _noise(self) -> str | None:
        return portable(self.grid.noise) if self.grid.noise else None

    @cached_property
    def _details(self) -> dict[str, str]:
        return {"weights_sha256": weights_hash(self.run.best)}

    def _begun_otherwise(self) -> bool:
        try:
            with self.partial.open(encoding="utf-8") as file:
                about = json.loads(file.readline())
            found = [about[name] for name in ("manifest", "noise", "seed", "system_details")]
        except (OSError, ValueError, KeyError, TypeError):
            return True
        return found != [portable(self.grid.manifest), self._noise, self.grid.seed, self._details]
