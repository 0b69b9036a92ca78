"""When somebody speaks in a signal that comes in pieces: turns, by the level over that of the background.

The background is the level that the quietest tenth of the last seconds stays below. It follows noise that sets in
within `MEMORY_SECONDS`, which counts as speech until then.

Legend: T samples, H frames.
"""

from collections import deque
from dataclasses import dataclass
from math import exp
from typing import Literal

import numpy as np

from noisewise.audio.files.protocol import Samples
from noisewise.audio.waveform import SAMPLE_RATE

FRAME = 512
"""Samples of a frame: 32 ms."""
MEMORY_SECONDS = 8.0
"""The background is that of so long."""
QUIETEST = 10.0
"""Percentile of the levels that is the background."""
MARGIN_DB, SLOPE_DB = 9.0, 2.0
"""A frame so far above the background is speech with probability 1/2; one `SLOPE_DB` more with 0.73."""
FLOOR_DB = -65.0
"""Quieter background counts as this, so that the noise of a converter is no speech."""
ONSET_FRAMES = 3
"""Frames of speech in a row that begin a turn: clicks are shorter."""


class VoiceActivity:
    """Probability of speech, frame by frame, by level alone."""

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=round(MEMORY_SECONDS * SAMPLE_RATE / FRAME))
        self._rest: Samples = np.zeros(0, np.float32)

    def feed(self, samples: Samples) -> list[float]:
        """Probabilities of the frames that are complete with some samples. (T,) -> (H,)"""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // FRAME
        self._rest = samples[whole * FRAME :]
        return [self._probability(frame) for frame in samples[: whole * FRAME].reshape(whole, FRAME)]

    def _probability(self, frame: Samples) -> float:
        level = 10 * float(np.log10(np.var(frame) + 1e-12))
        self._levels.append(level)
        background = max(FLOOR_DB, float(np.percentile(self._levels, QUIETEST)))
        return 1 / (1 + exp(min(50.0, -(level - background - MARGIN_DB) / SLOPE_DB)))


@dataclass(frozen=True)
class TurnChange:
    """The beginning or the end of a turn."""

    kind: Literal["started", "stopped"]
    sample: int
    """Where it is, counted from the beginning of the signal."""


class TurnDetector:
    """Finds turns: they begin with some frames of speech in a row, and end after a pause.

    Args:
        threshold: probability from which a frame is speech, 0 to 1.
        silence_seconds: length of the pause that ends a turn.
    """

    def __init__(self, threshold: float = 0.5, silence_seconds: float = 0.5):
        self._threshold, self._pause = threshold, max(1, round(silence_seconds * SAMPLE_RATE / FRAME))
        self._activity = VoiceActivity()
        self._frames = self._speech = self._silence = 0
        self.is_speaking = False
        """Whether a turn has begun and not ended."""

    def feed(self, samples: Samples) -> list[TurnChange]:
        """What begins and ends in some samples (T,)."""
        found: list[TurnChange] = []
        for probability in self._activity.feed(samples):
            self._frames += 1
            is_speech = probability >= self._threshold
            self._speech, self._silence = (self._speech + 1, 0) if is_speech else (0, self._silence + 1)
            if not self.is_speaking and self._speech == ONSET_FRAMES:
                self.is_speaking = True
                found.append(TurnChange("started", (self._frames - ONSET_FRAMES) * FRAME))
            elif self.is_speaking and self._silence == self._pause:
                self.is_speaking = False
                found.append(TurnChange("stopped", self._frames * FRAME))
        return found
