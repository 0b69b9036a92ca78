"""Long recordings in overlapping windows, in memory that does not grow; or in parts that end at pauses."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from noisewise.audio.waveform import SAMPLE_RATE

Samples = NDArray[np.float32]
QUIET_SECONDS = 0.2
"""Length of the stretch whose level says where speech pauses."""
GRAIN = 160
"""Samples from one such stretch to the next, 10 ms at 16 kHz."""
QUIET = round(QUIET_SECONDS * SAMPLE_RATE)
"""The same in samples."""
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
            cut = _last_pause(kept[:size], hop)
            yield origin, kept[:cut].copy()
            kept, origin = kept[cut:], origin + cut
    if len(kept):
        yield origin, kept


def _last_pause(samples: Samples, hop: int) -> int:
    """The middle of the quietest stretch of the second half, a multiple of `hop`. (T,)"""
    low = len(samples) // 2
    high = max(len(samples) - LAST, low + QUIET)
    power = np.cumsum(np.square(samples[low:high], dtype=np.float64))
    stretch = power[QUIET:] - power[:-QUIET]
    middle = low + (int(stretch.argmin()) + QUIET // 2 if len(stretch) else 0)
    return max(hop, middle // hop * hop)


def at_pauses(samples: Samples, size: int, sample_rate: int = 16_000) -> list[tuple[int, Samples]]:
    """Cut a recording into parts that end where it is quietest: no word is cut where there is a pause.

    A part ends in the middle of the quietest `QUIET_SECONDS` of the last third of the longest part that is allowed, the
    first of several. The parts together are the recording.

    Args:
        samples: (T,)
        size: most samples of a part.
        sample_rate: samples per second.

    Returns:
        The first sample of each part, and its samples.

    Example:
        >>> speech = np.ones(40_000, np.float32)
        >>> speech[24_000:30_000] = 0
        >>> [(start, len(part)) for start, part in at_pauses(speech, 32_000)]
        [(0, 25600), (25600, 14400)]
    """
    parts, start = list[tuple[int, Samples]](), 0
    while len(samples) - start > size:
        end = start + _quietest(samples[start : start + size], round(QUIET_SECONDS * sample_rate))
        parts.append((start, samples[start:end]))
        start = end
    return [*parts, (start, samples[start:])]


def _quietest(samples: Samples, width: int) -> int:
    """Middle of the quietest `width` samples of the last third. (T,)"""
    first = max(1, len(samples) * 2 // 3)
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples[first:], dtype=np.float64))])
    width = min(width, len(energy) - 1)
    sums = energy[width::GRAIN] - energy[: len(energy) - width : GRAIN]
    return first + int(np.argmin(sums)) * GRAIN + width // 2
