"""Degradations against what they promise, measured on their output."""

import numpy as np
import pytest

from noisewise.audio.degradation import Waveform
from noisewise.audio.degrade import DEGRADATIONS, degrade
from noisewise.audio.rooms import DISTANCE_M, ROOM_M3, room
from noisewise.errors import NoisewiseError

RATE = 16_000


def uniforms(count: int) -> np.ndarray:
    """The same numbers each time, from the first on."""
    return np.random.default_rng(7).random(count)


def chirp(seconds: float = 1.0) -> Waveform:
    """100 Hz to 7 kHz, swelling, so that no shift of it looks like it; soft for 60 ms at its end."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * (100 * time + 3450 * time**2 / seconds)
    swelling = (0.3 * (0.2 + 0.8 * time / seconds) * np.sin(phase)).astype(np.float32)
    swelling[-960:] *= np.float32(0.001)
    return swelling


def lag(one: np.ndarray, other: np.ndarray) -> int:
    """Samples by which `one` comes after `other`."""
    size = len(one)
    product = np.fft.rfft(one, 2 * size) * np.conj(np.fft.rfft(other, 2 * size))
    best = int(np.argmax(np.fft.irfft(product)))
    return best if best < size else best - 2 * size


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_every_kind_keeps_length_and_time_and_is_the_same_twice(kind: str) -> None:
    waveform = chirp()[:15_999]
    for level in DEGRADATIONS[kind].levels:
        once, again = (degrade(kind, waveform.copy(), level, uniforms) for _ in range(2))
        assert once.dtype == np.float32 and np.array_equal(once, again) and np.isfinite(once).all()
        assert not np.array_equal(once, waveform)
        if kind == "silence":
            assert len(once) == 15_999 + 2 * round(level * RATE)
        elif kind == "speed":
            assert len(once) == pytest.approx(15_999 / level, abs=2)
        else:
            assert once.shape == waveform.shape
            assert abs(lag(once, waveform)) <= 1, level


def test_harder_levels_are_farther_from_the_recording() -> None:
    waveform = chirp()
    for kind in ("reverb", "clip", "lowpass", "opus", "mp3", "vorbis", "loss", "dc"):
        errors = [
            float(np.sum(np.square(degrade(kind, waveform, level, uniforms) - waveform)))
            for level in DEGRADATIONS[kind].levels
        ]
        assert errors == sorted(errors) and errors[0] < errors[-1], kind


def test_clipping_cuts_that_far_below_the_peak() -> None:
    waveform = chirp()
    found = degrade("clip", waveform, 12, uniforms)
    threshold = np.abs(waveform).max() * 10 ** (-12 / 20)
    assert np.abs(found).max() == pytest.approx(threshold, rel=1e-5)
    quiet = np.abs(waveform) < 0.99 * threshold
    assert np.array_equal(found[quiet], waveform[quiet]) and (np.sign(found) == np.sign(waveform)).all()


def test_low_pass_removes_what_is_above_and_keeps_what_is_below() -> None:
    time = np.arange(RATE) / RATE
    both = (0.1 * np.sin(2 * np.pi * 800 * time) + 0.1 * np.sin(2 * np.pi * 2500 * time)).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(degrade("lowpass", both, 2000, uniforms)))
    assert spectrum[800] == pytest.approx(800, rel=0.01) and spectrum[2500] < 1


def test_mulaw_is_that_of_the_standard() -> None:
    """At 16 kHz nothing is resampled, and the steps are those of G.711 on 16-bit samples."""
    waveform = np.linspace(-0.9, 0.9, 2001).astype(np.float32)
    found = degrade("mulaw", waveform, 16, uniforms) * 32768
    said = np.minimum(np.abs(np.rint(waveform.astype(np.float64) * 32767)), 32635) + 132
    exponent = np.floor(np.log2(said / 132))
    mantissa = np.floor(said / 2 ** (exponent + 3)) - 16
    decoded = np.sign(waveform) * ((mantissa + 16.5) * 2 ** (exponent + 3) - 132)
    close = np.abs(found - decoded) <= 2 ** (exponent + 3)  # the last step of the encoder may round otherwise
    assert close.all() and np.mean(np.abs(found - decoded) < 1) > 0.95
    assert len(np.unique(found)) <= 256


def test_gain_is_recorded_in_sixteen_bits() -> None:
    waveform = chirp()
    soft = degrade("gain", waveform, -60, uniforms)
    assert np.array_equal(soft * 32768, np.rint(soft * 32768)) and len(np.unique(soft)) < 25
    assert np.abs(soft - waveform / 1000).max() <= 0.51 / 32768
    loud = degrade("gain", waveform, 20, uniforms)
    assert loud.max() == 32767 / 32768 and loud.min() == -1.0
    assert np.abs(loud - np.clip(waveform * 10, -1, 1)).max() < 2 / 32768


def test_whole_packets_are_lost_and_higher_levels_lose_more_of_the_same() -> None:
    waveform = np.ones(RATE * 20 + 7, dtype=np.float32)
    before = np.zeros(len(waveform), dtype=bool)
    for percent in (1, 5, 20, 50, 100):
        lost = degrade("loss", waveform, percent, uniforms) == 0
        assert (lost[: RATE * 20].reshape(-1, 320).any(axis=1) == lost[: RATE * 20].reshape(-1, 320).all(axis=1)).all()
        assert lost.mean() == pytest.approx(percent / 100, abs=0.04) and (lost >= before).all()
        before = lost
    assert before.all()


def test_silence_is_of_zeros_on_both_sides() -> None:
    waveform = chirp()
    found = degrade("silence", waveform, 0.5, uniforms)
    assert np.array_equal(found[8000:-8000], waveform) and not found[:8000].any() and not found[-8000:].any()
    assert np.array_equal(degrade("silence", waveform, 0, uniforms), waveform)


def test_a_gate_mutes_what_is_softer_than_its_threshold_and_nothing_else() -> None:
    loud, soft = np.full(320, 0.5, np.float32), np.full(320, 0.5 * 10 ** (-35 / 20), np.float32)
    waveform = np.concatenate([loud, soft, loud, soft[:100]])
    assert np.array_equal(degrade("gaps", waveform, 50, uniforms), waveform)
    found = degrade("gaps", waveform, 30, uniforms)
    assert np.array_equal(found[:960], np.concatenate([loud, 0 * soft, loud])) and not found[960:].any()
    counts = [np.count_nonzero(degrade("gaps", chirp(), level, uniforms)) for level in (80, 40, 20, 3)]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1]


def test_an_offset_is_a_constant_until_full_scale() -> None:
    waveform = chirp()
    assert np.allclose(degrade("dc", waveform, 10, uniforms), waveform + 0.1, atol=1e-7)
    assert degrade("dc", waveform, 90, uniforms).max() == 1.0


@pytest.mark.parametrize("seconds", [0.3, 1.2])
def test_the_room_decays_by_60_db_in_its_time(seconds: float) -> None:
    response = room(seconds, uniforms).astype(np.float64)
    assert response[0] == 1.0 == np.abs(response).max() and not response[1:40].any()
    left = 10 * np.log10(np.cumsum(np.square(response[:0:-1]))[::-1])  # Schroeder's backward integral
    at = np.searchsorted(-left, [-left[0] + 5, -left[0] + 25])
    assert 3 * (at[1] - at[0]) / RATE == pytest.approx(seconds, rel=0.15)
    critical = 0.057 * np.sqrt(ROOM_M3 / seconds)
    ratio = -10 * np.log10(np.sum(np.square(response[1:])))
    assert ratio == pytest.approx(20 * np.log10(critical / DISTANCE_M), abs=0.01)


def test_reverberation_keeps_the_energy() -> None:
    waveform = chirp()
    wet = degrade("reverb", waveform, 0.6, uniforms)
    assert np.sum(np.square(wet)) == pytest.approx(np.sum(np.square(waveform)), rel=1e-3)


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(NoisewiseError, match="must be one of reverb, clip"):
        degrade("echo", chirp(), 1, uniforms)
    with pytest.raises(NoisewiseError, match="`loss` must be between 0 and 100 %, but is 101"):
        degrade("loss", chirp(), 101, uniforms)
    with pytest.raises(NoisewiseError, match="but is nan"):
        degrade("clip", chirp(), float("nan"), uniforms)


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_very_short_recordings(kind: str) -> None:
    for length in (0, 1, 100):
        found = degrade(kind, chirp()[:length], DEGRADATIONS[kind].levels[0], uniforms)
        assert found.shape == (length,) or kind in ("speed", "silence")
