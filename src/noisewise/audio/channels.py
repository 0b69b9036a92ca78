"""The channels of a recording: mixed, chosen, or compared, to tell a call between two people from stereo.

Legend: T samples, C channels, F frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import AudioError

Samples = NDArray[np.float32]
Channels = Literal["mix", "split"] | Sequence[int]
"""All channels as one, all of them apart, or some of them by number, from 1."""

CANCELLED = 0.1
"""A mean with less than this part of the power of its loudest channel is the remains of channels that cancel.

Channels with nothing in common keep a quarter or more, equal ones all; a tenth takes a correlation below -0.8.
"""
AS_LOUD = 0.5
"""Part of the power of the loudest channel that counts as equal, so that noise does not change the choice."""
MIX_SECONDS = 1.0
"""Channels are mixed, and seen to cancel, in stretches of this length."""
FRAME_SECONDS = 0.03
ACTIVE_DB = (25.0, 9.0)
"""A channel is active within this of its loud frames (95th percentile), and this far above its quiet ones (10th)."""
CROSSTALK_DB = 12.0
"""A channel that is this much weaker than another (each by its own loud frames) has that one's voice in it."""
LEAST_ACTIVE_SECONDS = 0.5
SPEAKERS_OVERLAP = 0.5
SPEAKERS_CORRELATION = 0.5
FLOOR_DB = -90.0


@dataclass(frozen=True)
class ChannelComparison:
    """How unlike the two most different channels of a recording are."""

    channels: tuple[int, int]
    """Their numbers, from 1."""
    correlation: float
    """Correlation of their samples, in -1..1."""
    overlap: float
    """Part of the time of the less active channel in which the other is active too, in 0..1."""
    active_seconds: tuple[float, float]
    """How long each is active, without crosstalk of the other."""

    @property
    def are_two_speakers(self) -> bool:
        """Whether they are like the two sides of a call: both active, at other times, with other signals."""
        return (
            min(self.active_seconds) >= LEAST_ACTIVE_SECONDS
            and self.overlap < SPEAKERS_OVERLAP
            and abs(self.correlation) < SPEAKERS_CORRELATION
        )


def channel_numbers(channels: Channels, count: int, name: str) -> list[int]:
    """Indices, from 0, of the channels that are wanted.

    Args:
        channels: as for `waveform.load`.
        count: channels of the recording.
        name: for messages.

    Raises:
        AudioError: the recording lacks one of them, or it is none.
    """
    if channels in ("mix", "split"):
        return list(range(count))
    if isinstance(channels, str) or not len(channels) or not all(isinstance(each, int) for each in channels):
        raise AudioError(f"`channels` must be 'mix', 'split' or numbers from 1, but is {channels!r} instead; name some")
    for each in channels:
        if not 1 <= each <= count:
            raise AudioError(
                f"`channels` must be numbers from 1 to {count} for `{name}`, but one is {each} instead; "
                "name channels that it has",
                path=name,
            )
    return [each - 1 for each in channels]


def chosen(block: Samples, numbers: Sequence[int]) -> Samples:
    """Channels of a block by index. (T, C) -> (T, C')"""
    return block if list(numbers) == list(range(block.shape[1])) else np.ascontiguousarray(block[:, list(numbers)])


def mixed(blocks: Iterator[Samples], rate: int, first: int = 0) -> Iterator[Samples]:
    """The mean of the channels, or a loud one in each second in which they cancel.

    A microphone with two plugs, or a line whose poles became two channels, gives one signal and its negative; their
    mean is silence, whatever was said. So where the mean has less than `CANCELLED` of the power of the loudest
    channel, the first channel that is about as loud (`AS_LOUD`) is taken in its place. Seconds are counted from the
    start of the file, so that a part gets the same samples as the whole (but for the seconds that it cuts).

    Args:
        blocks: samples. (T, C)
        rate: samples per second.
        first: place of the first sample in the file.

    Yields:
        one channel. (T, 1)
    """
    size = max(1, round(MIX_SECONDS * rate))
    room = size - first % size
    kept: list[Samples] = []
    for block in blocks:
        if block.shape[1] == 1:
            yield block
            continue
        while len(block):
            part, block = block[:room], block[room:]
            kept.append(part)
            room -= len(part)
            if not room:
                yield _mean_or_loudest(np.concatenate(kept))
                kept, room = [], size
    if kept:
        yield _mean_or_loudest(np.concatenate(kept))


