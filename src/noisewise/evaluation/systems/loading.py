"""Any recogniser behind one call: 16 kHz float32 waveforms in, one text (or one failure) for each out.

A recogniser is named by a specification:

    box, or a folder            a released noisewise model
    command:PROGRAM ARGS {}     a program that prints the text of the wav file whose path stands at {}
    python:module:function      a function from a list of waveforms to a list of texts
    hf:FOLDER_OR_ID             a CTC model of transformers (extra `hf`)
    openai:URL#MODEL            a server with the transcription API of OpenAI

A recogniser that fails on an utterance gives a `Failure` with the reason, never an empty text.
"""

import importlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from noisewise.audio import waveform as audio
from noisewise.config import dump
from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import Failure, Heard, NamedRecogniser, Waveform, pcm16
from noisewise.files import sha256_of

if TYPE_CHECKING:
    from noisewise.decoding.config import DecodingConfig
    from noisewise.decoding.recording_decoder import Greedy, Hotwords


def parse(
    specification: str,
    *,
    workers: int = 1,
    timeout_seconds: float = 60.0,
    device: str = "cpu",
    decoding: "DecodingConfig | Greedy | None" = None,
    hotwords: "Hotwords" = (),
) -> NamedRecogniser:
    """Make a recogniser from its specification.

    Args:
        specification: as in the head of this file.
        workers: programs, requests or threads side by side; for `command:`, `openai:` and `hf:`.
        timeout_seconds: a program or server that takes longer for one file is stopped, and the file fails.
        device: where a model runs.
        decoding: of a model of ours; its own default if left out.
        hotwords: that a model of ours listens for.

    Raises:
        RecogniserError: there is no such program, module or function, or it decodes in its own way.
        NoisewiseError: there is no such model.
    """
    if workers < 1 or timeout_seconds <= 0:
        raise RecogniserError(
            f"`workers` and `timeout_seconds` must be positive, but are {workers} and {timeout_seconds}"
        )
    kind, colon, rest = specification.partition(":")
    if colon and kind in ("command", "python", "openai", "hf") and (decoding or hotwords):
        raise RecogniserError(
            f"decoding and hotwords must be of a model folder or 'box', but the recogniser is '{specification}'; "
            "leave them out"
        )
    if colon and kind == "command":
        return _command(specification, rest, workers, timeout_seconds)
    if colon and kind == "python":
        return _python(specification, rest)
    if colon and kind == "openai":
        from noisewise.evaluation.systems import openai as transcription_api

        return transcription_api.recogniser(specification, rest, workers=workers, timeout_seconds=timeout_seconds)
    if colon and kind == "hf":
        from noisewise.evaluation.systems import huggingface

        return huggingface.recogniser(specification, rest, workers=workers, device=device)
    return _model(specification, device, decoding, hotwords)


def _model(
    specification: str, device: str, decoding: "DecodingConfig | Greedy | None", hotwords: "Hotwords"
) -> NamedRecogniser:
    from noisewise.checkpoints.model_folder import weights_hash
    from noisewise.decoding.recording_decoder import spelled
    from noisewise.inference.recogniser import Recogniser

    recogniser = Recogniser.load(specification, device, decoding)
    details = {"weights_sha256": weights_hash(specification), **_decoding_details(recogniser.decoding)}
    if wanted := spelled(hotwords):
        details["hotwords"] = json.dumps(wanted, sort_keys=True)
    return NamedRecogniser(specification, lambda waveforms: recogniser.recognise(waveforms, wanted), details)


def _decoding_details(decoding: "DecodingConfig | Greedy") -> dict[str, str]:
    """How a model decodes, without paths of this machine, and the hashes of its files; nothing when greedily."""
    if isinstance(decoding, str):
        return {}
    from noisewise.decoding.saved_config import moved

    details: dict[str, str] = {}

    def named(name: str, file: str) -> str:
        details[f"{name}_sha256"] = sha256_of(Path(file))
        return Path(file).name

    return {"decoding": json.dumps(dump(moved(decoding, named))), **details}


def module_of(specification: str) -> ModuleType:
    """The module of `python:module:function`; the current folder is on the path.

    Raises:
        RecogniserError: it cannot be imported.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(specification.split(":")[1])
    except (ImportError, ValueError) as error:
        raise RecogniserError(
            f"`{specification}` must be python:module:function, but the module cannot be imported: {error}"
        ) from error


def _python(specification: str, target: str) -> NamedRecogniser:
    module_name, _, function_name = target.partition(":")
    module = module_of(specification)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise RecogniserError(
            f"`{specification}` must name a function of `{module_name}`, but '{function_name}' is none; "
            "write python:module:function"
        )
    return NamedRecogniser(specification, function, dict(getattr(module, "VERSIONS", {})))


def _command(specification: str, line: str, workers: int, timeout_seconds: float) -> NamedRecogniser:
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

    def recognise(waveforms: list[Waveform]) -> list[Heard]:
        with tempfile.TemporaryDirectory(prefix="noisewise-") as folder, ThreadPoolExecutor(workers) as pool:
            paths = [Path(folder) / f"{index:06d}.wav" for index in range(len(waveforms))]
            jobs = [(words, path, one, timeout_seconds) for path, one in zip(paths, waveforms, strict=True)]
            return list(pool.map(lambda job: _ask(*job), jobs))

    return NamedRecogniser(specification, recognise)


def _ask(words: list[str], path: Path, waveform: Waveform, timeout_seconds: float) -> Heard:
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
        printed, complaint = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        return Failure(f"no answer within {timeout_seconds:g} s")
    finally:
        _stop(process)
        path.unlink(missing_ok=True)
    if process.returncode != 0:
        last = complaint.decode("utf-8", "replace").replace(str(path), path.name).strip().splitlines()[-1:]
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
