"""`whisper:SIZE_OR_FOLDER`: Whisper (Radford et al. 2022) through faster-whisper and CTranslate2 (extra `whisper`).

Options are those of `specification.WhisperOptions`. Two runs give the same texts: where the paper (section 4.5) samples
again at higher temperatures what has a low probability or repeats itself, the best hypothesis stays unless `fallback`
is asked for, and no window sees the text of the one before unless `context` is. The library pads each utterance to
30 s and takes one at a time, so company and batch change nothing; longer recordings go through the windows of section
4.5, each beginning where the last segment of the one before ends.

A size (tiny.en, base, ...) or the id of a model in CTranslate2's layout, with `@REVISION` to pin it, is downloaded from
the hub when its cache lacks it; a folder is read offline.
"""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from noisewise.config import dump
from noisewise.decoding.hypothesis import Segment, Word
from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import NamedRecogniser, Timed, Waveform
from noisewise.evaluation.systems.specification import Specification, WhisperOptions, missing
from noisewise.files import sha256_of

ResultT = TypeVar("ResultT")
WEIGHTS = "model.bin"
"""The file of the weights in CTranslate2's layout."""
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Those of the paper's fallback; without it the first alone."""


def recogniser(specification: Specification, *, workers: int, device: str) -> NamedRecogniser:
    """A Whisper model as a recogniser.

    Args:
        specification: its target is a size, the id of a model on the hub, or a folder.
        workers: utterances at the same time, each in a thread.
        device: where the model runs: cpu, cuda, cuda:1.

    Raises:
        RecogniserError: the library is not installed, there is no such model, or it lacks the language.
    """
    options: WhisperOptions = specification.options
    folder = _folder(specification)
    model = _loaded(specification, folder, workers, device)
    _must_know(options.language, model.supported_languages, specification.whole)
    asked = _asked(options)

    def segments(waveform: Waveform, *, words: bool) -> list[Any]:
        found, _ = model.transcribe(waveform, word_timestamps=words, **asked)
        return list(found)

    def each(run: Callable[[Waveform], ResultT], waveforms: list[Waveform]) -> list[ResultT]:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(run, waveforms))

    return NamedRecogniser(
        specification.whole,
        lambda waveforms: each(lambda one: _text(segments(one, words=False)), waveforms),
        _details(options, folder, model),
        times="words",
        with_times=lambda waveforms: each(lambda one: _timed(segments(one, words=True)), waveforms),
    )


def _folder(specification: Specification) -> Path:
    """The folder of the model, which is downloaded where a size or an id is given and the cache lacks it."""
    folder = Path(specification.target).expanduser()
    if specification.target and folder.is_dir():
        if not (folder / WEIGHTS).is_file():
            raise RecogniserError(
                f"`{specification.whole}` must be a folder in CTranslate2's layout, with {WEIGHTS}, but has none; a "
                f"folder of transformers is hf:{specification.target}"
            )
        return folder
    try:
        from faster_whisper import available_models, download_model
    except ModuleNotFoundError as error:
        raise missing(specification.whole, "faster-whisper", "whisper") from error
    name, _, revision = specification.target.partition("@")
    sizes = available_models()
    if name not in sizes and "/" not in name:
        raise RecogniserError(
            f"`{specification.whole}` must be a folder, an id of the hub or of {', '.join(sizes)}, but is none of them"
        )
    try:
        return Path(download_model(name, revision=revision or None))
    except (OSError, ValueError, RuntimeError) as error:
        raise RecogniserError(
            f"`{specification.whole}` must be on the hub or in its cache, but cannot be fetched: "
            f"{' '.join(str(error).split())[:200]}; download it where there is a network, and give its folder"
        ) from error


def _loaded(specification: Specification, folder: Path, workers: int, device: str) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ModuleNotFoundError as error:
        raise missing(specification.whole, "faster-whisper", "whisper") from error
    options: WhisperOptions = specification.options
    name, _, index = device.partition(":")
    try:
        return WhisperModel(
            str(folder),
            device=name,
            device_index=int(index or 0),
            compute_type=options.quantisation,
            cpu_threads=options.threads,
            num_workers=workers,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise RecogniserError(
            f"`{specification.whole}` must be a model that CTranslate2 can load on {device}, but cannot be loaded: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error


def _must_know(language: str, known: list[str], specification: str) -> None:
    if language and language not in known:
        raise RecogniserError(f"`language` of `{specification}` must be one of {', '.join(known)}, but is '{language}'")


def _asked(options: WhisperOptions) -> dict[str, Any]:
    """Arguments of `WhisperModel.transcribe`."""
    return {
        "beam_size": options.beam,
        "language": options.language or None,
        "initial_prompt": options.prompt or None,
        "condition_on_previous_text": options.context,
        "temperature": TEMPERATURES if options.fallback else TEMPERATURES[:1],
        "vad_filter": options.vad,
    }


def _text(segments: list[Any]) -> str:
    return " ".join("".join(segment.text for segment in segments).split())


def _timed(segments: list[Any]) -> Timed:
    words = [
        Word(word.word.strip(), float(word.start), float(word.end), float(word.probability))
        for segment in segments
        for word in segment.words or []
        if word.word.strip()
    ]
    stretches = [Segment(text, float(each.start), float(each.end)) for each in segments if (text := each.text.strip())]
    return Timed(_text(segments), words, stretches)


def _details(options: WhisperOptions, folder: Path, model: Any) -> dict[str, str]:
    """What can move a text: options, versions, number format, weights and tokens."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name in (WEIGHTS, "tokenizer.json", "preprocessor_config.json") or path.stem == "vocabulary":
            digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    return {
        "options": json.dumps(dump(options), sort_keys=True),
        "quantisation": str(model.model.compute_type),
        "weights_sha256": digest.hexdigest(),
        **{name: metadata.version(name) for name in ("faster-whisper", "ctranslate2")},
    }
