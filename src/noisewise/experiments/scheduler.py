"""Jobs side by side, each a program of its own, in the order of what they need.

A job that fails stops those that need it, and no other. Interrupted (Ctrl-C, SIGTERM), all programs are asked to stop,
and save what they have. The log of a job is locked while its program lives, so that no second one works in its folder,
even when the first one's parent was killed.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

POLL_SECONDS = 1.0
STOP_SECONDS = 0.1
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
"""Programs side by side that wait for the threads of one another only lose."""


class Job(Protocol):
    """Something that a program does."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def needs(self) -> frozenset[str]:
        """Names of jobs that come first."""
        ...

    @property
    def log(self) -> Path:
        """Where the program's output goes."""
        ...

    def command(self) -> list[str]:
        """The program and its words; asked when it starts."""
        ...

    def done(self) -> bool:
        """Whether there is nothing left to do; asked when what it needs is done, and when the program has ended."""
        ...

    def position(self) -> tuple[int, int]:
        """How far it is, and of how much; 0 where that is not known."""
        ...


@dataclass
class Running:
    """A job whose program lives."""

    job: Job
    process: "subprocess.Popen[bytes]"
    place: int
    """Which of the places side by side."""
    since: float
    """When it started, by the monotonic clock."""
    first: int
    """How far it was then."""


@dataclass
class Outcome:
    """Names of jobs by what became of them; those in none of these have not begun."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """To the reason."""
    stopped: dict[str, str] = field(default_factory=dict)
    """Not begun, because of the failed job that is named."""
    running: list[Running] = field(default_factory=list)


Watch = Callable[[Outcome], None]


def run_jobs(
    jobs: Sequence[Job], side_by_side: int, watch: Watch = lambda outcome: None, poll_seconds: float = POLL_SECONDS
) -> Outcome:
    """Do all jobs that can be done.

    Args:
        jobs: in the order in which they begin where nothing else decides; needs that are not among them are met.
        side_by_side: programs at a time.
        watch: called again and again with how things stand.
        poll_seconds: time between looks at the programs.

    Raises:
        KeyboardInterrupt: asked to stop, and stopped.
    """
    worker = _Worker(jobs, side_by_side)
    with _Signals() as signals:
        try:
            while worker.advance():
                watch(worker.outcome)
                time.sleep(poll_seconds)
                if signals.count:
                    raise KeyboardInterrupt
        except BaseException:
            worker.stop(signals)
            raise
    watch(worker.outcome)
    return worker.outcome


class _Worker:
    def __init__(self, jobs: Sequence[Job], side_by_side: int):
        self.waiting = list(jobs)
        self.names = {job.name for job in jobs}
        self.places = list(range(side_by_side))
        self.outcome = Outcome()
        self.cores = _cores(side_by_side)

    def advance(self) -> bool:
        """Take in programs that have ended, start those that can begin; False when nothing is left."""
        for one in [one for one in self.outcome.running if one.process.poll() is not None]:
            self._take_in(one)
        for job in list(self.waiting):
            self._consider(job)
        return bool(self.outcome.running)

    def stop(self, signals: "_Signals") -> None:
        """Ask all programs to stop, and wait until they have saved; on a second signal, end them at once."""
        before = signals.count
        living = [one.process for one in self.outcome.running]
        for process in living:
            process.terminate()
        while any(process.poll() is None for process in living):
            if signals.count > max(before, 1):
                for process in living:
                    process.kill()
            time.sleep(STOP_SECONDS)

    def _consider(self, job: Job) -> None:
        outcome = self.outcome
        wanted = job.needs & self.names
        broken = [name for name in sorted(wanted) if name in outcome.failed or name in outcome.stopped]
        if broken:
            outcome.stopped[job.name] = outcome.stopped.get(broken[0], broken[0])
            self.waiting.remove(job)
        elif wanted <= set(outcome.done):
            if job.done():
                outcome.done.append(job.name)
                self.waiting.remove(job)
            elif self.places:
                self._start(job)
                self.waiting.remove(job)

    def _start(self, job: Job) -> None:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        place = self.places[0]
        with job.log.open("ab") as log:
            if not _locked(log):
                self.outcome.failed[job.name] = f"{job.log} is held by a program that works there already"
                return
            process = subprocess.Popen(
                job.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **ONE_THREAD},
                start_new_session=True,  # Ctrl-C comes to us alone, and we ask once
            )
        if self.cores:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(process.pid, self.cores[place])
        self.places.remove(place)
        self.outcome.running.append(Running(job, process, place, time.monotonic(), job.position()[0]))

    def _take_in(self, one: Running) -> None:
        self.outcome.running.remove(one)
        self.places = sorted([*self.places, one.place])
        if one.job.done():
            self.outcome.done.append(one.job.name)
        else:
            self.outcome.failed[one.job.name] = _reason(one.process.returncode, one.job.log)


def _cores(side_by_side: int) -> list[set[int]]:
    """The cores of each place; empty where programs cannot be kept to cores."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    return [set(cores[place::side_by_side] or [cores[place % len(cores)]]) for place in range(side_by_side)]


def _locked(log: BinaryIO) -> bool:
    """Lock an open file for as long as this process or one that inherits it has it open; True where none can."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _reason(status: int, log: Path) -> str:
    """Why a program came to nothing: the signal that ended it, or the last line that it printed."""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing printed")
    return last if status else f"exit status 0, but not done: {last}"


class _Signals:
    """Counts Ctrl-C and SIGTERM, which otherwise might come between the start of a program and our note of it."""

    def __init__(self) -> None:
        self.count = 0
        self.old: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "_Signals":
        if threading.current_thread() is threading.main_thread():
            self.old = {number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: object) -> None:
        self.count += 1
