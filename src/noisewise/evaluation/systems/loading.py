"""Any recogniser behind one call: 16 kHz float32 waveforms in, one text (or one failure) for each out.

A recogniser is named by a specification:

    box, or a folder            a released noisewise model
    whisper:SIZE_OR_FOLDER      Whisper through faster-whisper (extra `whisper`)
    hf:FOLDER_OR_ID             a speech recognition model of transformers (extra `hf`)
    onnx:NAME_OR_FOLDER         a model of onnx-asr (extra `onnx`)
    openai:URL#MODEL            a server with the transcription API of OpenAI
    command:PROGRAM ARGS {}     a program that prints the text of the wav file whose path stands at {}
    python:module:function      a function from a list of waveforms to a list of texts

`whisper:`, `hf:` and `onnx:` take options behind a `?` (`specification`). A recogniser that fails on an utterance gives
a `Failure` with the reason, never an empty text.
"""

from typing import TYPE_CHECKING

from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import NamedRecogniser
from noisewise.evaluation.systems.specification import Specification, missing, parsed

if TYPE_CHECKING:
    from noisewise.decoding.config import DecodingConfig
    from noisewise.decoding.recording_decoder import Greedy, Hotwords


def load(
    specification: str,
    *,
    workers: int = 1,
    timeout_seconds: float = 60.0,
    device: str = "cpu",
    decoding: "DecodingConfig | Greedy | None" = None,
    hotwords: "Hotwords" = (),
) -> NamedRecogniser:
    """A recogniser from its specification.

    Args:
        specification: as in the head of this file.
        workers: programs, requests or threads side by side, for all but noisewise models and functions.
        timeout_seconds: a program or server that takes longer for one file is stopped, and the file fails.
        device: where a model runs.
        decoding: how a noisewise model decodes; its own default if left out.
        hotwords: words that a noisewise model favours.

    Raises:
        RecogniserError: there is no such program, module, function or model, it has no such option, its library is not
            installed, or it decodes in its own way.
        NoisewiseError: there is no such model.
    """
    if workers < 1 or not timeout_seconds > 0:  # not a number is refused too
        raise RecogniserError(
            f"`workers` and `timeout_seconds` must be positive, but are {workers} and {timeout_seconds}"
        )
    chosen = parsed(specification)
    if chosen.kind == "model":
        from noisewise.evaluation.systems import model

        return model.recogniser(specification, device, decoding, hotwords)
    if decoding or hotwords:
        raise RecogniserError(
            f"decoding and hotwords must be of a model folder or 'box', but the recogniser is '{specification}'; "
            "leave them out"
        )
    if chosen.kind == "python":
        from noisewise.evaluation.systems import python

        return python.recogniser(specification)
    if chosen.kind in ("command", "openai"):
        from noisewise.evaluation.systems import command, openai

        called = command.recogniser if chosen.kind == "command" else openai.recogniser
        return called(specification, chosen.target, workers=workers, timeout_seconds=timeout_seconds)
    return _local(chosen, workers, device)


def _local(specification: Specification, workers: int, device: str) -> NamedRecogniser:
    """A model that another library runs here."""
    if specification.kind == "whisper":
        from noisewise.evaluation.systems import whisper

        return whisper.recogniser(specification, workers=workers, device=device)
    if specification.kind == "onnx":
        from noisewise.evaluation.systems import onnx

        return onnx.recogniser(specification, workers=workers, device=device)
    try:
        from noisewise.evaluation.systems import huggingface
    except ModuleNotFoundError as error:
        raise missing(specification.whole, "transformers", "hf") from error
    return huggingface.recogniser(specification, workers=workers, device=device)
