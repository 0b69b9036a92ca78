"""What an open recording is, whoever decodes it.

Legend: T samples, C channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import AudioError

Samples = NDArray[np.float32]

BLOCK_VALUES = 1 << 20
"""Values (samples times channels) decoded at a time."""
GAP_SECONDS = 0.2
"""Time stamps that jump by more are a gap, which is filled; less is the rounding of clocks."""
LONGEST_GAP_SECONDS = 3600.0
"""A longer jump is a broken clock rather than a pause, and is closed up."""
LATEST_START_SECONDS = 600.0
"""A recording that begins later in its container carries the clock of a broadcast, whose zero means nothing."""


@dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """Header of a recording."""

    seconds: float
    """Length in seconds; nan when the header lacks it."""
    sample_rate: int
    """Sample rate in Hz."""
    channels: int
    """Number of channels; `load` gives their mean unless asked for some of them."""
    samples: int
    """Number of samples of one channel; -1 when the header lacks it."""
    format: str
    """Container and coding, for instance `FLAC PCM_16`."""


class OpenAudio(Protocol):
    """An open recording."""

    name: str
    sample_rate: int
    channels: int
    samples: int | None
    """Number of samples of one channel that are there, or None when only decoding can tell."""
    format: str
    fault: AudioError | None
    """What is seen to be missing (reason `truncated`) before any decoding; None when nothing is."""

    def blocks(self, start: int, stop: int | None) -> Iterator[Samples]:
        """Decode samples start..stop (None: to the end) in blocks (T, C); at most one call for each source.

        Raises:
            AudioError: the recording ends before `stop`, or before its header says so (reason `truncated`, after
                all blocks that are there); or it cannot be read.
        """
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


def cut_off(source: OpenAudio, position: int) -> AudioError:
    """The error of a recording whose header promises more than can be decoded, up to sample `position`."""
    promise = "" if source.samples is None else f" of {source.samples / source.sample_rate:.2f} s"
    return AudioError(
        f"`{source.name}` must hold all{promise} that its header promises, but cannot be decoded past "
        f"{position / source.sample_rate:.2f} s; copy or record it again",
        "truncated",
        source.name,
    )


def unreadable(name: str, error: BaseException) -> AudioError:
    """The error of a file that the system cannot read on."""
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return AudioError(
        f"`{name}` must be readable to its end, but cannot be read ({why}); check the disk or the network, "
        "and copy it again",
        "missing",
        name,
    )


def silence(samples: int, channels: int) -> Iterator[Samples]:
    """Zeros in blocks (T, C)."""
    size = max(1, BLOCK_VALUES // channels)
    for start in range(0, samples, size):
        yield np.zeros((min(size, samples - start), channels), np.float32)
