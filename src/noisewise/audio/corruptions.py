"""The corruptions of Speech Robust Bench that need no data, at its severities, without sox.

M. Shah, D. Solans Noguero, M. Heikkila, N. Kourtellis, B. Raj, "Speech Robust Bench: A Robustness Benchmark For Speech
Recognition", ICLR 2025, and its file `corruptions.py`. Levels are the parameters of severities 1 to 4. Filters and
effects are those of sox (`noisewise.audio.filters`), clipped at full scale as sox clips them. Chance comes from uniform
numbers, the same for all severities of an utterance, where the original seeds by the clock.

Two further ones stand in where the original takes recordings: pink noise for noise of the environment, and a
statistical room for impulse responses.

Legend: T samples.
"""

from collections.abc import Callable, Mapping

import numpy as np
import soxr

from noisewise.audio import filters
from noisewise.audio.augment import speed
from noisewise.audio.degradation import Degradation, Uniforms, Waveform, certain
from noisewise.audio.filters import Signal
from noisewise.audio.mix import mix
from noisewise.audio.rooms import room
from noisewise.audio.waveform import SAMPLE_RATE

SNRS_DB = (30.0, 20.0, 10.0, 0.0)
"""Severities 1 to 4 of added noise, in dB over the whole utterance."""
RESPONSE_BEGIN = SAMPLE_RATE // 100
"""Samples (10 ms) that are cut off a recorded impulse response."""


def white_noise(waveform: Waveform, snr_db: float, uniforms: Uniforms) -> Waveform:
    """Add Gaussian noise. (T,) -> (T,)"""
    return mix(waveform, gaussian(len(waveform), uniforms), snr_db).noisy


def pink_noise(waveform: Waveform, snr_db: float, uniforms: Uniforms) -> Waveform:
    """Add Gaussian noise whose power falls by 3 dB an octave. (T,) -> (T,)"""
    spectrum = np.fft.rfft(gaussian(len(waveform), uniforms).astype(np.float64))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    spectrum[0] = 0
    return mix(waveform, np.fft.irfft(spectrum, len(waveform)).astype(np.float32), snr_db).noisy


def gaussian(count: int, uniforms: Uniforms) -> Waveform:
    """Standard normal numbers, two from each pair of uniform ones (Box and Muller 1958). (count,)"""
    pairs = uniforms(count + count % 2).reshape(-1, 2)
    radius, angle = np.sqrt(-2 * np.log1p(-pairs[:, 0])), 2 * np.pi * pairs[:, 1]
    found = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
    return found[:count].astype(np.float32)


def in_room(waveform: Waveform, response: Waveform) -> Waveform:
    """Convolve with an impulse response of unit energy, to the end of its tail. (T,), (R,) -> (T + R - 1,)"""
    kernel = response.astype(np.float64)
    return filters.convolved(waveform.astype(np.float64), kernel / np.linalg.norm(kernel)).astype(np.float32)


def statistical_room(waveform: Waveform, seconds: float, uniforms: Uniforms) -> Waveform:
    """Speech in a statistical room of that reverberation time. (T,) -> (T + tail,)"""
    return in_room(waveform, room(seconds, uniforms))


def resample(waveform: Waveform, factor: float) -> Waveform:
    """Resample to a factor of 16 kHz, and back. (T,) -> (T,)"""
    rate = factor * SAMPLE_RATE
    found = np.asarray(soxr.resample(soxr.resample(waveform, SAMPLE_RATE, rate), rate, SAMPLE_RATE), np.float32)
    return np.pad(found[: len(waveform)], (0, max(0, len(waveform) - len(found))))


def amplify(waveform: Waveform, factor: float) -> Waveform:
    """Multiply, and clip at full scale. (T,) -> (T,)"""
    return np.asarray(np.clip(waveform * np.float32(factor), -1, 1), dtype=np.float32)


def _effect(function: Callable[[Signal, float], Signal]) -> Callable[[Waveform, float, Uniforms], Waveform]:
    """An effect of sox on samples in float64, clipped at full scale."""

    def apply(waveform: Waveform, level: float) -> Waveform:
        return np.clip(function(waveform.astype(np.float64), level), -1, 1).astype(np.float32)

    return certain(apply)


