"""A synthetic corpus: spelled words, digits, numbers, dates and short commands, spoken by espeak-ng.

Utterance `i` of a seed depends on (seed, i) alone: its words, voice, speed, pitch, level and pauses. A
larger corpus of the same seed therefore begins with the smaller one. The samples also depend on the version
of espeak-ng, which `prepared.json` records.
"""

import io
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisewise.audio import waveform
from noisewise.audio.mix import Waveform, rms
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.corpora.phrases import PHRASES, phrase, words_of
from noisewise.data.corpora.preparation import Part, Preparation, Rejected, fingerprint
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.table import cut_of
from noisewise.data.random_streams import Draws
from noisewise.errors import DataError

ACCENTS = words_of("""
    en-us en-us en-us en-us en-us en-us en-us en-us en-us-nyc en-gb en-gb-scotland en-gb-x-rp en-gb-x-gbclan
    en-gb-x-gbcwmd en-029
""")
"""Repeated entries are likelier."""
VARIANTS = words_of("""
    adam Alex Alicia Andrea Andy Annie antonio aunty belinda benjamin boris caleb david Denis Diogo ed
    edward edward2 f1 f2 f3 f4 f5 Gene Gene2 grandpa gustave Henrique Hugo iven iven2 iven3 iven4 jacky john
    kaukovalta klatt klatt2 klatt3 klatt4 Lee linda m1 m2 m3 m4 m5 m6 m7 m8 Marcelo marco mario max michael
    Michel miguel mike Nguyen norbert pablo paul pedro quincy rob robert sandro shelby steph steph2 steph3
    Storm travis victor zac
""")
"""Voices of espeak-ng 1.51 without its whispers, robots and jokes."""
READINGS = {"A": "[['eI]]", "RUBOUT": "rub out"}
"""What espeak-ng would misread: the article instead of the letter, `roo-bout`."""
FLOOR = 1e-3
"""Samples below this, at the ends, are pause."""


@dataclass(frozen=True)
class Speaking:
    """How an utterance is spoken."""

    voice: str
    words_per_minute: int
    pitch: int
    gap: int
    """Pause between words, in units of 10 ms."""
    level_db: float
    """RMS relative to full scale."""
    hiss_db: float
    """RMS of white noise under the recording: no recording is digitally silent."""
    before: float
    """Pause before the first word, in seconds."""
    after: float
    """Pause after the last word, in seconds."""


def prepare(
    output: Path,
    *,
    utterances: int,
    seed: int,
    workers: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> list[Part]:
    """Synthesise a corpus into `output`: `flac/*.flac` and `cuts.jsonl.gz`.

    Utterances that are there already are kept, so a killed run goes on where it stopped.

    Args:
        output: folder to make.
        utterances: how many.
        seed: of words, voices and levels.
        workers: synthesisers at a time; all cores when absent.
        report: called with (finished, all).

    Raises:
        DataError: espeak-ng is absent, or the folder holds another set.
    """
    version = _version()
    preparation = Preparation(output, "spoken_commands", {"seed": seed, "espeak_ng": version, "phrases": PHRASES})
    (output / "flac").mkdir(exist_ok=True)

    def make() -> list[Cut | Rejected]:
        cuts: list[Cut | Rejected] = []
        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            for done, cut in enumerate(pool.map(lambda index: _utterance(output, seed, index), range(utterances)), 1):
                cuts.append(cut)
                if report is not None:
                    report(done, utterances)
        return cuts

    return [preparation.part("", fingerprint(utterances), make)]


def speaking(seed: int, index: int) -> Speaking:
    """How utterance `index` is spoken."""
    draws = Draws(seed, index, "speaking")
    return Speaking(
        voice=f"{draws.choice(ACCENTS)}+{draws.choice(VARIANTS)}",
        words_per_minute=round(draws.uniform(105, 215)),
        pitch=round(draws.uniform(15, 85)),
        gap=max(0, round(draws.uniform(-6, 22))),
        level_db=draws.uniform(-34, -16),
        hiss_db=draws.uniform(-85, -60),
        before=draws.uniform(0.05, 0.5),
        after=draws.uniform(0.05, 0.5),
    )


def synthesise(text: str, how: Speaking) -> Waveform:
    """Speak words with espeak-ng, (T,) at 16 kHz, without pauses at the ends.

    Raises:
        DataError: espeak-ng fails or gives no sound.
    """
    command = [
        "espeak-ng",
        "--stdout",
        "-v",
        how.voice,
        "-s",
        str(how.words_per_minute),
        "-p",
        str(how.pitch),
    ]
    done = subprocess.run([*command, "-g", str(how.gap), _spoken(text)], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise DataError(f"espeak-ng must speak '{text}' with {how.voice}, but fails: {done.stderr.decode()}")
    samples = waveform.load(io.BytesIO(done.stdout))
    loud = np.flatnonzero(np.abs(samples) > FLOOR)
    return samples[loud[0] : loud[-1] + 1]


def _utterance(output: Path, seed: int, index: int) -> Cut:
    text, how = phrase(Draws(seed, index, "phrase")), speaking(seed, index)
    path = f"flac/{seed}-{index:06d}.flac"
    if not (output / path).is_file():
        waveform.save(
            output / path, _recorded(synthesise(text, how), how, Draws(seed, index, "hiss")), subtype="PCM_16"
        )
    return cut_of({"path": path, "text": text, "speaker": how.voice}, output)


def _recorded(speech: Waveform, how: Speaking, draws: Draws) -> Waveform:
    """Set the level, add pauses at the ends, and hiss under all."""
    scaled = speech * (10 ** (how.level_db / 20) / rms(speech))
    scaled = scaled / max(1.0, float(np.abs(scaled).max()) / 0.95)
    padded = np.pad(scaled, (round(how.before * SAMPLE_RATE), round(how.after * SAMPLE_RATE)))
    hiss = (draws.uniforms(padded.size) * 2 - 1) * 3**0.5 * 10 ** (how.hiss_db / 20)
    return (padded + hiss).astype(np.float32)


def _spoken(text: str) -> str:
    """What espeak-ng is to read: words in lower case, which are never spelled, and letters in capitals."""
    return " ".join(READINGS.get(word, word if len(word) == 1 else word.lower()) for word in text.split())


def _version() -> str:
    if shutil.which("espeak-ng") is None:
        raise DataError("`espeak-ng` must be installed to speak this corpus, but is not; install the package espeak-ng")
    done = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.split("Data at")[0].strip()
