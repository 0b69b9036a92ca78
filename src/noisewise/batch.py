"""The batch: output of the data loader, input of every task.

Shapes as in docs/architecture.md; besides, K classes, E width of an external vector, G frames of an external encoder.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Skipped:
    """An item that could not be used, and why; it is reported, never silently lost."""

    id: str
    """Id of the item."""
    path: str
    """Audio file of the item."""
    reason: str
    """Reason code."""


@dataclass
class Batch:
    """Utterances padded with zeros to the longest."""

    waveform: Tensor
    """Noisy input waveform. (B, T) float32 at 16 kHz."""
    lengths: Tensor
    """Number of valid samples of each utterance. (B,) int64."""
    ids: list[str]
    """Ids of the utterances; B of them."""
    texts: list[str] = field(default_factory=list)
    """Normalised reference transcripts; B of them."""
    written: list[str] = field(default_factory=list)
    """The same transcripts as the manifest has them, with case and punctuation; B of them."""
    clean: Tensor | None = None
    """Clean waveform, the same speech without noise, sample for sample. (B, T) float32."""
    tokens: Tensor | None = None
    """Token ids of the transcripts, padded with 0. (B, L) int64."""
    token_lengths: Tensor | None = None
    """Number of valid tokens of each transcript. (B,) int64."""
    labels: Tensor | None = None
    """Labels, 1 where a class is present, else 0. (B, K) float32."""
    vectors: dict[str, Tensor] = field(default_factory=dict)
    """Vectors of the clips by the name of their external encoder: (B, E), or of their frames (B, G, E); float32."""
    vector_lengths: dict[str, Tensor] = field(default_factory=dict)
    """Number of valid frames of each clip, by the name of an encoder that gives frames. (B,) int64 each."""
    skipped: list[Skipped] = field(default_factory=list)
    """Items of the request that could not be used, with the reason."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def seconds(self) -> float:
        """Seconds of audio in the batch, padding not counted."""
        return float(self.lengths.sum()) / 16_000

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch with its tensors on `device`."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        for each in ("vectors", "vector_lengths"):
            values: dict[str, Tensor] = getattr(self, each)
            moved[each] = {name: value.to(device, non_blocking=True) for name, value in values.items()}
        return replace(self, **moved)
