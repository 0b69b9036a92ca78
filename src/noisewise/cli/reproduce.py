"""`noisewise reproduce NAME`: the experiments of a paper, trained, measured and printed in one go."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

    from noisewise.experiments.experiment import Experiment
    from noisewise.experiments.scheduler import Outcome

LISTS = ("--seeds",)
LINE_SECONDS = 60.0
"""Between lines of progress where there is no terminal."""


def command(
    name: Annotated[str, typer.Argument(help="A plan: recipes/SCALE/NAME/plan.yaml by its name, or a path.")],
    scale: Annotated[str, typer.Option(help="The folder of recipes.")] = "mini",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the runs are.", show_default="runs/NAME_SCALE")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="The result, JSON.", show_default="results/NAME/SCALE.json")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="These runs, with what they need; commas between, or several times.")
    ] = None,
    seeds: Annotated[list[int] | None, typer.Option(help="In place of the plan's: 0 1.")] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only what no result is kept of, with what it needs.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Programs side by side.", show_default="cores")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the order, what is done, and how long.")] = False,
    tables: Annotated[bool, typer.Option("--tables", help="Train nothing; write the tables of what there is.")] = False,
) -> None:
    """Run a plan. What is finished is skipped, what was interrupted goes on, and the tables come last."""
    from noisewise.evaluation import provenance
    from noisewise.experiments import plan
    from noisewise.experiments.experiment import Experiment
    from noisewise.experiments.tables import markdown

    path = plan.find(name, scale)
    chosen = [word.strip() for text in only or [] for word in text.split(",") if word.strip()]
    experiment = Experiment.read(path, output, results, seeds=seeds or [], only=chosen, missing=missing)
    side_by_side = jobs or _cores()
    if dry_run:
        print(_order(experiment, side_by_side))
        return
    failed = False
    if not tables:
        failed = _work(experiment, side_by_side)
    words = ["noisewise", "reproduce", name, *([] if Path(name).is_file() else ["--scale", scale])]
    words += ["--output", str(output)] if output is not None else []
    published = experiment.publish(provenance.command(words), partial=tables)
    print(markdown(published.result), end="")
    if not published.is_whole and not tables:
        print("some rows are missing; --tables writes the result as it is", file=sys.stderr)
    print(f"written: {', '.join(map(str, published.written))}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def _work(experiment: "Experiment", side_by_side: int) -> bool:
    """Train and measure; True when something failed."""
    try:
        with _Display(experiment, side_by_side) as display:
            outcome = experiment.execute(side_by_side, display.update)
    except KeyboardInterrupt:
        print("\nstopped and saved; the same command goes on", file=sys.stderr)
        raise
    logs = {job.name: job.log for job in experiment.jobs()}
    for name, reason in outcome.failed.items():
        print(f"failed {name}: {reason} (all of it in {logs[name]})", file=sys.stderr)
    for name, cause in outcome.stopped.items():
        print(f"not begun {name}: it needs {cause}", file=sys.stderr)
    return bool(outcome.failed)


def _order(experiment: "Experiment", side_by_side: int) -> str:
    """One line for each job, and an estimate."""
    from noisewise.experiments.jobs import Training

    lines = []
    for job in experiment.jobs():
        at, of = job.position()
        training = isinstance(job, Training)
        standing = "done" if job.done() else f"step {at} of {of}" if training else "to do"
        needs = f", after {', '.join(sorted(job.needs))}" if job.needs and training else ""
        lines.append(f"{job.name}: {standing}{needs}")
    return "\n".join([*lines, f"{side_by_side} side by side: {_left(experiment, side_by_side)}"])


def _left(experiment: "Experiment", side_by_side: int) -> str:
    seconds = experiment.seconds_left(side_by_side)
    if seconds is None:
        return "time left unknown until something has run"
    return f"{seconds / 60:.0f} min of training left or more" if seconds else "no training left"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Display:
    """What runs and how far it is: bars on a terminal, a line now and then elsewhere; both on stderr."""

    def __init__(self, experiment: "Experiment", side_by_side: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        console = Console(stderr=True)
        self.experiment, self.side_by_side = experiment, side_by_side
        self.plain = not console.is_terminal
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self.progress = Progress(*columns, console=console, disable=self.plain)
        self.all = self.progress.add_task("", total=len(experiment.jobs()))
        self.bars: dict[str, TaskID] = {}
        self.said: object = None
        self.last = 0.0

    def __enter__(self) -> "_Display":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def update(self, outcome: "Outcome") -> None:
        """Show how things stand."""
        if self.plain:
            self._say(outcome)
        else:
            self._draw(outcome)

    def _say(self, outcome: "Outcome") -> None:
        """A line when a program begins or ends, and every minute."""
        key = (len(outcome.done), len(outcome.failed), [one.job.name for one in outcome.running])
        if key == self.said and time.monotonic() - self.last < LINE_SECONDS:
            return
        self.said, self.last = key, time.monotonic()
        running = [f"{one.job.name} {'/'.join(map(str, one.job.position()))}" for one in outcome.running]
        total = len(self.experiment.jobs())
        print(
            f"{len(outcome.done)} of {total} done, {len(outcome.failed)} failed; {', '.join(running) or 'nothing'} "
            f"running; {_left(self.experiment, self.side_by_side)}",
            file=sys.stderr,
            flush=True,
        )

    def _draw(self, outcome: "Outcome") -> None:
        left = _left(self.experiment, self.side_by_side)
        failed = f", {len(outcome.failed)} failed" if outcome.failed else ""
        self.progress.update(self.all, completed=len(outcome.done), description=f"all{failed}; {left}")
        names = {one.job.name for one in outcome.running}
        for name in [name for name in self.bars if name not in names]:
            self.progress.remove_task(self.bars.pop(name))
        for one in outcome.running:
            at, of = one.job.position()
            if one.job.name not in self.bars:
                self.bars[one.job.name] = self.progress.add_task(one.job.name, total=of or None)
            self.progress.update(self.bars[one.job.name], completed=at, total=of or None)
