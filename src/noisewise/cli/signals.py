"""Ends by signals: the exit status of the shell's convention, and everything closed and cleaned on the way out."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INTERRUPTED, TERMINATED = 130, 143
"""Exit status after SIGINT and after SIGTERM: 128 and the number of the signal."""


@contextmanager
def ends_by_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGINT within the block into an exit with 143 and 130, so that `finally` blocks run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(*_: Any) -> None:
    raise SystemExit(TERMINATED)
