"""`noisewise reproduce`: what a person sees while it works. The rest is in tests/reproduce/test_experiment.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from noisewise.cli.reproduce import _Display
from noisewise.experiments.experiment import Experiment
from noisewise.experiments.scheduler import Outcome, Running


@dataclass
class Work:
    """Stands for an experiment with some jobs."""

    left: float | None = 600.0

    def jobs(self) -> list[str]:
        return ["a", "b", "c"]

    def seconds_left(self, side_by_side: int) -> float | None:
        return self.left


@dataclass
class Job:
    name: str
    at: int
    of: int
    needs: frozenset[str] = frozenset()
    log: Path = Path("log")

    def position(self) -> tuple[int, int]:
        return self.at, self.of

    def command(self) -> list[str]:
        return []

    def done(self) -> bool:
        return False


def running(*jobs: Job) -> Outcome:
    process = cast(Any, None)
    return Outcome(done=["a"], running=[Running(job, process, 0, 0.0, 0) for job in jobs])


def test_lines_say_what_runs_and_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    with _Display(cast(Experiment, Work()), 2) as display:
        display.update(running(Job("seed_0/b", 20, 100)))
        display.update(running(Job("seed_0/b", 21, 100)))
        display.update(Outcome(done=["a"], failed={"seed_0/b": "it broke"}))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "1 of 3 done, 0 failed; seed_0/b 20/100 running; 10 min of training left or more",
        "1 of 3 done, 1 failed; nothing running; 10 min of training left or more",
    ]


def test_bars_come_and_go_with_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    display = _Display(cast(Experiment, Work(left=None)), 2)
    assert not display.plain
    display.update(running(Job("seed_0/b", 20, 100), Job("seed_0/a grid", 3, 0)))
    shown = {task.description: (task.completed, task.total) for task in display.progress.tasks}
    assert shown == {
        "all; time left unknown until something has run": (1, 3),
        "seed_0/b": (20, 100),
        "seed_0/a grid": (3, None),
    }
    display.update(running(Job("seed_0/b", 30, 100)))
    assert [task.completed for task in display.progress.tasks] == [1, 30]
