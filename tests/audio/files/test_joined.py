"""Several recordings as one: places, silence between, other rates and channels, faults."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from noisewise.audio.files.joined import JoinedAudio, Link
from noisewise.audio.files.protocol import OpenAudio, cut_off
from noisewise.errors import AudioError


class Memory(OpenAudio):
    """A source of samples (T, C); the last `lacking` of them are promised and not there."""

    name, format, fault = "memory", "MEMORY", None

    def __init__(self, samples: NDArray[np.float32], rate: int = 1000, lacking: int = 0):
        self.content, self.sample_rate, self.lacking = samples, rate, lacking
        self.samples, self.channels = len(samples), samples.shape[1]
        self.is_closed = False

    def blocks(self, start: int, stop: int | None) -> Iterator[NDArray[np.float32]]:
        stop = self.samples if stop is None else stop
        there = self.samples - self.lacking
        for place in range(start, min(stop, there), 70):
            yield self.content[place : min(place + 70, stop, there)]
        if stop > there:
            source: OpenAudio = self
            raise cut_off(source, there)

    def close(self) -> None:
        self.is_closed = True


def ramp(samples: int, channels: int = 1, first: int = 1) -> NDArray[np.float32]:
    return np.repeat(np.arange(first, first + samples, dtype=np.float32)[:, None], channels, axis=1)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, None), (0, 50), (80, 130), (120, 330), (250, 260), (420, None), (0, 450)]
)
def test_parts_of_the_whole(start: int, stop: int | None) -> None:
    links = [
        Link(Memory(ramp(100))),
        Link(Memory(ramp(150, first=500)), 0.05),
        Link(Memory(ramp(100, first=900)), 0.05),
    ]
    joined = JoinedAudio(links, "joined")
    gap = np.zeros((50, 1), np.float32)
    whole = np.concatenate([ramp(100), gap, ramp(150, first=500), gap, ramp(100, first=900)])
    assert (joined.samples, joined.sample_rate, joined.channels) == (450, 1000, 1)
    found = list(joined.blocks(start, stop))
    np.testing.assert_array_equal(np.concatenate(found), whole[start:stop])


def test_other_rates_and_channels() -> None:
    tone = np.sin(np.arange(4000) * 0.02).astype(np.float32)[:, None]
    joined = JoinedAudio([Link(Memory(ramp(100))), Link(Memory(np.repeat(tone, 2, axis=1), rate=2000))], "joined")
    whole = np.concatenate(list(joined.blocks(0, None)))
    assert whole.shape == (2100, 2) and joined.samples == 2100
    np.testing.assert_array_equal(whole[:100], ramp(100, 2))
    np.testing.assert_allclose(whole[300:1900, 1], tone[400:3600:2, 0], atol=1e-3)
    np.testing.assert_allclose(np.concatenate(list(joined.blocks(500, 600))), whole[500:600], atol=1e-6)


def test_a_fault_in_the_middle_is_silence_and_said_at_the_end() -> None:
    joined = JoinedAudio([Link(Memory(ramp(100), lacking=30)), Link(Memory(ramp(50)))], "joined")
    blocks = []
    with pytest.raises(AudioError, match="decoded"):
        for block in joined.blocks(0, None):
            blocks.append(block)
    whole = np.concatenate(blocks)
    np.testing.assert_array_equal(whole, np.concatenate([ramp(70), np.zeros((30, 1)), ramp(50)]))
    last = JoinedAudio([Link(Memory(ramp(100))), Link(Memory(ramp(50), lacking=20))], "joined")
    blocks = []
    with pytest.raises(AudioError, match="decoded"):
        for block in last.blocks(0, None):
            blocks.append(block)
    assert len(np.concatenate(blocks)) == 130


def test_all_are_closed() -> None:
    sources = [Memory(ramp(10)), Memory(ramp(10))]
    JoinedAudio([Link(source) for source in sources], "joined").close()
    assert all(source.is_closed for source in sources)
