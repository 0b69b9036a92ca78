"""Jobs side by side: their order, failures, interruptions. The programs are small ones of Python."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from noisewise.experiments.scheduler import Outcome, run_jobs

NOTE = "import sys, pathlib; pathlib.Path(sys.argv[1]).touch()"
FAIL = "print('starting'); print('noisewise: it broke'); raise SystemExit(2)"
LONG = """
import os, pathlib, signal, sys, time
def save(*_):
    pathlib.Path(sys.argv[1] + ".saved").touch()
    sys.exit(2)
signal.signal(signal.SIGTERM, save)
print("ready", os.getpid(), flush=True)
time.sleep(60)
"""


@dataclass
class Program:
    """Done when its file is there."""

    name: str
    folder: Path
    code: str = NOTE
    needs: frozenset[str] = frozenset()
    begun: list[str] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def file(self) -> Path:
        return self.folder / self.name

    def command(self) -> list[str]:
        self.begun.append(self.name)
        return [sys.executable, "-c", self.code, str(self.file)]

    def done(self) -> bool:
        return self.file.exists()

    def position(self) -> tuple[int, int]:
        return 0, 1


def quick(*jobs: Program, side_by_side: int = 2) -> Outcome:
    return run_jobs(jobs, side_by_side, poll_seconds=0.02)


def test_a_job_begins_when_what_it_needs_is_done_and_what_is_done_is_left(tmp_path: Path) -> None:
    begun: list[str] = []
    needs_both = "import sys, pathlib; f = pathlib.Path(sys.argv[1]); assert (f.parent / 'a').exists(); f.touch()"
    a, b, c = (
        Program("a", tmp_path, begun=begun),
        Program("b", tmp_path, begun=begun),
        Program("c", tmp_path, needs_both, frozenset({"a", "b", "elsewhere"}), begun),
    )
    b.file.touch()
    assert quick(a, b, c).done == ["b", "a", "c"]
    assert begun == ["a", "c"]


def test_no_more_than_so_many_run_at_a_time(tmp_path: Path) -> None:
    most = []
    jobs = [Program(name, tmp_path) for name in "abc"]
    run_jobs(jobs, 1, lambda outcome: most.append(len(outcome.running)), poll_seconds=0.01)
    assert max(most) == 1 and most[-1] == 0


def test_a_failure_stops_what_needs_it_and_nothing_else(tmp_path: Path) -> None:
    outcome = quick(
        Program("a", tmp_path, FAIL),
        Program("b", tmp_path, needs=frozenset("a")),
        Program("c", tmp_path, needs=frozenset("b")),
        Program("d", tmp_path),
    )
    assert outcome.done == ["d"]
    assert outcome.failed == {"a": "noisewise: it broke"}
    assert outcome.stopped == {"b": "a", "c": "a"}


def test_a_program_that_ends_well_with_nothing_done_has_failed(tmp_path: Path) -> None:
    assert quick(Program("a", tmp_path, "pass")).failed == {"a": "exit status 0, but not done: nothing printed"}


def test_programs_are_pinned_and_have_one_thread(tmp_path: Path) -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("programs cannot be kept to cores here")
    code = (
        "import os, sys, pathlib, time; time.sleep(0.3)\n"
        "pathlib.Path(sys.argv[1]).write_text(f'{len(os.sched_getaffinity(0))} {os.environ[\"OMP_NUM_THREADS\"]}')"
    )
    cores = len(os.sched_getaffinity(0))
    job = Program("a", tmp_path, code)
    quick(job, side_by_side=cores)
    assert job.file.read_text() == "1 1"


def test_interrupted_it_asks_programs_to_stop_and_waits_until_they_have_saved(tmp_path: Path) -> None:
    jobs = [Program("a", tmp_path, LONG), Program("b", tmp_path, LONG)]

    def interrupt(outcome: Outcome) -> None:
        if all(job.log.exists() and "ready" in job.log.read_text() for job in jobs):
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, 2, interrupt, poll_seconds=0.02)
    assert all(Path(f"{job.file}.saved").exists() for job in jobs)
    assert signal.getsignal(signal.SIGTERM) == before


def test_two_do_not_work_in_one_folder(tmp_path: Path) -> None:
    """Not even when the first one was killed and its program lives on."""
    pytest.importorskip("fcntl")
    code = (
        "import sys; from pathlib import Path; from tests.experiments.test_scheduler import LONG, Program, quick\n"
        "quick(Program('a', Path(sys.argv[1]), LONG))"
    )
    first = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2])
    job = Program("a", tmp_path)
    try:
        for _ in range(600):
            if job.log.exists() and "ready" in job.log.read_text():
                break
            time.sleep(0.05)
        first.kill()
        first.wait()
        assert "is held by a program that works there already" in quick(job).failed["a"]
    finally:
        if job.log.exists() and "ready" in job.log.read_text():
            os.kill(int(job.log.read_text().split()[1]), signal.SIGKILL)
