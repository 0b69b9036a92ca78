"""What a voice is: something that speaks a sentence in a given manner, and says what it is."""

from dataclasses import dataclass
from typing import Protocol

from noisewise.audio.mix import Waveform
from noisewise.data.random_streams import Draws


@dataclass(frozen=True)
class Manner:
    """How a sentence is spoken."""

    speed: float
    """Rate of speaking relative to the voice's own: 1.1 takes 1 / 1.1 of the time."""
    pitch: float
    """Semitones above the voice's own pitch, below it when negative."""
    seed: int
    """Seed of what a voice draws by itself, in 0 .. 2^31 - 1; espeak-ng draws nothing."""


class Voice(Protocol):
    """A synthesiser with one or more speakers."""

    licence: str
    """Terms of the voice; "" where they are not known."""

    @property
    def facts(self) -> dict[str, str]:
        """What its samples depend on: name, version of the program, digest of the weights."""

    def speaker(self, draws: Draws) -> str:
        """The name of one of its speakers."""

    def say(self, text: str, speaker: str, manner: Manner) -> Waveform:
        """Speak a text: samples at 16 kHz without pauses at the ends, which depend on the arguments alone. (T,)

        Raises:
            DataError: the voice fails, or gives no sound.
        """
