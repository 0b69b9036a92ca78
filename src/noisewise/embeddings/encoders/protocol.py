"""The interface of frozen encoders of any origin, which `PooledEncoder` windows, pools and batches alike.

Legend: E width of the frames, P width of the pooled vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Encoding:
    """Output of a frozen encoder for one clip, or for one part of it."""

    frames: Tensor | None
    """Vectors in the order of time, of the clip alone and none of padding; None where the encoder gives none. (F, E)"""
    cls: Tensor | None = None
    """Vector of the CLS token, where the encoder has one. (E,)"""
    pooler: Tensor | None = None
    """Vector that the encoder itself pools from the clip, where it does. (P,)"""


class FrozenEncoder(Protocol):
    """An encoder that is not trained any more."""

    name: str
    """Name of the encoder, as stores of embeddings state it."""
    sample_rate: int
    """Sample rate of the input in hertz."""
    window: int | None
    """Longest input in samples; None for any length."""
    pooling: str | None
    """Default pooling to one vector: `mean`, `cls` or `pooler`; None for the first that the encoder has."""
    weights_sha256: str | None
    """SHA-256 of the weights, where there is a file of them."""
    details: dict[str, str]
    """Architecture and versions of the software."""

    def encode(self, clips: Sequence[Tensor]) -> list[Encoding]:
        """Encode clips, each as if it were alone.

        Args:
            clips: waveforms at `sample_rate`, float32. (T,) each


        Raises:
            ModelError: a clip is too short.
        """
        ...