def compare_channels(blocks: Iterator[Samples], sample_rate: int) -> ChannelComparison | None:
    """Measure whether the channels of a recording differ like two speakers.

    The power of each is taken in frames of 30 ms and by its own loud frames, so that a quiet side of a call counts as
    much as a loud one; a channel in which the other is merely audible is not active.

    Args:
        blocks: samples of all channels, as `waveform.stream(..., channels="split")` yields them. (C, T)
        sample_rate: samples per second.

    Returns:
        the comparison of the two channels that overlap least; None for one channel, or none that are active.

    Example:
        >>> import numpy as np
        >>> voice = np.random.default_rng(0).normal(size=(1, 16000)).astype(np.float32)
        >>> pause = np.zeros_like(voice)
        >>> call = np.concatenate([np.hstack([voice, pause]), np.hstack([pause, voice])])
        >>> compare_channels(iter([call]), 16_000).are_two_speakers
        True
    """
    size = max(1, round(FRAME_SECONDS * sample_rate))
    powers: list[NDArray[np.float64]] = []
    products: NDArray[np.float64] | float = 0.0
    sums: NDArray[np.float64] | float = 0.0
    count = 0
    rest: Samples | None = None
    for block in blocks:
        values = block if rest is None else np.concatenate([rest, block], axis=1)
        whole = values.shape[1] // size * size
        rest, values = values[:, whole:], values[:, :whole].astype(np.float64)
        products = products + values @ values.T
        sums, count = sums + values.sum(axis=1), count + whole
        frames = values.reshape(len(values), -1, size)
        powers.append(frames.var(axis=2))
    if not count or rest is None or len(rest) < 2:
        return None
    level = 10 * np.log10(np.maximum(np.concatenate(powers, axis=1), 10 ** (FLOOR_DB / 10)))  # (C, F)
    covariance = np.asarray(products) / count - np.outer(np.asarray(sums), np.asarray(sums)) / count**2
    pairs = [_compared(level, covariance, pair) for pair in combinations(range(len(level)), 2)]
    found = [pair for pair in pairs if min(pair.active_seconds) > 0]
    return min(found, key=lambda pair: (not pair.are_two_speakers, pair.overlap), default=None)


def _compared(level: NDArray[np.float64], covariance: NDArray[np.float64], pair: tuple[int, int]) -> ChannelComparison:
    """Compare two channels by their levels in dB (C, F) and the covariance of their samples (C, C)."""
    high = np.percentile(level, 95, axis=1)
    low = np.percentile(level, 10, axis=1)
    first, second = pair
    relative = level - high[:, None]
    loud = (relative > -ACTIVE_DB[0]) & (level > low[:, None] + ACTIVE_DB[1])
    above = relative[first] - relative[second]
    active = loud[first] & (above > -CROSSTALK_DB), loud[second] & (above < CROSSTALK_DB)
    counts = [int(each.sum()) for each in active]
    both = int((active[0] & active[1]).sum())
    variance = covariance[first, first] * covariance[second, second]
    return ChannelComparison(
        (first + 1, second + 1),
        float(covariance[first, second] / np.sqrt(variance)) if variance > 0 else 0.0,
        both / min(counts) if min(counts) else 0.0,
        (counts[0] * FRAME_SECONDS, counts[1] * FRAME_SECONDS),
    )


def _mean_or_loudest(block: Samples) -> Samples:
    """One channel of a stretch. (T, C) -> (T, 1)"""
    mean: Samples = block.mean(axis=1, keepdims=True)
    powers = block.var(axis=0, dtype=np.float64)
    if mean.var(dtype=np.float64) >= CANCELLED * powers.max():
        return mean
    loud = int(np.argmax(powers >= AS_LOUD * powers.max()))
    return block[:, loud : loud + 1]
