"""Mixing speech and noise at an exact signal-to-noise ratio.

With RMS the root of the mean square over the whole signal, the noise is multiplied by

    gain = RMS(clean) / (RMS(noise) * 10^(SNR / 20))

so that 20 log10(RMS(clean) / RMS(gain * noise)) is the SNR asked for. Amplitudes, not powers. Sums are made in
float64.

The mixing code of published training and test sets takes the square root of this gain. With `compat` it is taken here
too, to make such sets again; the true SNR is then

    (SNR + 20 log10(RMS(clean) / RMS(noise))) / 2

which is half the nominal one when speech and noise are equally loud. Report it, not the nominal one.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import AudioError

Waveform = NDArray[np.float32]

SILENCE_DB = -80.0
"""RMS level, relative to full scale, below which a signal counts as silent."""
SILENCE_RMS = 10 ** (SILENCE_DB / 20)


@dataclass(frozen=True)
class Mixture:
    """A mixture, and the gain that made it."""

    noisy: Waveform
    """clean + gain * noise, (T,) float32; it may exceed [-1, 1]."""
    gain: float
    """Factor on the noise."""


def rms(waveform: NDArray[np.floating]) -> float:
    """Root mean square of a waveform (T,), summed in float64; 0.0 for an empty one."""
    if waveform.size == 0:
        return 0.0
    samples = waveform.astype(np.float64, copy=False)
    power = float(np.einsum("i,i->", samples, samples))  # np.dot asks BLAS, which sums in an order of its threads
    return math.sqrt(power / samples.size)


def snr_db(clean: NDArray[np.floating], noise: NDArray[np.floating]) -> float:
    """Signal-to-noise ratio of two waveforms (T,) in dB.

    Raises:
        AudioError: one of them is silent or not finite.
    """
    return 20 * math.log10(_audible_rms(clean, "clean") / _audible_rms(noise, "noise", floor=0.0))


def gain_for_snr(
    clean: NDArray[np.floating], noise: NDArray[np.floating], snr_db: float, *, compat: bool = False
) -> float:
    """The factor on `noise` (T,) that makes it `snr_db` below `clean` (T,); its square root with `compat`.

    Raises:
        AudioError: one of them is silent (below -80 dB of full scale) or not finite, or `snr_db` is not finite.
    """
    if not math.isfinite(snr_db):
        raise AudioError(f"`snr_db` must be a finite number, but is {snr_db} instead")
    gain = _audible_rms(clean, "clean") / (_audible_rms(noise, "noise") * 10 ** (snr_db / 20))
    return math.sqrt(gain) if compat else gain


def mix(clean: Waveform, noise: Waveform, snr_db: float, *, compat: bool = False) -> Mixture:
    """Add noise to speech at an exact SNR, measured over the whole signal.

    Args:
        clean: speech, (T,).
        noise: as long as the speech, (T,).
        snr_db: 20 log10 of the RMS of the speech over the RMS of the scaled noise.
        compat: take the square root of the gain, see the top of the file.

    Raises:
        AudioError: the lengths differ, or one signal is silent or not finite.

    Example:
        >>> clean, noise = np.float32([0.2, -0.2, 0.2, -0.2]), np.float32([0.1, 0.1, -0.1, -0.1])
        >>> mixture = mix(clean, noise, 0.0)
        >>> round(mixture.gain, 3), round(snr_db(clean, mixture.noisy - clean), 3)
        (2.0, 0.0)
    """
    if clean.shape != noise.shape or clean.ndim != 1:
        raise AudioError(
            f"`noise` must have the shape of `clean`, {clean.shape}, but has {noise.shape} instead; cut or tile it"
        )
    gain = gain_for_snr(clean, noise, snr_db, compat=compat)
    return Mixture(add(clean, noise, gain), gain)


def add(clean: Waveform, noise: Waveform, gain: float) -> Waveform:
    """clean + gain * noise, sample by sample in float64, rounded once to float32: the same bits on any
    machine."""
    return (clean.astype(np.float64) + gain * noise.astype(np.float64)).astype(np.float32)


def _audible_rms(waveform: NDArray[np.floating], name: str, floor: float = SILENCE_RMS) -> float:
    level = rms(waveform)
    if not math.isfinite(level):
        raise AudioError(f"`{name}` must be finite, but holds NaN or infinity; repair or drop the file")
    if level <= floor:
        raise AudioError(
            f"`{name}` must be audible, but its RMS is {level:.2g} of full scale; drop it or take another part"
        )
    return level