def _chorus(waveform: Signal, delay_ms: float) -> Signal:
    voices = [(delay_ms, 0.4, 0.25, 2.0, "triangle"), (delay_ms + 10, 0.3, 0.4, 2.0, "sine")]
    return filters.chorus(waveform, voices, 0.7, 0.9)


UP, DOWN = (1.25, 1.5, 1.75, 2.0), (0.875, 0.75, 0.625, 0.5)
CORRUPTIONS: Mapping[str, Degradation] = {
    "srb_gnoise": Degradation("dB", SNRS_DB, -60, 120, white_noise),
    "srb_pink": Degradation("dB", SNRS_DB, -60, 120, pink_noise),
    "srb_room": Degradation("s", (0.3, 0.6, 0.9, 1.2), 0.05, 10, statistical_room),
    "srb_echo": Degradation("ms", (125, 250, 500, 1000), 1, 10_000, _effect(
        lambda waveform, delay: filters.echo(waveform, delay, 0.3, 0.8, 0.9))),
    "srb_resample": Degradation("of 16 kHz", (0.75, 0.5, 0.25, 0.125), 0.05, 1, certain(resample)),
    "srb_gain": Degradation("times", (10, 20, 30, 40), 0, 1000, certain(amplify)),
    "srb_lowpass": Degradation("Hz", (4000, 2833, 1666, 500), 100, 7600, _effect(
        lambda waveform, hertz: filters.sinc(waveform, "lowpass", hertz))),
    "srb_highpass": Degradation("Hz", (500, 1333, 2166, 3000), 100, 7600, _effect(
        lambda waveform, hertz: filters.sinc(waveform, "highpass", hertz))),
    "srb_speedup": Degradation("times", UP, 1, 4, certain(speed)),
    "srb_slowdown": Degradation("times", DOWN, 0.25, 1, certain(speed)),
    "srb_tempo_up": Degradation("times", UP, 1, 4, _effect(filters.tempo)),
    "srb_tempo_down": Degradation("times", DOWN, 0.25, 1, _effect(filters.tempo)),
    "srb_pitch_up": Degradation("semitones", (3, 6, 9, 12), 0, 24, _effect(filters.pitch)),
    "srb_pitch_down": Degradation("semitones", (-3, -6, -9, -12), -24, 0, _effect(filters.pitch)),
    "srb_phaser": Degradation("", (0.3, 0.5, 0.7, 0.9), 0, 0.99, _effect(
        lambda waveform, decay: filters.phaser(waveform, 3, decay, 2, 0.6, 0.8))),
    "srb_tremolo": Degradation("%", (50, 66, 83, 100), 0, 100, _effect(
        lambda waveform, depth: filters.tremolo(waveform, 20, depth))),
    "srb_treble": Degradation("dB", (10, 23, 36, 50), -60, 60, _effect(
        lambda waveform, db: filters.shelf(waveform, "treble", db, 3000))),
    "srb_bass": Degradation("dB", (20, 30, 40, 50), -60, 60, _effect(
        lambda waveform, db: filters.shelf(waveform, "bass", db, 100))),
    "srb_chorus": Degradation("ms", (30, 50, 70, 90), 20, 100, _effect(_chorus)),
}  # fmt: skip
"""Name to corruption, with the parameters of severities 1 to 4 as its levels."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "white noise": ("srb_gnoise",),
    "environmental noise": ("srb_env_noise", "srb_music", "srb_crosstalk", "srb_pink"),
    "spatial acoustics": ("srb_rir", "srb_room", "srb_echo"),
    "audio processing": ("srb_resample", "srb_gain", "srb_lowpass", "srb_highpass"),
    "special effects": (
        "srb_speedup", "srb_slowdown", "srb_tempo_up", "srb_tempo_down", "srb_pitch_up", "srb_pitch_down",
        "srb_phaser", "srb_tremolo", "srb_treble", "srb_bass", "srb_chorus",
    ),
}  # fmt: skip
"""Name of a group of the benchmark to its corruptions."""
