"""The same audio through transformers and through us: by how much the outputs differ (extra `hf`).

Legend: V tokens, or width of the encoder.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.checkpoints.foreign import huggingface_folder
from noisewise.checkpoints.foreign.checkpoint import Checkpoint
from noisewise.files import read_json
from noisewise.models.pretrained import EXTRACTORS, extractor_values

TOLERANCE = 1e-4
"""Largest difference that counts as agreement; two orders of float32 sums differ by about a tenth of it."""


@dataclass(frozen=True)
class Parity:
    """Difference between the outputs of noisewise and of transformers for one recording."""

    seconds: float
    """Duration of the recording in seconds."""
    frames: int
    """Number of frames of transformers."""
    difference: float
    """Largest absolute difference of logits, or of features where there is no head; infinite for other shapes."""
    same_best: float
    """Fraction of frames on which the likeliest token, or the largest feature, is the same."""

    @property
    def agrees(self) -> bool:
        """Whether the difference is rounding."""
        return self.difference <= TOLERANCE


def compare(checkpoint: Checkpoint, waveforms: Sequence[NDArray[np.float32]]) -> list[Parity]:
    """Run both on waveforms (T,) at 16 kHz, each with its own input normalisation.

    transformers reads the folder itself; a model in another layout is written as a folder for it first.

    Raises:
        InteropError: the model cannot be built.
        ModuleNotFoundError: transformers is not installed.
    """
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
