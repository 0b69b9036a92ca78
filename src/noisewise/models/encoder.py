"""What every encoder gives: frames of features and how many are valid."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class EncoderOutput:
    """Contextual features of a batch of utterances."""

    features: Tensor
    """(B, F, D)."""
    lengths: Tensor
    """Valid frames. (B,) int64."""


class Encoder(Protocol):
    """Waveform in, features out."""

    dim: int
    """Width of the features."""
    hop: int
    """Samples from one frame to the next."""

    def __call__(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """(B, T) float32 at 16 kHz, (B,) -> features and their lengths."""
        ...
