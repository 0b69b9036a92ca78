"""Processes that train together: one that is lost ends the others, in one line and within a deadline."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from torch.distributed import DistError

from noisewise.errors import RunError

_LOST = (
    "connection closed by peer",
    "connection reset by peer",
    "broken pipe",
    "timed out after",
    "timed out waiting",
    "[gloo",
    "nccl",
    "across all ranks",
)
"""What the errors of torch.distributed have in them when another process does not answer."""
LOOK_EVERY_SECONDS = 0.5
"""Time between two looks whether the process that has started this one is there."""
_PARENT = "NOISEWISE_PARENT"
"""Environment variable with the id of the process that starts those of a run."""
_OVER = threading.Event()
"""Set when the parent may end."""


class LostProcess(RunError):
    """Another process of the run does not answer any more."""


@contextmanager
def lost_process(world: int, seconds: float) -> Iterator[None]:
    """Turn what torch.distributed raises for a process that does not answer into one line.

    Args:
        world: number of processes of the run; with 1 nothing is changed.
        seconds: deadline after which a silent process counts as lost.

    Raises:
        LostProcess: another process has ended, or is silent.
    """
    try:
        yield
    except RuntimeError as error:
        if world == 1 or not _is_loss(error):
            raise
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise LostProcess(_sentence(world, seconds, why)) from error


def _is_loss(error: RuntimeError) -> bool:
    text = str(error).lower()
    return isinstance(error, DistError) or any(words in text for words in _LOST)


def _sentence(world: int, seconds: float, why: str) -> str:
    rank = os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))
    return (
        f"all {world} processes of the run must answer within {seconds:g} s (`run.timeout_seconds`), but process "
        f"{rank} has lost another one ({why}); see what that one said, and run the same command again: it goes on "
        "from the newest checkpoint"
    )


def name_parent() -> None:
    """Tell the processes that this one is about to start who has started them."""
    if "LOCAL_RANK" not in os.environ:
        os.environ[_PARENT] = str(os.getpid())


def watch_parent(world: int, seconds: float) -> None:
    """End this process when the one that has started it ends, which a rendezvous would not notice for minutes.

    A thread looks for the parent and ends the process by `os._exit`, because the main thread may wait in code that no
    signal reaches. Nothing is done in a process that was not started by one that called `name_parent`.
    """
    if "LOCAL_RANK" in os.environ and _PARENT in os.environ and os.name == "posix":
        parent = int(os.environ[_PARENT])
        threading.Thread(target=_watch, args=(parent, world, seconds), name="watched-parent", daemon=True).start()


def let_parent_end() -> None:
    """From here on the parent may end: the run is over."""
    _OVER.set()


def _watch(parent: int, world: int, seconds: float) -> None:
    while os.getppid() == parent:
        if _OVER.wait(LOOK_EVERY_SECONDS):
            return
    time.sleep(LOOK_EVERY_SECONDS)  # so that the main thread, where it notices too, says it in its own words
    if not _OVER.is_set():
        sentence = _sentence(world, seconds, "the process that started it has ended")
        print(f"noisewise: {sentence}", file=sys.stderr, flush=True)
        os._exit(2)
