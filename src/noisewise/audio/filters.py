"""Filters, modulated delays and changes of tempo, after the effects of sox, in numpy.

They are deterministic and need neither sox nor torchaudio. Filters are applied through the discrete Fourier transform,
on a signal that is padded so that nothing wraps around.

Legend: T samples.
"""

import cmath
import math
from typing import Literal

import numpy as np
import soxr
from numpy.typing import NDArray

from noisewise.audio.waveform import SAMPLE_RATE

Signal = NDArray[np.float64]

RING = SAMPLE_RATE
"""Samples that the response of a filter may last: one second, in which the shelves below decay by more than 200 dB."""
TRANSITION = 0.05 * SAMPLE_RATE / 2
"""Width in Hz of the transition band of `sinc`: 5 % of the band, as in sox."""
STOP_DB = 120.0
"""Attenuation of the stop band of `sinc` in dB."""
SHELF_SLOPE = 0.5
"""Slope S of `shelf`, as in sox."""


def shelf(waveform: Signal, kind: Literal["bass", "treble"], gain_db: float, hertz: float) -> Signal:
    """Raise what is below (bass) or above (treble) a frequency by a gain, with a shelf of second order. (T,) -> (T,)

    The biquads lowShelf and highShelf of R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter
    coefficients", with slope `SHELF_SLOPE`; half the gain in dB is reached at the frequency.
    """
    numerator, denominator = shelf_coefficients(kind, gain_db, hertz)
    size = _fast(len(waveform) + RING)
    turns = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.polyval(numerator[::-1], turns) / np.polyval(denominator[::-1], turns)
    return np.fft.irfft(np.fft.rfft(waveform, size) * response, size)[: len(waveform)]


def shelf_coefficients(kind: Literal["bass", "treble"], gain_db: float, hertz: float) -> tuple[Signal, Signal]:
    """Coefficients b and a of a shelf, of z^0, z^-1 and z^-2. (3,) each"""
    a, w = 10 ** (gain_db / 40), 2 * math.pi * hertz / SAMPLE_RATE
    alpha = math.sin(w) / 2 * math.sqrt((a + 1 / a) * (1 / SHELF_SLOPE - 1) + 2)
    sign = 1 if kind == "bass" else -1  # a high shelf is a low shelf with -cos(w)
    c, root = sign * math.cos(w), 2 * math.sqrt(a) * alpha
    b = [a * (a + 1 - (a - 1) * c + root), sign * 2 * a * (a - 1 - (a + 1) * c), a * (a + 1 - (a - 1) * c - root)]
    d = [a + 1 + (a - 1) * c + root, sign * -2 * (a - 1 + (a + 1) * c), a + 1 + (a - 1) * c - root]
    return np.array(b), np.array(d)


