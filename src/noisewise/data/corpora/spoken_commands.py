"""A synthetic corpus: spelled words, digits, numbers, dates and short commands, spoken by espeak-ng.

Utterance `i` of a seed depends on (seed, i) alone: its words, voice, speed, pitch, level and pauses. A
larger corpus of the same seed therefore begins with the smaller one. The samples also depend on the version
of espeak-ng, which `prepared.json` records.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from noisewise.audio import waveform
from noisewise.audio.mix import Waveform
from noisewise.data.corpora.phrases import PHRASES, phrase
from noisewise.data.corpora.preparation import Part, Preparation, Rejected, fingerprint
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.table import cut_of
from noisewise.data.random_streams import Draws
from noisewise.data.voices import espeak
from noisewise.data.voices.espeak import ACCENTS, VARIANTS
from noisewise.data.voices.recording import Recording, drawn, recorded

READINGS = {"A": "[['eI]]", "RUBOUT": "rub out"}
"""What espeak-ng would misread: the article instead of the letter, `roo-bout`."""


@dataclass(frozen=True)
class Speaking:
    """How an utterance is spoken."""

    voice: str
    words_per_minute: int
    pitch: int
    gap: int
    """Pause between words, in units of 10 ms."""
    recording: Recording
    """Level, pauses at the ends, and hiss."""


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
    version = espeak.version()
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
        recording=drawn(draws),
    )


def synthesise(text: str, how: Speaking) -> Waveform:
    """Speak words with espeak-ng, (T,) at 16 kHz, without pauses at the ends.

    Raises:
        DataError: espeak-ng fails or gives no sound.
    """
    return espeak.synthesise(
        _spoken(text), voice=how.voice, words_per_minute=how.words_per_minute, pitch=how.pitch, gap=how.gap
    )


def _utterance(output: Path, seed: int, index: int) -> Cut:
    text, how = phrase(Draws(seed, index, "phrase")), speaking(seed, index)
    path = f"flac/{seed}-{index:06d}.flac"
    if not (output / path).is_file():
        samples = recorded(synthesise(text, how), how.recording, Draws(seed, index, "hiss"))
        waveform.save(output / path, samples, subtype="PCM_16")
    return cut_of({"path": path, "text": text, "speaker": how.voice}, output)


def _spoken(text: str) -> str:
    """What espeak-ng is to read: words in lower case, which are never spelled, and letters in capitals."""
    return " ".join(READINGS.get(word, word if len(word) == 1 else word.lower()) for word in text.split())
