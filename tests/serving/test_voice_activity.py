"""Turns in a signal that comes in pieces."""

import numpy as np
import pytest

from noisewise.audio.files.protocol import Samples
from noisewise.serving.voice_activity import FRAME, TurnDetector

RATE = 16_000


def signal(noise: float = 0.003) -> Samples:
    """Two turns of 1 s, from 1 s and from 3 s, in noise."""
    random = np.random.default_rng(0)
    samples = random.normal(0, noise, 5 * RATE)
    for start in (1, 3):
        samples[start * RATE : (start + 1) * RATE] += random.normal(0, 0.1, RATE)
    return samples.astype(np.float32)


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.02])
@pytest.mark.parametrize("piece", [100, 1600, 80_000])
def test_turns_whatever_the_pieces(noise: float, piece: int) -> None:
    detector, samples = TurnDetector(silence_seconds=0.5), signal(noise)
    found = [change for at in range(0, len(samples), piece) for change in detector.feed(samples[at : at + piece])]
    assert [change.kind for change in found] == ["started", "stopped"] * 2
    for change, seconds in zip(found, (1.0, 2.5, 3.0, 4.5), strict=True):
        assert abs(change.sample / RATE - seconds) < 0.07
    assert not detector.is_speaking


def test_clicks_and_steady_noise_are_no_turns() -> None:
    samples = np.random.default_rng(1).normal(0, 0.05, 5 * RATE).astype(np.float32)
    samples[2 * RATE : 2 * RATE + FRAME] += 0.9
    assert not TurnDetector().feed(samples)


def test_a_high_threshold_wants_more() -> None:
    assert not TurnDetector(threshold=1.0).feed(signal(0.05))
