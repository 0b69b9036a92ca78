"""The same audio through transformers and through us: by how much the outputs differ (extra `hf`).

Legend: V tokens, or width of the encoder; L tokens of a text.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from noisewise.checkpoints.foreign import huggingface_folder, whisper_folder
from noisewise.checkpoints.foreign.checkpoint import Checkpoint
from noisewise.files import read_json
from noisewise.models.pretrained import EXTRACTORS, extractor_values
from noisewise.models.whisper.front_end import log_mel
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.models.whisper.weights import is_ctranslate2
from noisewise.models.whisper.whisper import Whisper

TOLERANCE = 1e-4
"""Largest difference that counts as agreement; two orders of float32 sums differ by about a tenth of it."""
SENTENCE = " The quick brown fox jumps over the lazy dog."
"""What the decoder of a Whisper is given, whatever is said: what follows each of its tokens is compared."""


@dataclass(frozen=True)
class Parity:
    """Difference between the outputs of noisewise and of transformers for one recording."""

    seconds: float
    """Duration of the recording in seconds."""
    frames: int
    """Number of frames of transformers; of a Whisper, tokens."""
    difference: float
    """Largest absolute difference of logits, or of features where there is no head; infinite for other shapes."""
    same_best: float
    """Fraction of frames, or tokens, on which the likeliest token, or the largest feature, is the same."""

    @property
    def agrees(self) -> bool:
        """Whether the difference is rounding."""
        return self.difference <= TOLERANCE


def compare(checkpoint: Checkpoint, waveforms: Sequence[NDArray[np.float32]]) -> list[Parity]:
    """Run both on waveforms (T,) at 16 kHz, each with its own input normalisation.

    transformers reads the folder itself; a model in another layout is written as a folder for it first. A Whisper is
    run in float64, on 30 s at most, with its decoder.

    Raises:
        InteropError: the model cannot be built, or is a Whisper without its decoder.
        ModuleNotFoundError: transformers is not installed.
    """
    if checkpoint.whole is not None:
        return _compare_whisper(checkpoint, waveforms)
    encoder = checkpoint.encoder().eval()
    head = None if checkpoint.head is None else checkpoint.ctc()[0].head
    with tempfile.TemporaryDirectory(prefix="noisewise-") as temporary:
        folder, rows = checkpoint.source, None
        vocabulary = checkpoint.origin.get("files", {}).get("tokenizer_config.json", {})
        if not huggingface_folder.recognises(folder) or "target_lang" in vocabulary:
            folder = Path(temporary) / "model"
            huggingface_folder.write(folder, checkpoint)
        elif checkpoint.head is not None:
            rows = huggingface_folder.rows(checkpoint)
        reference, extractor = _transformers(folder, head is not None)
        with torch.inference_mode():
            return [_compared(encoder, head, rows, reference, extractor, waveform) for waveform in waveforms]


def _transformers(folder: Path, has_head: bool) -> tuple[Any, Any]:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import transformers

    silence: Any = transformers.utils.logging.disable_progress_bar
    silence()
    kind: Any = transformers.AutoModelForCTC if has_head else transformers.AutoModel
    extractor: Any = transformers.Wav2Vec2FeatureExtractor
    model = kind.from_pretrained(folder, local_files_only=True).float().eval()
    files = {name: read_json(folder / name) for name in EXTRACTORS if (folder / name).is_file()}
    if extractor_values(files) is None:
        return model, None
    return model, extractor.from_pretrained(folder, local_files_only=True)


def _compared(
    encoder: Any, head: Any, rows: Tensor | None, reference: Any, extractor: Any, waveform: NDArray[np.float32]
) -> Parity:
    samples = torch.from_numpy(np.ascontiguousarray(waveform))[None]  # (1, T)
    features = encoder(samples, torch.tensor([samples.size(1)])).features  # (1, F, D)
    found = features if head is None else head(features)  # (1, F, V)
    found = found if rows is None else found[..., rows]
    inputs = _normalised(samples, encoder.config.normalise) if extractor is None else None
    if inputs is None:
        inputs = extractor(waveform, sampling_rate=16_000, return_tensors="pt").input_values
    output = reference(inputs)
    expected = output.last_hidden_state if head is None else output.logits
    seconds, frames = samples.size(1) / 16_000, expected.size(1)
    if found.shape != expected.shape:
        return Parity(seconds, frames, float("inf"), 0.0)
    same = (found.argmax(dim=-1) == expected.argmax(dim=-1)).float().mean()
    return Parity(seconds, frames, float((found - expected).abs().max()), float(same))


def _normalised(samples: Tensor, normalise: bool) -> Tensor:
    """Normalised as by the extractor of transformers, where the folder does not hold one."""
    if not normalise:
        return samples
    return (samples - samples.mean()) / (samples.var(correction=0) + 1e-7).sqrt()


def _compare_whisper(checkpoint: Checkpoint, waveforms: Sequence[NDArray[np.float32]]) -> list[Parity]:
    model = checkpoint.whisper().double()
    with tempfile.TemporaryDirectory(prefix="noisewise-") as temporary:
        folder, whole = checkpoint.source, checkpoint.whole
        assert whole is not None
        if not whisper_folder.recognises(folder) or is_ctranslate2(folder):
            folder = Path(temporary) / "model"
            whisper_folder.write(folder, whole, checkpoint.source, "huggingface")
        reference = _transformers_whisper(folder)
        pieces = WhisperTokenizer.load(checkpoint.source)
        ids = [*pieces.prompt(), *pieces.encode(SENTENCE)][: model.config.decoder.positions]
        with torch.inference_mode():
            return [_compared_whisper(model, reference, torch.tensor([ids]), waveform) for waveform in waveforms]


def _transformers_whisper(folder: Path) -> Any:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import transformers

    silence: Any = transformers.utils.logging.disable_progress_bar
    silence()
    kind: Any = transformers.WhisperForConditionalGeneration
    return kind.from_pretrained(folder, local_files_only=True).double().eval()


def _compared_whisper(model: Whisper, reference: Any, ids: Tensor, waveform: NDArray[np.float32]) -> Parity:
    """Each with its own log-mel, of the waveform and silence behind it. ids (1, L)"""
    import transformers

    longest, mels = model.encoder.longest, model.config.encoder.mels
    samples = torch.from_numpy(np.ascontiguousarray(waveform[:longest]))
    padded = F.pad(samples, (0, longest - len(samples)))[None]  # (1, T)
    features, counts = log_mel(padded, torch.tensor([longest]), mels)
    found = model.next_token_logits(model.encoder.encode_mel(features.double(), counts), ids)  # (1, L, V)
    kind: Any = transformers.WhisperFeatureExtractor
    given = kind(feature_size=mels)(padded[0].numpy(), sampling_rate=16_000, return_tensors="pt").input_features
    expected = reference(input_features=given[..., : int(counts)].double(), decoder_input_ids=ids).logits
    same = (found.argmax(dim=-1) == expected.argmax(dim=-1)).float().mean()
    difference = float((found - expected).abs().max())
    return Parity(len(samples) / 16_000, ids.size(1), difference, float(same))
