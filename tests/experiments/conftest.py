"""Jobs as forks of the process of the tests: each begins at once, and none lives longer than its deadline."""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest

from noisewise.cli.main import main
from noisewise.experiments import scheduler

DEADLINE_SECONDS = 120.0
"""A job that lives longer is killed, so that no test waits for it."""


class Forked:
    """`python -m noisewise ...` without the start of an interpreter: as much of `subprocess.Popen` as jobs need."""

    def __init__(self, command: Sequence[str], *, stdout: BinaryIO, env: dict[str, str], **options: Any):
        assert list(command[1:3]) == ["-m", "noisewise"]
        self.returncode: int | None = None
        self.deadline = time.monotonic() + DEADLINE_SECONDS
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _run(list(command[3:]), stdout, env)

    def poll(self) -> int | None:
        """Exit status, or None while it lives."""
        if self.returncode is None:
            if time.monotonic() > self.deadline:
                self.kill()
            found, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if found else None
        return self.returncode

    def terminate(self) -> None:
        """Ask it to stop."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)


def _run(words: list[str], stdout: BinaryIO, env: dict[str, str]) -> None:
    status = 1
    try:
        os.setsid()
        os.environ.update(env)
        os.dup2(stdout.fileno(), 1)
        os.dup2(stdout.fileno(), 2)
        sys.stdout = sys.stderr = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = main(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler forks its programs, and looks at them often."""
    programs = SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
    monkeypatch.setattr(scheduler, "subprocess", programs)
    monkeypatch.setattr(scheduler, "time", clock)
