"""`onnx:NAME_OR_FOLDER`: Parakeet, Canary, GigaAM, Vosk, Whisper and others through onnx-asr (extra `onnx`).

A name that onnx-asr knows (nemo-parakeet-tdt-0.6b-v2, ...) or the id of a model on the hub is downloaded when the cache
of the hub lacks it; a folder with the files of a model is read offline, its type from config.json or from the option
`type`. Options are those of `specification.OnnxOptions`. Utterances are recognised one at a time, so company and batch
change nothing; what is longer than `window` is cut at pauses.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from math import exp, fsum
from pathlib import Path
from typing import Any

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.config import dump
from noisewise.decoding.hypothesis import Word
from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import NamedRecogniser, Timed, Waveform, in_parts
from noisewise.evaluation.systems.specification import OnnxOptions, Specification, missing
from noisewise.files import sha256_of

WITHOUT_TIMES = ("Whisper", "AED")
"""Parts of the names of onnx-asr's classes whose decoders tell no times of tokens."""


def recogniser(specification: Specification, *, workers: int, device: str) -> NamedRecogniser:
    """A model of ONNX as a recogniser.

    Args:
        specification: its target is a name of onnx-asr, an id of the hub, or a folder.
        workers: utterances at the same time, each in a thread.
        device: cpu or cuda.

    Raises:
        RecogniserError: the library is not installed, or there is no such model.
    """
    options: OnnxOptions = specification.options
    model, files = _loaded(specification, device)
    asked = {"language": options.language} if options.language else {}

    def mapped(run: Callable[[Waveform], Timed], waveforms: list[Waveform]) -> list[Timed]:
        def whole(waveform: Waveform) -> Timed:
            found = in_parts(waveform, options.window, run)
            assert isinstance(found, Timed)
            return found

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(whole, waveforms))

    def plain(waveform: Waveform) -> Timed:
        return Timed(" ".join(str(model.recognize(waveform, **asked)).split()))

    with_times = model.with_timestamps()

    def timed(waveform: Waveform) -> Timed:
        found = with_times.recognize(waveform, **asked)
        return Timed(" ".join(str(found.text).split()), _words(found, len(waveform) / SAMPLE_RATE))

    return NamedRecogniser(
        specification.whole,
        lambda waveforms: [each.text for each in mapped(plain, waveforms)],
        _details(options, files),
        times="segments" if any(each in type(model.asr).__name__ for each in WITHOUT_TIMES) else "words",
        with_times=lambda waveforms: mapped(timed, waveforms),
    )


def _loaded(specification: Specification, device: str) -> tuple[Any, list[Path]]:
    """The model, and its files."""
    try:
        import onnx_asr
        import onnxruntime
    except ModuleNotFoundError as error:
        raise missing(specification.whole, "onnx-asr", "onnx") from error
    options: OnnxOptions = specification.options
    session = onnxruntime.SessionOptions()
    session.intra_op_num_threads = options.threads
    providers = ["CPUExecutionProvider"] if device == "cpu" else ["CUDAExecutionProvider", "CPUExecutionProvider"]
    if device != "cpu" and providers[0] not in onnxruntime.get_available_providers():
        raise RecogniserError(f"`device` must be cpu, which alone this onnxruntime can use, but is '{device}' instead")
    folder = Path(specification.target).expanduser()
    is_folder = bool(specification.target) and folder.is_dir()
    name, path = (options.type or _type(folder), folder) if is_folder else (specification.target, None)
    try:
        model = onnx_asr.load_model(
            name, path, quantization=options.quantisation or None, sess_options=session, providers=providers
        )
    except Exception as error:  # onnxruntime has errors of its own, which share no class
        raise RecogniserError(
            f"`{specification.whole}` must be a model that onnx-asr can load (a name, an id of the hub or "
            f"a folder), but cannot be loaded: {' '.join(str(error).split())[:300]}"
        ) from error
    return model, _files(model, path)


def _type(folder: Path) -> str:
    """The type that config.json of a folder names."""
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecogniserError(
            f"`onnx:{folder}` must name its type, in config.json or as in ?type=nemo-conformer-tdt, but does not"
        ) from error


def _files(model: Any, path: Path | None) -> list[Path]:
    """The files that a model was loaded from: all of its folder, or what its sessions have read."""
    if path is not None:
        return sorted(each for each in path.rglob("*") if each.is_file())
    sessions = [getattr(each, "_model_path", None) for each in vars(model.asr).values()]
    return sorted(Path(each) for each in sessions if isinstance(each, str) and Path(each).is_file())


def _words(found: Any, seconds: float) -> list[Word]:
    """Words of a result with times of its tokens: a token that begins with a space begins a word.

    A word ends where the next token begins: the models tell beginnings alone.
    """
    if not found.tokens or not found.timestamps or len(found.tokens) != len(found.timestamps):
        return []
    groups: list[list[int]] = []
    for position, token in enumerate(found.tokens):
        if not groups or token.startswith((" ", "\u2581")):
            groups.append([])
        groups[-1].append(position)
    ends = [*found.timestamps[1:], seconds]
    logs: Sequence[float] = found.logprobs or [0.0] * len(found.tokens)
    words = []
    for group in groups:
        text = "".join(found.tokens[place] for place in group).replace("\u2581", " ").strip()
        confidence = min(1.0, exp(fsum(logs[place] for place in group) / len(group)))
        if text:
            words.append(Word(text, float(found.timestamps[group[0]]), float(ends[group[-1]]), confidence))
    return words


def _details(options: OnnxOptions, files: Sequence[Path]) -> dict[str, str]:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    return {
        "options": json.dumps(dump(options), sort_keys=True),
        "weights_sha256": digest.hexdigest(),
        **{name: metadata.version(name) for name in ("onnx-asr", "onnxruntime")},
    }
