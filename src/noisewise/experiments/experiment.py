"""A plan put to work: what is done, what is left, the runs, the result and its tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from noisewise.errors import RunError
from noisewise.experiments import plan as plans
from noisewise.experiments import tables
from noisewise.experiments.aggregate import aggregate
from noisewise.experiments.eta import recorded_seconds_per_step, seconds_left, seconds_per_step
from noisewise.experiments.jobs import Measurement, Training
from noisewise.experiments.plan import Plan
from noisewise.experiments.records import Record, kept, record
from noisewise.experiments.result import Reproduction
from noisewise.experiments.runs import BUSY_SECONDS, Run, runs_of
from noisewise.experiments.scheduler import POLL_SECONDS, Outcome, Watch, run_jobs
from noisewise.experiments.tagging_tables import draw
from noisewise.files import replaced


@dataclass(frozen=True)
class Experiment:
    """A plan, where it runs, and which of it."""

    plan: Plan
    path: Path
    """The plan's file."""
    output: Path
    """Where the runs are: `<output>/seed_<n>/<run>`."""
    results: Path
    """The result's file."""
    runs: list[Run]
    """The chosen runs and what they need, each after what it needs."""

    @classmethod
    def read(
        cls,
        path: Path,
        output: Path | None = None,
        results: Path | None = None,
        *,
        seeds: Sequence[int] = (),
        only: Sequence[str] = (),
        missing: bool = False,
    ) -> "Experiment":
        """Read a plan.

        Args:
            path: its file.
            output: where the runs are; `runs/<title>` when left out.
            results: the result's file; `results/<name>/<scale>.json` when left out.
            seeds: in place of the plan's.
            only: these runs, with what they need; all when left out.
            missing: leave out runs of which a record is kept, unless others need them.

        Raises:
            NoisewiseError: the plan, a recipe or a folder cannot be used.
        """
        plan = plans.read(path)
        folder = output or Path("runs") / plans.title(path)
        chosen = runs_of(plan, path, folder, list(seeds) or plan.seeds, list(only) or list(plan.runs))
        for one in chosen:
            one.check()
        experiment = cls(plan, path, folder, results or Path("results") / f"{plans.place(path)}.json", chosen)
        return replace(experiment, runs=experiment._missing()) if missing else experiment

    @property
    def title(self) -> str:
        """`wav2code_mini`."""
        return plans.title(self.path)

    def jobs(self) -> list[Training | Measurement]:
        """Trainings, each followed by the grid of its model."""
        found: list[Training | Measurement] = []
        for one in self.runs:
            found.append(Training(one))
            if self.plan.grid is not None and one.name in self.plan.measured:
                found.append(Measurement(one, self.plan.grid))
        return found

    def execute(
        self, side_by_side: int, watch: Watch = lambda outcome: None, poll_seconds: float = POLL_SECONDS
    ) -> Outcome:
        """Train and measure what is not done.

        Raises:
            RunError: something else trains one of the runs.
            KeyboardInterrupt: asked to stop, and stopped.
        """
        for one in self.runs:
            if one.busy():
                raise RunError(
                    f"`{one.folder}` must be left alone, but something trains there now (log.jsonl grows); "
                    f"wait for it or stop it; if it was killed, wait {BUSY_SECONDS:.0f} s"
                )
        return run_jobs(self.jobs(), side_by_side, watch, poll_seconds)

    def seconds_left(self, side_by_side: int) -> float | None:
        """At least this long, by the steps so far, or by those of a stored result; None when it cannot be said."""
        return seconds_left(self.runs, {**self._recorded, **seconds_per_step(self.runs)}, side_by_side)

    @cached_property
    def _recorded(self) -> dict[str, float]:
        return recorded_seconds_per_step(self.results)

    @property
    def records(self) -> Path:
        """The folder of what finished runs came to, beside the result."""
        return self.results.with_suffix("" if self.results.suffix else ".runs")

    def _missing(self) -> list[Run]:
        """Runs of which no record is kept, and what they need."""
        found: set[str] = set()
        for one in reversed(self.runs):
            old = kept(one, self.plan, self.records)
            whole = old is not None and (old.grid is not None or one.name not in self.plan.measured)
            if one.key in found or not whole:
                found |= {one.key, *(f"seed_{one.seed}/{need}" for need in one.needs)}
        return [one for one in self.runs if one.key in found]

    def result(self, command: str) -> Reproduction:
        """What there is, of all runs and seeds of the plan, chosen or not; records of finished runs are written.

        A run is what its folder holds, or what was kept of it where the folder does not hold it finished; what is a run
        of another recipe is left out.
        """
        seeds = sorted({*self.plan.seeds, *(one.seed for one in self.runs)})
        found: list[Record] = []
        for one in runs_of(self.plan, self.path, self.output, seeds, list(self.plan.runs)):
            if one.finished() and one.fits():
                found.append(record(one, self.plan))
                found[-1].save(self.records)
            elif (old := kept(one, self.plan, self.records)) is not None:
                found.append(old)
        return aggregate(self.plan, self.path, self.title, seeds, found, command)

    def publish(self, command: str, *, partial: bool = False) -> "Published":
        """Write the tables beside the runs, and the result where nothing in them is missing.

        Args:
            command: rebuilds the result.
            partial: write the result even where rows are missing.
        """
        result = self.result(command)
        written, is_whole = self.write_tables(result), whole(result)
        if is_whole or partial:
            result.save(self.results)
            written.append(self.results)
        return Published(result, written, is_whole)

    def write_tables(self, result: Reproduction) -> list[Path]:
        """Write `tables.md`, `tables.tex` and `tables.csv` beside the runs."""
        written: dict[str, Callable[[Reproduction], str]] = {
            "md": tables.markdown, "tex": tables.latex, "csv": tables.comma_separated,
        }  # fmt: skip
        self.output.mkdir(parents=True, exist_ok=True)
        paths = [self.output / f"tables.{suffix}" for suffix in written]
        for path, write in zip(paths, written.values(), strict=True):
            with replaced(path) as file:
                file.write(write(result))
        return [*paths, *draw(result, self.output)]


@dataclass(frozen=True)
class Published:
    """A result and the files that hold it."""

    result: Reproduction
    """Result of all finished runs."""
    written: list[Path]
    """Tables, and the result's own file where it was written."""
    is_whole: bool
    """Whether every row of every table has been measured with every seed."""


def whole(result: Reproduction) -> bool:
    """Whether every row of every table has been measured with every seed."""
    named = {row.run for table in result.tables for row in table.rows}
    if result.sounds is not None:
        tested = {one.run for one in result.sounds.accuracies if set(one.seeds) >= set(result.seeds)}
        if not result.sounds.plan.shown <= tested:
            return False
    return named <= {one.run for one in result.measured if set(one.seeds) >= set(result.seeds)}
