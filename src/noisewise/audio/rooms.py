"""Impulse responses of rooms: a statistical one, and the reverberation time of any.

Legend: R taps.
"""

import math

import numpy as np
from numpy.typing import NDArray

from noisewise.audio.degradation import Uniforms, Waveform
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.errors import AudioError

ROOM_M3 = 100.0
"""Volume of the room of `reverb`: a small seminar room."""
DISTANCE_M = 2.0
"""Distance from the mouth to the microphone in metres."""
FIRST_REFLECTION = SAMPLE_RATE // 400
"""Samples (2.5 ms) between the direct path and the tail."""
FALL_DB = (-5.0, -25.0)
"""The part of the energy decay over which T20 is fitted, in dB below its beginning (ISO 3382)."""


def room(seconds: float, uniforms: Uniforms) -> Waveform:
    """An impulse response: the direct path, then white noise that decays exponentially (Polack 1988). (R,)

    The energy of the tail is that of a diffuse field at `DISTANCE_M` in a room of `ROOM_M3`: the square of the
    distance over that of the critical distance, 0.057 sqrt(V / T60).
    """
    noise = 2 * uniforms(round(seconds * SAMPLE_RATE)) - 1  # (R,)
    noise *= np.exp(-3 * math.log(10) / (seconds * SAMPLE_RATE) * np.arange(len(noise)))
    noise[:FIRST_REFLECTION] = 0
    energy = (DISTANCE_M / (0.057 * math.sqrt(ROOM_M3 / seconds))) ** 2
    noise *= math.sqrt(energy / float(np.sum(np.square(noise))))
    noise[0] = 1.0
    return noise.astype(np.float32)


def reverberation_time(response: NDArray[np.floating]) -> float:
    """T60 in seconds from T20: three times the time in which the energy of an impulse response falls from -5 to -25 dB.

    Backward integration after M. R. Schroeder, "New method of measuring reverberation time", JASA 37, 1965, and the
    line of least squares through the decay in dB.

    Args:
        response: impulse response at 16 kHz. (R,)

    Raises:
        AudioError: it does not fall by 25 dB.
    """
    left = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    decay = 10 * np.log10(np.maximum(left / left[0], 1e-12)) if left[0] > 0 else np.zeros(len(response))
    part = np.flatnonzero((decay <= FALL_DB[0]) & (decay >= FALL_DB[1]))
    if len(part) < 2 or decay[-1] > FALL_DB[1]:
        raise AudioError("an impulse response must fall by 25 dB, but does not; it is cut off or no room")
    slope = np.polyfit(part / SAMPLE_RATE, decay[part], 1)[0]
    return float(-60 / slope)
