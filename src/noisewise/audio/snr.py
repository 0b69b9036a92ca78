"""Signal-to-noise ratio of a recording without its clean speech.

- **WADA** (C. Kim and R. M. Stern, "Robust signal-to-noise ratio estimation based on waveform amplitude distribution
  analysis", Interspeech 2008): amplitudes of speech follow a Gamma distribution with shape 0.4, those of noise a normal
  one; their sum at an SNR has a known

      G = ln E|x| - E[ln |x|]

  which is computed here for each SNR from -20 to 100 dB and looked up. It reads the SNR of speech in stationary noise,
  and too much in noise that is itself sparse, such as babble or music.
- **Energy**: the frames of 20 ms fall into two classes by their level, noise alone and speech in noise (the threshold
  of N. Otsu, IEEE Trans. SMC 9, 1979, on levels in dB). SNR = (mean power - power of noise) / power of noise. It takes
  noise of any distribution, but needs pauses, and the noise to be steadier than the speech.

Both are over the whole recording, as the ratios of `noisewise.audio.mix` are.

Legend: T samples, F frames.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

SHAPE = 0.4
"""Shape of the Gamma distribution of amplitudes of speech."""
LOWEST_DB, HIGHEST_DB = -20, 100
"""Range of the table in dB."""
TABLE_LOWEST_DB = -5
"""Below it G is that of the noise alone, to within its error on seconds of speech: lower ratios read as this one."""
FRAME_SECONDS = 0.02
"""Length of a frame of the energy estimate."""
LEAST_POWER = 1e-12
"""Power of a frame below which it counts as this much: -120 dB of full scale."""
NODES = 400
"""Nodes of the integral over the amplitudes of speech."""
SERIES_TO, TERMS = 12.0, 250
"""Amplitude over that of the noise up to which a series is summed, and its terms."""
EULER = 0.5772156649015329


@dataclass
class SnrMeter:
    """Gathers what both estimates need, block by block, in memory of one number for each frame.

    Example:
        >>> meter = SnrMeter(16_000)
        >>> meter.add(np.random.default_rng(0).standard_normal(16_000).astype(np.float32))
        >>> meter.wada_db() < 0
        True
    """

    sample_rate: int
    """Samples per second."""
    _count: int = 0
    _sum: float = 0.0
    _logs: float = 0.0
    _powers: list[Values] = field(default_factory=list)
    _rest: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def add(self, block: NDArray[np.float32]) -> None:
        """Go on with the next samples. (T,)"""
        sizes = np.abs(block[block != 0].astype(np.float64))  # exact zeros are no recording of anything
        self._count += len(sizes)
        self._sum += float(sizes.sum())
        self._logs += float(np.log(sizes).sum())
        samples, frame = np.concatenate([self._rest, block]), round(FRAME_SECONDS * self.sample_rate)
        whole = len(samples) // frame * frame
        self._powers.append(np.mean(np.square(samples[:whole].reshape(-1, frame), dtype=np.float64), axis=1))
        self._rest = samples[whole:]

    def wada_db(self) -> float | None:
        """Estimate by WADA in dB, between `TABLE_LOWEST_DB` and `HIGHEST_DB`; None without samples."""
        if self._count == 0:
            return None
        return wada_of(math.log(self._sum / self._count) - self._logs / self._count)

    def energy_db(self) -> float | None:
        """Estimate by the energy of frames in dB, at most 100; None where there are fewer than two levels."""
        return energy_of(np.concatenate(self._powers) if self._powers else np.zeros(0))


def wada_snr_db(waveform: NDArray[np.float32], sample_rate: int = 16_000) -> float | None:
    """SNR of a recording by WADA; see `SnrMeter.wada_db`. (T,)"""
    meter = SnrMeter(sample_rate)
    meter.add(waveform)
    return meter.wada_db()


def energy_snr_db(waveform: NDArray[np.float32], sample_rate: int = 16_000) -> float | None:
    """SNR of a recording by the energy of its frames; see `SnrMeter.energy_db`. (T,)"""
    meter = SnrMeter(sample_rate)
    meter.add(waveform)
    return meter.energy_db()


def wada_of(statistic: float) -> float:
    """The SNR in dB at which speech in noise has a value of G, by linear interpolation in the table."""
    found = float(np.interp(statistic, table(), np.arange(LOWEST_DB, HIGHEST_DB + 1)))
    return max(found, float(TABLE_LOWEST_DB))


def energy_of(powers: Values) -> float | None:
    """The SNR in dB from the powers of frames; None where there are no two levels. (F,)"""
    levels = 10 * np.log10(np.maximum(powers, LEAST_POWER))
    threshold = otsu(levels)
    if threshold is None:
        return None
    noise = max(float(np.mean(powers[levels <= threshold])), LEAST_POWER)
    return float(min(10 * math.log10((float(powers.mean()) - noise) / noise), HIGHEST_DB))


def otsu(levels: Values) -> float | None:
    """The value that splits numbers into two classes with the least variance within them; None where all are the same.

    Example:
        >>> otsu(np.array([0.0, 1.0, 10.0, 11.0]))
        1.0
    """
    ordered = np.sort(levels)
    if len(ordered) < 2 or ordered[0] == ordered[-1]:
        return None
    count = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    low, high = sums[:-1] / count, (sums[-1] - sums[:-1]) / (len(ordered) - count)
    between = count * (len(ordered) - count) * np.square(high - low)
    between[ordered[1:] == ordered[:-1]] = -1.0
    return float(ordered[int(np.argmax(between))])


@lru_cache(maxsize=1)
def table() -> Values:
    """G of Gamma speech in normal noise at -20, -19 ... 100 dB, rising; computed, not measured. (121,)

    G = ln E|s + n| - E ln|s + n|, by quadrature over the amplitude a of speech, given which both means over the noise
    are known.
    """
    nodes, weights = _nodes()
    snrs = np.arange(LOWEST_DB, HIGHEST_DB + 1)
    sigma = np.sqrt(SHAPE * (SHAPE + 1) / 10 ** (snrs / 10))  # E a^2 = SHAPE (SHAPE + 1)
    ratio = nodes / sigma[:, None]  # (121, NODES)
    size = math.sqrt(2 / math.pi) * np.exp(-np.square(ratio) / 2) + ratio * _erf(ratio / math.sqrt(2))
    statistics = np.log(size @ weights) - _log_size(ratio) @ weights  # sigma cancels
    return np.asarray(np.maximum.accumulate(statistics))


def _erf(values: Values) -> Values:
    return np.array([math.erf(value) for value in values.flat]).reshape(values.shape)


@lru_cache(maxsize=1)
def _nodes() -> tuple[Values, Values]:
    """Amplitudes of speech, and their probabilities, which sum to 1. (NODES,) each

    With a = v^(1 / SHAPE) the density a^(SHAPE - 1) e^-a / Gamma(SHAPE) da becomes smooth in v.
    """
    places, weights = np.polynomial.legendre.leggauss(NODES)
    top = 60**SHAPE  # e^-60 is nothing
    amplitudes = (top * (places + 1) / 2) ** (1 / SHAPE)
    density = weights * np.exp(-amplitudes)
    return amplitudes, density / density.sum()


def _log_size(ratio: Values) -> Values:
    """E ln|r + n| of a standard normal n: half of that of a noncentral chi-square with one degree of freedom,

        (ln 2 + sum over j of Poisson(j; r^2 / 2) digamma(1/2 + j)) / 2,

    and for large r its expansion ln r - 1 / (2 r^2) - 3 / (4 r^4).
    """
    small = np.minimum(ratio, SERIES_TO)
    mean = np.square(small) / 2
    probability, total, digamma = np.exp(-mean), np.zeros_like(ratio), -EULER - 2 * math.log(2)
    for count in range(TERMS):
        total += probability * digamma
        probability = probability * mean / (count + 1)
        digamma += 1 / (0.5 + count)
    far = np.maximum(ratio, SERIES_TO)
    return np.where(ratio <= SERIES_TO, (math.log(2) + total) / 2, np.log(far) - 1 / (2 * far**2) - 3 / (4 * far**4))
