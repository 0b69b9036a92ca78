"""How synthetic speech becomes a recording: level, pauses at its ends, and hiss under it."""

from dataclasses import dataclass

import numpy as np

from noisewise.audio.mix import Waveform, rms
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.random_streams import Draws

FLOOR = 1e-3
"""Samples below this, at the ends, are pause."""
PEAK = 0.95
"""Largest sample of a recording, before its hiss."""


@dataclass(frozen=True)
class Recording:
    """How an utterance is recorded."""

    level_db: float
    """RMS relative to full scale."""
    hiss_db: float
    """RMS of white noise under the recording: no recording is digitally silent."""
    before: float
    """Pause before the first word, in seconds."""
    after: float
    """Pause after the last word, in seconds."""


def drawn(draws: Draws) -> Recording:
    """A recording at random."""
    return Recording(
        level_db=draws.uniform(-34, -16),
        hiss_db=draws.uniform(-85, -60),
        before=draws.uniform(0.05, 0.5),
        after=draws.uniform(0.05, 0.5),
    )


def trimmed(samples: Waveform) -> Waveform:
    """Speech without the pauses at its ends; nothing where all is pause. (T,) -> (at most T,)"""
    loud = np.flatnonzero(np.abs(samples) > FLOOR)
    return samples[loud[0] : loud[-1] + 1] if loud.size else samples[:0]


def recorded(speech: Waveform, how: Recording, draws: Draws) -> Waveform:
    """Set the level, add pauses at the ends, and hiss under all. (T,) -> (T + pauses,)"""
    scaled = speech * (10 ** (how.level_db / 20) / rms(speech))
    scaled = scaled / max(1.0, float(np.abs(scaled).max()) / PEAK)
    padded = np.pad(scaled, (round(how.before * SAMPLE_RATE), round(how.after * SAMPLE_RATE)))
    hiss = (draws.uniforms(padded.size) * 2 - 1) * 3**0.5 * 10 ** (how.hiss_db / 20)
    return (padded + hiss).astype(np.float32)
