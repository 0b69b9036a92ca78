"""Frozen external encoders, and those of noisewise: clips in, one vector a clip or the vectors of its frames out.

An encoder is named by a specification:

    box, or a model folder      the encoder of a noisewise model of any kind
    a Hugging Face folder       an audio encoder of transformers, read offline (extra `hf`; Whisper needs none)
    a CTranslate2 folder        the encoder of a Whisper, as faster-whisper has it
    hf:ORG/NAME@REVISION        the same from the hub, the only one that uses the network
    python:module:function      a function from a list of waveforms to a list of arrays: trusted code, which is run
"""

import json
from pathlib import Path

import torch

from noisewise import hub
from noisewise.checkpoints.foreign import whisper_folder
from noisewise.embeddings.encoders.pooled import PooledEncoder
from noisewise.embeddings.encoders.protocol import FrozenEncoder
from noisewise.errors import ModelError, NoisewiseError

__all__ = ["PooledEncoder", "load"]


def load(
    specification: str,
    *,
    pooling: str | None = None,
    normalise: bool = False,
    window_seconds: float | None = None,
    device: str = "cpu",
) -> PooledEncoder:
    """Read an encoder.

    Args:
        specification: see above.
        pooling: how frames become one vector: `mean`, `cls` or `pooler`; None for the encoder's own.
        normalise: whether vectors are brought to length 1.
        window_seconds: longer clips are encoded in equal parts of at most this; None for the encoder's own.
        device: where it runs.

    Raises:
        ModelError: there is no such encoder, or it has no such pooling.
    """
    with torch.random.fork_rng(devices=[]):  # models are built with random weights before they are read
        encoder = _encoder(specification, device)
    return PooledEncoder(encoder, pooling=pooling, normalise=normalise, window_seconds=window_seconds)


def _encoder(specification: str, device: str) -> FrozenEncoder:
    from noisewise.embeddings.encoders import function, noisewise_model

    if specification.startswith(function.PREFIX):
        return function.load(specification)
    from_hub = specification.startswith(hub.PREFIX)
    path = hub.fetch(specification) if from_hub else Path(specification).expanduser()
    if whisper_folder.recognises(path):
        return noisewise_model.load_whisper(specification if from_hub else path.name or specification, path, device)
    if from_hub or _is_huggingface(path):
        from noisewise.embeddings.encoders import huggingface

        return huggingface.load(specification if from_hub else path.name or specification, path, device)
    try:
        return noisewise_model.load(specification, device)
    except NoisewiseError as error:
        if path.is_dir() or specification == "box":
            raise
        raise ModelError(
            f"`encoder` must be box, a model folder, a folder of transformers, {hub.PREFIX}ORGANISATION/NAME@REVISION "
            f"or {function.PREFIX}module:function, but is '{specification}' instead; check the path"
        ) from error


def _is_huggingface(path: Path) -> bool:
    """Whether a folder is one of transformers: its config.json names a `model_type`."""
    try:
        values = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and "model_type" in values
