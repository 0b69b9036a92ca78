"""`command:PROGRAM ARGS {}`: programs that print the text of a wav file."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from noisewise.audio import waveform as audio
from noisewise.audio.pcm import pcm16
from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Output, Waveform


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
        raise RecogniserError(f"`{specification}` must be a command line, but is not: {error}") from error
    if not words or shutil.which(words[0]) is None:
        raise RecogniserError(
            f"`{specification}` must start with a program, but there is no '{words[0] if words else ''}'; "
            "install it or write its path"
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
        printed, errors = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        return Failure(f"no answer within {timeout_seconds:g} s")
    finally:
        _stop(process)
        path.unlink(missing_ok=True)
    if process.returncode != 0:
        last = errors.decode("utf-8", "replace").replace(str(path), path.name).strip().splitlines()[-1:]
        return Failure(f"exit status {process.returncode}: {' '.join(last) or 'nothing on stderr'}")
    return " ".join(printed.decode("utf-8", "replace").split())


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a program that is still running, with the programs that it started."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.communicate()
