"""Standard output and standard error of the command: whatever is printed goes through `Escaping`."""

import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO, cast

from noisewise.safe_text import RUN, masked, terminal

FULL = {
    errno.ENOSPC: "there is no space left on the disk; make room and run the same command again",
    errno.EDQUOT: "the quota of the disk is used up; make room and run the same command again",
    errno.EROFS: "the disk can only be read; choose another output",
    errno.EFBIG: "the file is larger than the system allows; choose another output",
    errno.EMFILE: "too many files are open; raise `ulimit -n`, or use fewer workers",
    errno.ENOMEM: "there is not enough memory; use less at a time, or fewer workers",
}
"""Number of an error of the system to what it means and what to do."""
WRITERS = ("soundfile", "safetensors", "safetensors_rust", "_safetensors_rust", "torch")
"""Packages whose errors hide that of the system."""


class Escaping:
    """A stream of text on which control characters are shown and secrets are masked.

    A progress line may begin with the carriage return that takes it back to its beginning. `rich`, which draws bars
    with control characters of its own, finds the stream itself.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Write a text as it may be shown."""
        start = "\r" if text.startswith("\r") else ""
        shown = start + terminal(masked(text.removeprefix("\r"), shortest=RUN))
        try:
            self.rich_proxied_file.write(shown)
        except UnicodeEncodeError:  # the terminal has another encoding
            encoding = self.rich_proxied_file.encoding or "ascii"
            self.rich_proxied_file.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        except BrokenPipeError:
            raise ReaderGone from None
        return len(text)

    def flush(self) -> None:
        """Flush."""
        try:
            self.rich_proxied_file.flush()
        except BrokenPipeError:
            raise ReaderGone from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


class ReaderGone(SystemExit):
    """Nobody reads the output any more (`| head`): no error, and nothing more to do."""

    def __init__(self) -> None:
        super().__init__(0)


@contextlib.contextmanager
def escaping() -> Iterator[None]:
    """Let everything that is printed go through `Escaping`."""
    out, err = Escaping(sys.stdout), Escaping(sys.stderr)
    with contextlib.redirect_stdout(cast(TextIO, out)), contextlib.redirect_stderr(cast(TextIO, err)):
        yield


def close_quietly() -> None:
    """Point stdout at nothing, so that what is left in its buffer makes no error when Python ends."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a file, as in tests
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


class Signals:
    """SIGTERM ends a command as Ctrl-C does, so that it tidies up; `status` is then that of the signal."""

    def __init__(self) -> None:
        self.number = int(signal.SIGINT)
        self.old: Any = None
        self.process = os.getpid()

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self.old = signal.signal(signal.SIGTERM, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        if self.old is not None:
            signal.signal(signal.SIGTERM, self.old)

    @property
    def status(self) -> int:
        """128 and the number of the signal: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:  # a worker that was forked: it ends as it would without this
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.number = number
        raise KeyboardInterrupt


def sentence(error: BaseException, doing: str) -> str | None:
    """What an error of the system means and what to do, in one sentence; None where it is none.

    Args:
        error: one that a library may have wrapped: its causes are looked at too.
        doing: what failed, where the error names no file.
    """
    seen: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and step not in seen:
        seen.append(step)
        step = step.__cause__ or step.__context__
    for each in seen:
        if isinstance(each, OSError) and each.errno is not None:
            what = FULL.get(each.errno, each.strerror or str(each))
            return f"{os.fsdecode(each.filename) if isinstance(each.filename, str | bytes) else doing}: {what}"
    text = str(error)
    if isinstance(error, MemoryError) or "not enough memory" in text or "out of memory" in text.lower():
        return f"{doing}: {FULL[errno.ENOMEM]}"
    if "can't allocate memory" in text or "Cannot allocate memory" in text:
        return f"{doing}: {FULL[errno.ENOMEM]}"
    if "No space left" in text or "os error 28" in text or "unexpected pos" in text or "failed writing file" in text:
        return f"{doing}: {FULL[errno.ENOSPC]}"
    package = type(error).__module__.partition(".")[0]
    if package in WRITERS and ("System error" in text or "I/O error" in text or "initialization" in text):
        return f"{doing}: a file cannot be read or written ({text}); is the disk full, or the file in use?"
    if isinstance(error, OSError):
        return f"{doing}: {text or type(error).__name__}"
    return None
