"""Channels: apart, chosen, mixed, and compared."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.audio.channels import ChannelComparison, compare_channels
from noisewise.errors import AudioError

RATE = 16_000


def speech(seconds: float, seed: int) -> NDArray[np.float32]:
    """Noise with the rhythm of syllables."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    return (random.normal(size=len(time)) * 0.1 * (1.1 + np.sin(2 * np.pi * 4 * time + seed))).astype(np.float32)


def turns(seconds: float, seed: int, mine: bool) -> NDArray[np.float32]:
    """Speech in every other two seconds."""
    time = np.arange(round(seconds * RATE)) / RATE
    return speech(seconds, seed) * ((time // 2 % 2 == 0) == mine)


def write(path: Path, *channels: NDArray[np.float32], rate: int = RATE) -> Path:
    soundfile.write(path, np.stack(channels, axis=1), rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("sample_rate", [16_000, 8000, 22_050])
def test_channels_apart(tmp_path: Path, sample_rate: int) -> None:
    parts = [speech(3.0, seed) for seed in range(3)]
    path = write(tmp_path / "a.wav", *parts)
    split = waveform.load(path, sample_rate=sample_rate, channels="split")
    assert split.shape == (3, 3 * sample_rate) and split.flags.c_contiguous
    for row, part in zip(split, parts, strict=True):
        np.testing.assert_allclose(row, waveform.resample(part, RATE, sample_rate), atol=1e-5)
    np.testing.assert_array_equal(waveform.load(path, sample_rate=sample_rate, channels=[3, 1]), split[[2, 0]])
    blocks = list(waveform.stream(path, block_seconds=0.4, sample_rate=sample_rate, channels="split"))
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), split)
    part = waveform.load(path, sample_rate=sample_rate, channels="split", offset=1.0, duration=0.5)
    np.testing.assert_allclose(part, split[:, sample_rate : sample_rate * 3 // 2], atol=1e-4)


def test_a_channel_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", speech(0.5, 0), speech(0.5, 1))
    for wrong in ([0], [3], [1, 2, 3], [], "left", [1.5]):
        with pytest.raises(AudioError, match="channels"):
            waveform.load(path, channels=wrong)  # type: ignore[arg-type]
    assert waveform.load(write(tmp_path / "b.wav", speech(0.5, 0)), channels="split").shape == (1, 8000)


@pytest.mark.parametrize("gain", [-1.0, -0.9, -0.7, -1.3, -1.6])
def test_channels_that_cancel_give_one_of_them(tmp_path: Path, gain: float) -> None:
    one = speech(4.0, 0)
    path = write(tmp_path / "a.wav", one, (one * gain).astype(np.float32))
    loaded = waveform.load(path)
    np.testing.assert_allclose(np.abs(loaded), np.abs(one) * (1.6 if gain == -1.6 else 1.0), atol=1e-6)
    np.testing.assert_array_equal(np.concatenate(list(waveform.stream(path, block_seconds=0.7))), loaded)
    np.testing.assert_array_equal(waveform.load(path, offset=1.3, duration=1.1), loaded[20_800:38_400])


def test_channels_that_cancel_but_for_their_noise(tmp_path: Path) -> None:
    one = speech(3.0, 0)
    random = np.random.default_rng(1)
    noisy = [(sign * one + random.normal(size=len(one)) * 0.02).astype(np.float32) for sign in (1, -1)]
    assert np.corrcoef(waveform.load(write(tmp_path / "a.wav", *noisy)), one)[0, 1] > 0.9


def test_other_channels_are_averaged(tmp_path: Path) -> None:
    one, other, silent = speech(3.0, 0), speech(3.0, 1), np.zeros(48_000, np.float32)
    for pair in ((one, other), (one, silent), (silent, one), (one, one), (one, -0.3 * one), (one, other, silent)):
        found = waveform.load(write(tmp_path / "a.wav", *pair))
        np.testing.assert_allclose(found, np.mean(pair, axis=0), atol=1e-6)


def compared(tmp_path: Path, *channels: NDArray[np.float32]) -> ChannelComparison | None:
    path = write(tmp_path / "a.wav", *channels)
    return compare_channels(waveform.stream(path, block_seconds=1.0, channels="split"), RATE)


@pytest.mark.parametrize("gain", [1.0, 0.1])
@pytest.mark.parametrize("crosstalk", [0.0, 0.05])
@pytest.mark.parametrize("noise", [0.0, 0.001])
def test_two_sides_of_a_call(tmp_path: Path, gain: float, crosstalk: float, noise: float) -> None:
    one, other = turns(12.0, 0, True), turns(12.0, 1, False) * np.float32(gain)
    random = np.random.default_rng(2)
    background = [(random.normal(size=len(one)) * noise * level).astype(np.float32) for level in (1.0, gain)]
    first = one + np.float32(crosstalk) * other + background[0]
    second = other + np.float32(crosstalk * gain) * one + background[1]
    found = compared(tmp_path, first, second)
    assert found is not None and found.are_two_speakers and found.channels == (1, 2)
    assert found.overlap < 0.2 and abs(found.correlation) < 0.3
    assert found.active_seconds == pytest.approx((6.0, 6.0), abs=0.7)


def test_what_is_no_call(tmp_path: Path) -> None:
    one = turns(12.0, 0, True)
    delayed = np.roll(one, 160)
    random = np.random.default_rng(3)
    noise = (random.normal(size=len(one)) * 0.01).astype(np.float32)
    silent = np.zeros_like(one)
    for pair in (
        (one, one),
        (one, -one),
        (one, 0.2 * one),
        (one, delayed),
        (one, silent),
        (one, noise),
        (noise, noise),
    ):
        found = compared(tmp_path, *pair)
        assert found is None or not found.are_two_speakers, pair
    assert compared(tmp_path, one) is None
    assert compared(tmp_path, silent, silent) is None


def test_the_pair_that_differs_is_found(tmp_path: Path) -> None:
    one, other = turns(12.0, 0, True), turns(12.0, 1, False)
    found = compared(tmp_path, one, one, other)
    assert found is not None and found.are_two_speakers and found.channels in ((1, 3), (2, 3))
