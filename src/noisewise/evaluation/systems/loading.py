"""Any recogniser behind one call: 16 kHz float32 waveforms in, one text (or one failure) for each out.

A recogniser is named by a specification:

    box, or a folder            a released noisewise model
    command:PROGRAM ARGS {}     a program that prints the text of the wav file whose path stands at {}
    python:module:function      a function from a list of waveforms to a list of texts
    hf:FOLDER_OR_ID             a CTC model of transformers (extra `hf`)
    openai:URL#MODEL            a server with the transcription API of OpenAI

A recogniser that fails on an utterance gives a `Failure` with the reason, never an empty text.
"""

from typing import TYPE_CHECKING

from noisewise.errors import RecogniserError
from noisewise.evaluation.systems.protocol import NamedRecogniser

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
        workers: programs, requests or threads side by side; for `command:`, `openai:` and `hf:`.
        timeout_seconds: a program or server that takes longer for one file is stopped, and the file fails.
        device: where a model runs.
        decoding: how a noisewise model decodes; its own default if left out.
        hotwords: words that a noisewise model favours.

    Raises:
        RecogniserError: there is no such program, module or function, or it decodes in its own way.
        NoisewiseError: there is no such model.
    """
    if workers < 1 or not timeout_seconds > 0:  # not a number is refused too
        raise RecogniserError(
            f"`workers` and `timeout_seconds` must be positive, but are {workers} and {timeout_seconds}"
        )
    kind, colon, rest = specification.partition(":")
    if colon and kind in ("command", "python", "openai", "hf") and (decoding or hotwords):
        raise RecogniserError(
            f"decoding and hotwords must be of a model folder or 'box', but the recogniser is '{specification}'; "
            "leave them out"
        )
    if not colon or kind not in ("command", "python", "openai", "hf"):
        from noisewise.evaluation.systems import model

        return model.recogniser(specification, device, decoding, hotwords)
    if kind == "command":
        from noisewise.evaluation.systems import command

        return command.recogniser(specification, rest, workers=workers, timeout_seconds=timeout_seconds)
    if kind == "python":
        from noisewise.evaluation.systems import python

        return python.recogniser(specification)
    if kind == "openai":
        from noisewise.evaluation.systems import openai

        return openai.recogniser(specification, rest, workers=workers, timeout_seconds=timeout_seconds)
    from noisewise.evaluation.systems import huggingface

    return huggingface.recogniser(specification, rest, workers=workers, device=device)