def sinc(waveform: Signal, kind: Literal["lowpass", "highpass"], hertz: float) -> Signal:
    """Keep what is below or above a frequency, by a sinc under a Kaiser window, without delay. (T,) -> (T,)

    The window and its length are those of Kaiser (1974) for `STOP_DB` and `TRANSITION`; at the frequency the gain is
    one half, -6 dB.
    """
    taps = 2 * math.ceil((STOP_DB - 7.95) / (14.36 * TRANSITION / SAMPLE_RATE) / 2) + 1
    times = np.arange(taps) - taps // 2
    window = np.kaiser(taps, 0.1102 * (STOP_DB - 8.7))
    kernel = 2 * hertz / SAMPLE_RATE * np.sinc(2 * hertz / SAMPLE_RATE * times) * window
    kernel /= kernel.sum()
    if kind == "highpass":
        kernel = -kernel
        kernel[taps // 2] += 1
    return convolved(waveform, kernel)[taps // 2 : taps // 2 + len(waveform)]


def convolved(waveform: Signal, kernel: Signal) -> Signal:
    """The full convolution. (T,), (R,) -> (T + R - 1,)"""
    length = len(waveform) + len(kernel) - 1
    size = _fast(length)
    return np.fft.irfft(np.fft.rfft(waveform, size) * np.fft.rfft(kernel, size), size)[:length]


def echo(waveform: Signal, delay_ms: float, decay: float, gain_in: float, gain_out: float) -> Signal:
    """Speech and one later copy of it: gain_out (gain_in x[t] + decay x[t - delay]). (T,) -> (T + delay,)"""
    delay = int(delay_ms * SAMPLE_RATE / 1000)
    padded = np.pad(waveform, (0, delay))
    return gain_out * (gain_in * padded + decay * np.roll(padded, delay))


def tremolo(waveform: Signal, hertz: float, depth_percent: float) -> Signal:
    """Let the level swing between 1 and 1 - depth, as a sine that begins at the middle. (T,) -> (T,)"""
    half = depth_percent / 200
    return waveform * (1 - half + half * np.sin(2 * np.pi * hertz * np.arange(len(waveform)) / SAMPLE_RATE))


def phaser(waveform: Signal, delay_ms: float, decay: float, hertz: float, gain_in: float, gain_out: float) -> Signal:
    """Feed back a delay that swings as a triangle: y[t] = gain_in x[t] + decay y[t - d(t)]; gain_out y. (T,) -> (T,)"""
    size = int(delay_ms * SAMPLE_RATE / 1000 + 0.5)
    steps = wave_table("triangle", int(SAMPLE_RATE / hertz + 0.5), 1, size, math.pi / 2).tolist()
    kept, found, place = [0.0] * size, [], 0
    for time, sample in enumerate((gain_in * waveform).tolist()):
        value = sample + decay * kept[(place + steps[time % len(steps)]) % size]
        place = (place + 1) % size
        kept[place] = value
        found.append(value)
    return gain_out * np.array(found)


def chorus(waveform: Signal, voices: list[tuple[float, float, float, float, str]], gain_in: float, gain_out: float
           ) -> Signal:  # fmt: skip
    """Add voices, later copies whose delays swing. (T,) -> (T + longest delay,)

    Args:
        waveform: samples. (T,)
        voices: delay in ms, decay, speed in Hz, depth in ms, and the form of the swing, `sine` or `triangle`.
        gain_in: of the speech itself.
        gain_out: of the sum.
    """
    sizes = [int((delay + depth) * SAMPLE_RATE / 1000) for delay, _, _, depth, _ in voices]
    longest = max(sizes)
    padded = np.pad(waveform, (longest, longest))
    times = np.arange(len(waveform) + longest)
    mixed = gain_in * np.pad(waveform, (0, longest))
    for (_, decay, speed, depth, form), size in zip(voices, sizes, strict=True):
        swing, length = int(depth * SAMPLE_RATE / 1000), int(SAMPLE_RATE / speed)
        if form == "sine":
            lags = wave_table("sine", length, 0, swing, 0.0)
        else:
            lags = wave_table("triangle", length, size - 1 - 2 * swing, size - 1, 3 * math.pi / 2)
        lags = np.where(lags == 0, longest, lags)  # the place of the newest sample still holds the oldest
        mixed = mixed + decay * padded[longest + times - lags[times % length]]
    return gain_out * mixed


def wave_table(
    form: Literal["sine", "triangle"], size: int, low: float, high: float, phase: float
) -> NDArray[np.int64]:
    """One period of a wave between two whole numbers. (size,)"""
    points = (np.arange(size) + int(phase / math.pi / 2 * size + 0.5)) % size
    turns = points / size
    if form == "sine":
        wave = (np.sin(2 * np.pi * turns) + 1) / 2
    else:
        wave = np.select([turns < 0.25, turns < 0.75], [2 * turns + 0.5, 1.5 - 2 * turns], 2 * turns - 1.5)
    return np.floor(wave * (high - low) + low + 0.5).astype(np.int64)


def tempo(waveform: Signal, factor: float, segment_ms: float = 30.0) -> Signal:
    """Speak `factor` times as fast at the same pitch, by waveform-similarity overlap-add. (T,) -> (about T / factor,)

    W. Verhelst and M. Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high quality
    time-scale modification of speech", ICASSP 1993. Segments under a Hann window, half of each over the next; each is
    taken where it is most like what would have followed the one before, within a quarter of a segment around its place.
    """
    size = round(segment_ms * SAMPLE_RATE / 1000) // 2 * 2
    hop, reach = size // 2, size // 4
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    count = max(1, round(len(waveform) / factor) // hop)
    padded = np.pad(waveform, (hop + reach, size + hop + reach + math.ceil(hop * factor)))
    found, at = np.zeros((count + 1) * hop + size), hop + reach
    for number in range(count + 1):
        middle = reach + hop + round((number - 1) * hop * factor) + hop
        if number:
            start = min(max(0, middle - hop - reach), len(padded) - size - 2 * reach)
            region = padded[start : start + size + 2 * reach]
            at = start + _most_similar(region, padded[at + hop : at + hop + size])
        else:
            at = reach
        found[number * hop : number * hop + size] += window * padded[at : at + size]
    return found[hop : hop + round(len(waveform) / factor)]


def _most_similar(region: Signal, target: Signal) -> int:
    """The place in a region at which it has the greatest normalised cross-correlation with a target."""
    products = np.correlate(region, target, mode="valid")
    energies = np.cumsum(np.pad(np.square(region), (1, 0)))
    energy = energies[len(target) :] - energies[: -len(target)]
    return int(np.argmax(products / np.sqrt(energy + 1e-12)))


def pitch(waveform: Signal, semitones: float) -> Signal:
    """Move the pitch by semitones and keep the length: another tempo, then another speed. (T,) -> (T,)"""
    ratio = 2 ** (semitones / 12)
    slower = tempo(waveform, 1 / ratio)
    moved = np.asarray(soxr.resample(slower, ratio * SAMPLE_RATE, SAMPLE_RATE), dtype=np.float64)
    return np.pad(moved[: len(waveform)], (0, max(0, len(waveform) - len(moved))))


def response(numerator: Signal, denominator: Signal, hertz: float) -> float:
    """Gain in dB of a filter at a frequency."""
    turn = cmath.exp(-2j * math.pi * hertz / SAMPLE_RATE)
    value = np.polyval(numerator[::-1], turn) / np.polyval(denominator[::-1], turn)
    return 20 * math.log10(abs(value))


def _fast(size: int) -> int:
    """A power of two of at least `size`."""
    return 1 << (size - 1).bit_length()
