"""Voices of espeak-ng, a formant synthesiser: a program, with accents of English and variants of a speaker."""

import io
import shutil
import subprocess

from noisewise.audio import waveform
from noisewise.audio.mix import Waveform
from noisewise.data.random_streams import Draws
from noisewise.data.voices.recording import trimmed
from noisewise.data.voices.voice import Manner
from noisewise.errors import DataError

ACCENTS = tuple(
    [
        "en-us",
        "en-us",
        "en-us",
        "en-us",
        "en-us",
        "en-us",
        "en-us",
        "en-us",
        "en-us-nyc",
        "en-gb",
        "en-gb-scotland",
        "en-gb-x-rp",
        "en-gb-x-gbclan",
        "en-gb-x-gbcwmd",
        "en-029",
    ]
)
"""Repeated entries are likelier."""
VARIANTS = tuple(
    [
        "adam",
        "Alex",
        "Alicia",
        "Andrea",
        "Andy",
        "Annie",
        "antonio",
        "aunty",
        "belinda",
        "benjamin",
        "boris",
        "caleb",
        "david",
        "Denis",
        "Diogo",
        "ed",
        "edward",
        "edward2",
        "f1",
        "f2",
        "f3",
        "f4",
        "f5",
        "Gene",
        "Gene2",
        "grandpa",
        "gustave",
        "Henrique",
        "Hugo",
        "iven",
        "iven2",
        "iven3",
        "iven4",
        "jacky",
        "john",
        "kaukovalta",
        "klatt",
        "klatt2",
        "klatt3",
        "klatt4",
        "Lee",
        "linda",
        "m1",
        "m2",
        "m3",
        "m4",
        "m5",
        "m6",
        "m7",
        "m8",
        "Marcelo",
        "marco",
        "mario",
        "max",
        "michael",
        "Michel",
        "miguel",
        "mike",
        "Nguyen",
        "norbert",
        "pablo",
        "paul",
        "pedro",
        "quincy",
        "rob",
        "robert",
        "sandro",
        "shelby",
        "steph",
        "steph2",
        "steph3",
        "Storm",
        "travis",
        "victor",
        "zac",
    ]
)
"""Voices of espeak-ng 1.51 without its whispers, robots and jokes."""
LICENCE = "GPL-3.0-or-later (the program; what it speaks is not covered)"
WORDS_PER_MINUTE = 160
"""Rate of speaking at speed 1."""
PITCH, PER_SEMITONE = 50, 4.2
"""Pitch as espeak-ng counts it, 0 to 99: that of the voice, and about as many steps for a semitone."""


class Espeak:
    """English of espeak-ng: one of its voices, or all."""

    def __init__(self, name: str = "", licence: str = "") -> None:
        """Choose the voice.

        Args:
            name: as espeak-ng names it, such as `en-us` or `en-gb+f3`; "" for all of `ACCENTS` and `VARIANTS`.
            licence: terms, if others than those of the program are to be noted.

        Raises:
            DataError: espeak-ng is absent, or has no such voice.
        """
        self.name, self.licence, self.version = name, licence or LICENCE, version()
        if name:
            synthesise("yes", voice=name)

    @property
    def facts(self) -> dict[str, str]:
        """Name of the voice, and version of the program."""
        return {"voice": f"espeak:{self.name}", "version": self.version}

    def speaker(self, draws: Draws) -> str:
        """The chosen voice, or one of all."""
        return self.name or f"{draws.choice(ACCENTS)}+{draws.choice(VARIANTS)}"

    def say(self, text: str, speaker: str, manner: Manner) -> Waveform:
        """Speak a text. (T,)"""
        pitch = min(99, max(0, round(PITCH + PER_SEMITONE * manner.pitch)))
        return synthesise(text, voice=speaker, words_per_minute=round(WORDS_PER_MINUTE * manner.speed), pitch=pitch)


def synthesise(
    text: str, *, voice: str, words_per_minute: int = WORDS_PER_MINUTE, pitch: int = PITCH, gap: int = 0
) -> Waveform:
    """Speak words with espeak-ng, (T,) at 16 kHz, without pauses at the ends.

    Args:
        text: what to say; espeak-ng reads `[[...]]` as phonemes.
        voice: name, such as `en-us+f3`.
        words_per_minute: rate of speaking.
        pitch: 0 to 99.
        gap: pause between words in units of 10 ms.

    Raises:
        DataError: espeak-ng fails or gives no sound.
    """
    how = ["-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "-g", str(gap)]
    done = subprocess.run(["espeak-ng", "--stdout", *how, "--", text], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise DataError(f"espeak-ng must speak '{text}' with {voice}, but fails: {said}")
    samples = trimmed(waveform.load(io.BytesIO(done.stdout), allow_silent=True))
    if not samples.size:
        raise DataError(f"espeak-ng must speak '{text}' with {voice}, but gives silence; choose another voice")
    return samples


def version() -> str:
    """The version of espeak-ng.

    Raises:
        DataError: it is not installed.
    """
    if shutil.which("espeak-ng") is None:
        raise DataError("`espeak-ng` must be installed to speak, but is not; install the package espeak-ng")
    done = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.split("Data at")[0].strip()
