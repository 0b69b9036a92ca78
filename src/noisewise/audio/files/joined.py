"""Recordings one after another in one file (joined mp3, chained Ogg, recordings with gaps) as one recording.

Legend: T samples, C channels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soxr

from noisewise.audio.files.protocol import OpenAudio, Samples, silence
from noisewise.errors import AudioError


@dataclass(frozen=True)
class Link:
    """One of the recordings."""

    source: OpenAudio
    gap_seconds: float = 0.0
    """Silence before it."""


class JoinedAudio:
    """Recordings as one, at the sample rate of the first and with as many channels as the widest."""

    def __init__(
        self, links: Sequence[Link], name: str, fault: AudioError | None = None, owned: BinaryIO | None = None
    ):
        """Join recordings whose lengths are known.

        Args:
            links: the recordings in order, at least one.
            name: for messages.
            fault: what is known to be missing.
            owned: the file that they share, closed with them.
        """
        self.name, self.fault, self._links, self._owned = name, fault, links, owned
        first = links[0].source
        self.sample_rate, self.format = first.sample_rate, first.format
        self.channels = max(link.source.channels for link in links)
        self.samples: int | None = sum(self._gap(link) + self._length(link.source) for link in links)

    def blocks(self, start: int, stop: int | None) -> Iterator[Samples]:
        """Decode samples start..stop in blocks (T, C); see `OpenAudio`."""
        end = self.samples or 0
        stop = end if stop is None else stop
        position = 0
        for link in self._links:
            gap, length = self._gap(link), self._length(link.source)
            yield from silence(min(stop, position + gap) - max(start, position), self.channels)
            position += gap
            first, last = max(start - position, 0), min(stop - position, length)
            if first < last:
                yield from self._part(link.source, first, last, is_last=link is self._links[-1])
            position += length
        if self.fault is not None and stop >= end:  # all of it was asked for
            raise self.fault

    def close(self) -> None:
        """Let the files go."""
        for link in self._links:
            link.source.close()
        if self._owned is not None:
            self._owned.close()

    def _gap(self, link: Link) -> int:
        return round(link.gap_seconds * self.sample_rate)

    def _length(self, source: OpenAudio) -> int:
        """Samples of a recording at the common rate."""
        return round((source.samples or 0) * self.sample_rate / source.sample_rate)

    def _part(self, source: OpenAudio, first: int, last: int, *, is_last: bool) -> Iterator[Samples]:
        """Exactly the samples first..last (at the common rate) of a recording, in blocks (T, C).

        What cannot be decoded is silence, so that the times of those that follow are right; the fault comes last.
        """
        same = source.sample_rate == self.sample_rate
        blocks = source.blocks(first, last) if same else self._resampled(source)
        position = first if same else 0
        try:
            for block in blocks:
                kept = block[max(0, first - position) : max(0, last - position)]
                position += len(block)
                if len(kept):
                    yield self._widened(kept)
        except AudioError as error:
            if error.reason != "truncated" or is_last:
                raise
            self.fault = self.fault or error
        yield from silence(last - max(first, position), self.channels)  # a codec may end some samples early

    def _resampled(self, source: OpenAudio) -> Iterator[Samples]:
        resampler = soxr.ResampleStream(source.sample_rate, self.sample_rate, source.channels, dtype="float32")
        for block in source.blocks(0, None):
            yield resampler.resample_chunk(np.ascontiguousarray(block)).reshape(-1, source.channels)
        rest = resampler.resample_chunk(np.zeros((0, source.channels), np.float32), last=True)
        yield rest.reshape(-1, source.channels)

    def _widened(self, block: Samples) -> Samples:
        """A block with all channels: those that a recording lacks repeat its mean."""
        lacking = self.channels - block.shape[1]
        if not lacking:
            return block
        mean = block.mean(axis=1, keepdims=True)
        return np.concatenate([block, np.repeat(mean, lacking, axis=1)], axis=1)
