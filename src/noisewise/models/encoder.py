"""What every encoder of speech gives: frames of features and how many are valid."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn


@dataclass(frozen=True)
class EncoderOutput:
    """Contextual features of a batch of utterances."""

    features: Tensor
    """(B, F, D)."""
    lengths: Tensor
    """Valid frames. (B,) int64."""


class Encoder(nn.Module):
    """Waveform in, features out."""

    dim: int
    """Width of the features (D)."""
    hop: int
    """Samples from one frame to the next."""

    @abstractmethod
    def forward(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode waveforms.

        Args:
            waveform: (B, T) float32 at 16 kHz.
            lengths: valid samples. (B,)

        Returns:
            Features (B, F, D), zero past their lengths (B,).
        """

    if TYPE_CHECKING:

        def __call__(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
            """As `forward`."""
            ...
