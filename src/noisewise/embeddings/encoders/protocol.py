"""What an encoder of any origin must offer, so that `ExternalEncoder` can window, pool and batch for all alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Heard:
    """What an encoder makes of one clip, or of one part of it."""

    frames: Tensor | None
    """Its vectors in the order of time, those of the clip alone and none of padding. (F, E)"""
    cls: Tensor | None = None
    """The vector of its CLS token, where it has one. (E,)"""
    pooler: Tensor | None = None
    """The vector that its family pools for a clip, where it does. (P,)"""


class Hearing(Protocol):
    """A frozen encoder."""

    name: str
    """How a reader of the vectors knows it."""
    sample_rate: int
    """Samples per second that it hears."""
    window: int | None
    """Samples that it hears at once at most, None for any number."""
    pooling: str | None
    """Its family's way to one vector, of `mean`, `cls` and `pooler`; None for the first that it has."""
    weights_sha256: str | None
    """Of its weights, where it has a file of them."""
    details: dict[str, str]
    """Architecture and versions."""

    def hear(self, clips: Sequence[Tensor]) -> list[Heard]:
        """Each clip (T,) float32, heard as if it were alone.

        Raises:
            ModelError: a clip is too short.
        """
        ...
