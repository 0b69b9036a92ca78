"""The batch: what the data loader gives and every task takes.

Legend: B utterances, T samples, L tokens, K classes.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Skipped:
    """An item that could not be used, and why; it is reported, never silently lost."""

    id: str
    path: str
    reason: str


@dataclass
class Batch:
    """Utterances padded with zeros to the longest."""

    waveform: Tensor
    """What is heard, noise included. (B, T) float32 at 16 kHz."""
    lengths: Tensor
    """Valid samples of each utterance. (B,) int64."""
    ids: list[str]
    """Utterance ids. B."""
    texts: list[str] = field(default_factory=list)
    """Normalised reference transcripts. B."""
    clean: Tensor | None = None
    """The same speech before noise was added, sample for sample. (B, T)."""
    tokens: Tensor | None = None
    """Token ids of the transcripts, padded with 0. (B, L) int64."""
    token_lengths: Tensor | None = None
    """Valid tokens of each transcript. (B,) int64."""
    labels: Tensor | None = None
    """1 where a class holds, else 0. (B, K) float32."""
    vectors: dict[str, Tensor] = field(default_factory=dict)
    """Name of an external encoder to its vectors of the clips: (B, E), or those of their frames (B, G, E)."""
    vector_lengths: dict[str, Tensor] = field(default_factory=dict)
    """Valid frames of each clip, of encoders that give frames. (B,) int64 each."""
    skipped: list[Skipped] = field(default_factory=list)
    """Items that were asked for and could not be read."""

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
