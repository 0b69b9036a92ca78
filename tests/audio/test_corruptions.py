"""Every corruption of the benchmark: its severities, what it does to speech-like sound, and that it repeats."""

import numpy as np
import pytest

from noisewise.audio.corruptions import CORRUPTIONS, GROUPS, SNRS_DB, gaussian
from noisewise.audio.degradation import Waveform
from noisewise.audio.degrade import DEGRADATIONS, degrade
from noisewise.audio.mix import snr_db
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.random_streams import Draws

SEVERITIES = {
    "srb_gnoise": (30, 20, 10, 0), "srb_speedup": (1.25, 1.5, 1.75, 2), "srb_slowdown": (0.875, 0.75, 0.625, 0.5),
    "srb_tempo_up": (1.25, 1.5, 1.75, 2), "srb_tempo_down": (0.875, 0.75, 0.625, 0.5), "srb_pitch_up": (3, 6, 9, 12),
    "srb_pitch_down": (-3, -6, -9, -12), "srb_echo": (125, 250, 500, 1000), "srb_resample": (0.75, 0.5, 0.25, 0.125),
    "srb_gain": (10, 20, 30, 40), "srb_lowpass": (4000, 2833, 1666, 500), "srb_highpass": (500, 1333, 2166, 3000),
    "srb_phaser": (0.3, 0.5, 0.7, 0.9), "srb_tremolo": (50, 66, 83, 100), "srb_treble": (10, 23, 36, 50),
    "srb_bass": (20, 30, 40, 50), "srb_chorus": (30, 50, 70, 90),
}  # fmt: skip
"""As the file `corruptions.py` of the benchmark lists them."""


def sound() -> Waveform:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    return (0.1 * np.sin(2 * np.pi * 300 * time * (1 + time)) * np.sin(2 * np.pi * 2 * time)).astype(np.float32)


def uniforms(count: int) -> np.ndarray:
    return Draws(0, "u").uniforms(count)


def test_severities_are_those_of_the_benchmark() -> None:
    assert {name: CORRUPTIONS[name].levels for name in SEVERITIES} == SEVERITIES
    assert CORRUPTIONS.keys() - SEVERITIES.keys() == {"srb_pink", "srb_room"}
    assert not CORRUPTIONS.keys() & DEGRADATIONS.keys()
    assert {name for group in GROUPS.values() for name in group} >= CORRUPTIONS.keys()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_repeats_grows_and_stays_finite(name: str) -> None:
    clean = sound()
    found = [degrade(name, clean, level, uniforms) for level in CORRUPTIONS[name].levels]
    np.testing.assert_array_equal(found[0], degrade(name, clean, CORRUPTIONS[name].levels[0], uniforms))
    for each in found:
        assert each.dtype == np.float32 and each.ndim == 1 and np.isfinite(each).all() and np.abs(each).max() > 0
        assert name in ("srb_gnoise", "srb_pink", "srb_room") or np.abs(each).max() <= 1
    assert len({each.tobytes() for each in found}) == 4


@pytest.mark.parametrize("name", ["srb_gnoise", "srb_pink"])
def test_noise_is_at_its_ratio_and_the_same_at_all_severities(name: str) -> None:
    clean = sound()
    noises = [degrade(name, clean, level, uniforms).astype(np.float64) - clean for level in SNRS_DB]
    for level, noise in zip(SNRS_DB, noises, strict=True):
        assert snr_db(clean, noise) == pytest.approx(level, abs=0.01)
    np.testing.assert_allclose(noises[0] / noises[0].std(), noises[3] / noises[3].std(), atol=2e-3)


def test_colours_of_noise() -> None:
    white = gaussian(1 << 16, uniforms)
    assert (white.mean(), white.std()) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))
    assert np.mean(np.abs(white) < 1) == pytest.approx(0.6827, abs=0.01)
    pink = degrade("srb_pink", np.full(1 << 14, 1e-3, np.float32), -60.0, uniforms)
    power = np.square(np.abs(np.fft.rfft(pink)))
    octaves = [power[low : 2 * low].sum() for low in (256, 1024, 4096)]
    assert np.ptp(10 * np.log10(octaves)) < 1.5, "every octave has the same power"


@pytest.mark.parametrize(("name", "ratio"), [("srb_speedup", 2), ("srb_slowdown", 0.5), ("srb_tempo_up", 2)])
def test_duration(name: str, ratio: float) -> None:
    assert len(degrade(name, sound(), ratio, uniforms)) == pytest.approx(SAMPLE_RATE / ratio, abs=1)


def test_amplification_clips_and_resampling_keeps_the_low_band() -> None:
    loud = degrade("srb_gain", sound(), 40, uniforms)
    assert loud.max() == 1.0 and np.mean(np.abs(loud) == 1) > 0.3
    low, high = (
        np.sin(2 * np.pi * hertz * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32) for hertz in (700, 1500)
    )
    assert np.abs(degrade("srb_resample", low, 0.125, uniforms) - low)[500:-500].max() < 1e-2
    assert np.abs(degrade("srb_resample", high, 0.125, uniforms))[500:-500].max() < 1e-2
