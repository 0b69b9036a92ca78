"""`command:PROGRAM ARGS {}`: programs that print the text of a wav file."""

import contextlib
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from noisewise.audio import waveform as audio
from noisewise.audio.pcm import pcm16
from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Output, Waveform
from noisewise.safe_text import RUN, received

KEPT_BYTES = 1 << 20
"""Bytes of a program's output that are kept; a longer text is a failure."""
MOST_BYTES = 64 << 20
"""Bytes of output after which a program is stopped."""
GRACE_SECONDS = 1.0
"""Seconds after the end of a program for which its pipes are read where another program holds them open."""
POLL_SECONDS = 0.05
"""Seconds after which it is looked whether a program that holds its pipes open has ended."""


def recogniser(specification: str, line: str, *, workers: int, timeout_seconds: float) -> NamedRecogniser:
    """A program as a recogniser; it is run once for each utterance.

    Args:
        specification: the whole of it, for the result.
        line: program and arguments; the path of the wav file takes the place of `{}`, or comes last.
        workers: programs side by side.
        timeout_seconds: a program that takes longer for one file is stopped, and the file fails.

    Raises:
        RecogniserError: there is no such program.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise RecogniserError(f"`{received(specification)}` must be a command line, but is not: {error}") from error
    if not words or "\0" in line or shutil.which(words[0]) is None:
        raise RecogniserError(
            received(
                f"`{specification}` must start with a program, but there is no '{words[0] if words else ''}'; "
                "install it or write its path"
            )
        )
    if not any("{}" in word for word in words):
        words.append("{}")

    def recognise(waveforms: list[Waveform]) -> list[Output]:
        with tempfile.TemporaryDirectory(prefix="noisewise-") as folder, ThreadPoolExecutor(workers) as pool:
            paths = [Path(folder) / f"{index:06d}.wav" for index in range(len(waveforms))]
            jobs = [(words, path, one, timeout_seconds) for path, one in zip(paths, waveforms, strict=True)]
            return list(pool.map(lambda job: _run(*job), jobs))

    return NamedRecogniser(specification, recognise)


def _run(words: list[str], path: Path, waveform: Waveform, timeout_seconds: float) -> Output:
    """Write one wav file, run the program on it, and read what it prints."""
    audio.save(path, pcm16(waveform)[0])
    process = subprocess.Popen(
        [word.replace("{}", str(path)) for word in words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        printed, errors = _printed(process, time.monotonic() + timeout_seconds)
    except subprocess.TimeoutExpired:
        return Failure(f"no answer within {timeout_seconds:g} s")
    finally:
        _stop(process)
        path.unlink(missing_ok=True)
    if printed.count > KEPT_BYTES or errors.count > MOST_BYTES:
        stream, found = ("stdout", printed) if printed.count > KEPT_BYTES else ("stderr", errors)
        most = KEPT_BYTES if stream == "stdout" else MOST_BYTES
        return Failure(f"{stream} must have {most >> 20} MiB at most, but had {found.count >> 20} or more")
    if process.returncode != 0:
        last = received(bytes(errors.kept)).replace(str(path), path.name).strip().splitlines()[-1:]
        return Failure(f"exit status {process.returncode}: {' '.join(last) or 'nothing on stderr'}")
    return " ".join(received(bytes(printed.kept), shortest=RUN).split())


@dataclass
class _Stream:
    """What a program has written to one of its outputs."""

    kept: bytearray = field(default_factory=bytearray)
    """The last `KEPT_BYTES` bytes."""
    count: int = 0
    """Bytes that came."""

    def add(self, piece: bytes) -> None:
        """Keep a piece."""
        self.count += len(piece)
        self.kept += piece
        del self.kept[:-KEPT_BYTES]


def _printed(process: "subprocess.Popen[bytes]", end: float) -> tuple[_Stream, _Stream]:
    """Standard output and standard error of a program, read until it has ended or written too much.

    A program that it started and left behind may hold the pipes open for ever: they are read until `GRACE_SECONDS`
    after its own end.

    Args:
        process: the program.
        end: `time.monotonic()` by which it must have ended.

    Raises:
        subprocess.TimeoutExpired: it has not.
    """
    assert process.stdout is not None and process.stderr is not None
    streams = {process.stdout.fileno(): _Stream(), process.stderr.fileno(): _Stream()}
    if os.name == "nt":  # pipes cannot be waited for
        for stream, whole in zip(streams.values(), process.communicate(timeout=end - time.monotonic()), strict=True):
            stream.add(whole)
        return tuple(streams.values())  # type: ignore[return-value]
    with selectors.DefaultSelector() as selector:
        for handle in streams:
            selector.register(handle, selectors.EVENT_READ)
        while selector.get_map() and all(stream.count <= MOST_BYTES for stream in streams.values()):
            now = time.monotonic()
            if now >= end:
                if process.poll() is None:
                    raise subprocess.TimeoutExpired(process.args, 0)
                break
            for key, _ in selector.select(min(end - now, POLL_SECONDS)):
                if piece := os.read(key.fd, 1 << 16):
                    streams[key.fd].add(piece)
                else:
                    selector.unregister(key.fd)
            if process.poll() is not None:
                end = min(end, now + GRACE_SECONDS)
        if not selector.get_map():
            process.wait(max(end - time.monotonic(), 0))
    return tuple(streams.values())  # type: ignore[return-value]


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a program with the programs of its group, and close its pipes."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in the group
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()
