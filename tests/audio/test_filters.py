"""Filters against scipy, effects against those of FFmpeg that come from sox, tempo and pitch by what they promise."""

from typing import Any, cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import freqz, lfilter

from noisewise.audio.filters import (
    chorus,
    echo,
    phaser,
    pitch,
    shelf,
    shelf_coefficients,
    sinc,
    tempo,
    tremolo,
    wave_table,
)
from noisewise.audio.waveform import SAMPLE_RATE

NOISE = 0.1 * np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE)
TONE = np.sin(2 * np.pi * 220 * np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE)


def ffmpeg(waveform: NDArray[np.float64], name: str, arguments: str) -> NDArray[np.float64]:
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=SAMPLE_RATE, format="dblp", layout="mono")
    effect, plain, sink = graph.add(name, arguments), graph.add("aformat", "sample_fmts=dblp"), graph.add("abuffersink")
    source.link_to(effect)
    effect.link_to(plain)
    plain.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(waveform[None], format="dblp", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    source.push(frame)
    source.push(None)
    found = []
    while True:
        try:
            found.append(cast(Any, sink.pull()).to_ndarray()[0])
        except (av.error.EOFError, av.error.BlockingIOError):
            return np.concatenate(found)


def frequency(waveform: NDArray[np.float64]) -> float:
    """The loudest frequency in Hz, away from the ends."""
    middle = waveform[4000:-4000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 19))
    return float(np.argmax(spectrum)) * SAMPLE_RATE / (1 << 19)


@pytest.mark.parametrize(("kind", "hertz", "gain"), [("bass", 100, 50), ("treble", 3000, 23), ("bass", 100, -20)])
def test_shelves(kind: str, hertz: float, gain: float) -> None:
    numerator, denominator = shelf_coefficients(kind, gain, hertz)  # type: ignore[arg-type]
    expected = lfilter(numerator, denominator, NOISE)
    np.testing.assert_allclose(shelf(NOISE, kind, gain, hertz), expected, atol=1e-9)  # type: ignore[arg-type]
    near, far = (0.1, SAMPLE_RATE / 2) if kind == "bass" else (SAMPLE_RATE / 2, 0.1)
    _, response = freqz(numerator, denominator, worN=[near, hertz, far], fs=SAMPLE_RATE)
    assert 20 * np.log10(np.abs(response)) == pytest.approx([gain, gain / 2, 0], abs=0.1)


@pytest.mark.parametrize("hertz", [500, 1333, 2833, 4000])
def test_sinc_passes_one_side_and_is_half_at_the_frequency(hertz: float) -> None:
    impulse = np.zeros(SAMPLE_RATE)
    impulse[SAMPLE_RATE // 2] = 1
    for kind, sign in (("lowpass", -1), ("highpass", 1)):
        gains = np.abs(np.fft.rfft(sinc(impulse, kind, hertz)))  # type: ignore[arg-type]
        assert gains[round(hertz)] == pytest.approx(0.5, abs=0.01)
        assert gains[round(hertz + sign * 250)] == pytest.approx(1, abs=1e-4)
        assert gains[round(hertz - sign * 250)] < 1e-5
    delayed = sinc(impulse, "lowpass", hertz)
    assert np.argmax(delayed) == SAMPLE_RATE // 2, "no delay"


def test_phaser_and_echo_are_those_of_ffmpeg() -> None:
    for decay in (0.3, 0.9):
        arguments = f"in_gain=0.6:out_gain=0.8:delay=3:decay={decay}:speed=2:type=t"
        np.testing.assert_allclose(phaser(NOISE, 3, decay, 2, 0.6, 0.8), ffmpeg(NOISE, "aphaser", arguments), atol=1e-6)
    expected = ffmpeg(NOISE, "aecho", "0.8:0.9:125:0.3")
    np.testing.assert_allclose(echo(NOISE, 125, 0.3, 0.8, 0.9), expected, atol=1e-6)
    assert len(expected) == len(NOISE) + 2000


def test_tremolo_swings_between_full_and_the_depth() -> None:
    found = tremolo(np.ones(SAMPLE_RATE), 20, 66)
    assert (found.max(), found.min()) == (pytest.approx(1.0, abs=1e-4), pytest.approx(0.34, abs=1e-4))
    assert np.argmax(np.abs(np.fft.rfft(found - found.mean()))) == 20 and found[0] == pytest.approx(0.67)


def test_voices_of_a_chorus_are_delayed_and_swing() -> None:
    impulse = np.zeros(8000)
    impulse[0] = 1
    found = chorus(impulse, [(50, 0.4, 0.25, 2, "triangle")], 0.7, 0.9)
    assert len(found) == 8000 + 52 * 16 and found[0] == pytest.approx(0.63)
    (place,) = np.flatnonzero(found[1:]) + 1
    assert 48 * 16 - 1 <= place < 52 * 16 and found[place] == pytest.approx(0.36)
    swing = chorus(TONE, [(50, 1.0, 0.5, 2, "triangle")], 0.0, 1.0)[2000 : len(TONE)]
    assert frequency(swing) != pytest.approx(220, abs=0.05), "a swinging delay moves the pitch"


def test_wave_tables() -> None:
    table = wave_table("triangle", 8, 0, 4, 3 * np.pi / 2)
    assert table.tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert wave_table("sine", 4, 0, 10, 0.0).tolist() == [5, 10, 5, 0]


@pytest.mark.parametrize("factor", [0.5, 0.875, 1.25, 2.0])
def test_tempo_keeps_pitch_and_level(factor: float) -> None:
    found = tempo(TONE, factor)
    assert len(found) == round(len(TONE) / factor)
    assert frequency(found) == pytest.approx(220, abs=0.3)
    assert np.std(found[4000:-4000]) == pytest.approx(np.std(TONE), rel=0.01)


def test_tempo_moves_events_to_their_place() -> None:
    """Bursts at 1 s and 2 s; at the double tempo at 0.5 s and 1 s."""
    bursts = np.zeros(3 * SAMPLE_RATE)
    for second in (1, 2):
        bursts[second * SAMPLE_RATE : second * SAMPLE_RATE + 800] = NOISE[:800]
    found = tempo(bursts, 2.0)
    energy = np.square(found).reshape(-1, 800).sum(axis=1)
    loud = np.flatnonzero(energy > energy.max() / 4) * 0.05
    assert np.abs(loud[:, None] - np.array([0.5, 1.0])).min(axis=1).max() <= 0.06


@pytest.mark.parametrize("semitones", [-12, -3, 3, 12])
def test_pitch_moves_by_semitones_and_keeps_the_length(semitones: float) -> None:
    found = pitch(TONE, semitones)
    assert len(found) == len(TONE)
    assert frequency(found) / 220 == pytest.approx(2 ** (semitones / 12), rel=2e-3)
