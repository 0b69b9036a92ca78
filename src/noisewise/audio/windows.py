"""Long recordings in windows, in memory that does not grow."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from noisewise.audio.waveform import SAMPLE_RATE

Samples = NDArray[np.float32]
QUIET = SAMPLE_RATE // 5
"""Samples over which loudness is taken where a place to cut is looked for: 0.2 s."""
LAST = 2 * SAMPLE_RATE
"""A window ends so much sooner than it might, so that the last of a recording is not shorter."""


def windows(blocks: Iterable[Samples], size: int, step: int, hop: int = 1) -> Iterator[tuple[int, Samples]]:
    """Cut a stream of samples into overlapping windows.

    All windows have `size` samples: the last is not cut short but begins earlier (and may lack less than
    `hop` samples, so that it begins on a frame). A recording of at most `size` samples is one window.

    Args:
        blocks: the recording in pieces of any length. (T,) each
        size: samples of a window.
        step: samples from one window to the next, a multiple of `hop`.
        hop: windows begin at multiples of this many samples.

    Yields:
        The first sample of a window, and its samples. (size,)
    """
    if not 0 < step <= size or step % hop:
        raise ValueError(
            f"`step` must be a multiple of {hop} from {hop} to {size} samples, but is {step} instead; "
            "choose a longer window or a shorter overlap"
        )
    kept = np.zeros(0, np.float32)  # samples from `origin` on
    origin = following = 0
    for block in blocks:
        kept = np.concatenate([kept, block])
        while len(kept) > following - origin + size:  # more is to come after this window
            kept, origin = kept[following - origin :], following
            yield origin, kept[:size].copy()
            following += step
    start = -(-(origin + len(kept) - size) // hop) * hop if following else 0
    yield start, kept[start - origin :]


def windows_at_pauses(blocks: Iterable[Samples], size: int, hop: int = 1) -> Iterator[tuple[int, Samples]]:
    """Cut a stream of samples where it is quiet: the windows do not overlap, and together are the recording.

    A window ends in the middle of the quietest 0.2 s of its second half. A recording of at most `size` samples is one.

    Args:
        blocks: the recording in pieces of any length. (T,) each
        size: samples of a window at most.
        hop: windows begin at multiples of this many samples.

    Yields:
        The first sample of a window, and its samples.
    """
    kept, origin = np.zeros(0, np.float32), 0  # samples from `origin` on
    for block in blocks:
        kept = np.concatenate([kept, block])
        while len(kept) > size:
            cut = _quietest(kept[:size], hop)
            yield origin, kept[:cut].copy()
            kept, origin = kept[cut:], origin + cut
    if len(kept):
        yield origin, kept


def _quietest(samples: Samples, hop: int) -> int:
    """The middle of the quietest stretch of the second half, a multiple of `hop`. (T,)"""
    low = len(samples) // 2
    high = max(len(samples) - LAST, low + QUIET)
    power = np.cumsum(np.square(samples[low:high], dtype=np.float64))
    stretch = power[QUIET:] - power[:-QUIET]
    middle = low + (int(stretch.argmin()) + QUIET // 2 if len(stretch) else 0)
    return max(hop, middle // hop * hop)
