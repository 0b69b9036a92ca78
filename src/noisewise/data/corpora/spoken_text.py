"""A synthetic corpus: sentences of texts, spoken by installed voices.

Utterance `i` of a seed depends on (seed, i), the sentences and the voices alone: which sentence, voice, speed, pitch,
room, level and pauses. A larger corpus of the same seed therefore begins with the smaller one. The samples also depend
on the versions of the voices, which `prepared.json` records.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from noisewise.audio import degrade, waveform
from noisewise.data.corpora.listing import Report
from noisewise.data.corpora.preparation import Part, Preparation, Rejected, fingerprint, in_order
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.table import cut_of
from noisewise.data.random_streams import Draws
from noisewise.data.voices import choose
from noisewise.data.voices.recording import drawn, recorded
from noisewise.data.voices.voice import Manner, Voice
from noisewise.errors import AudioError, DataError
from noisewise.files import sha256_of
from noisewise.text.running_text import REASONS, Sentence, sentences

logger = logging.getLogger(__name__)

SPEEDS = (0.8, 1.25)
"""Slowest and fastest rate of speaking, relative to the voice's own."""
SEMITONES = (-3.0, 3.0)
"""Lowest and highest pitch, relative to the voice's own."""
ROOM_SECONDS = (0.15, 0.7)
"""Reverberation times of rooms: sound falls by 60 dB in so long."""
WORDS_PER_SECOND = (0.5, 8.0)
"""A sentence that takes longer, or less time, was not read out as written."""
UNKNOWN = "unknown"
SUFFIXES = (".txt", ".txt.gz")


@dataclass(frozen=True)
class Choices:
    """What all utterances of a corpus have in common."""

    output: Path
    seed: int
    sentences: list[Sentence]
    """In the order in which they are spoken."""
    voices: list[Voice]
    rooms: float
    """Share of the utterances that are spoken in a room."""


def prepare(
    text: str | Path,
    output: Path,
    *,
    voice: Sequence[str],
    licence: Mapping[str, str] | None = None,
    seed: int = 0,
    limit: int | None = None,
    hours: float | None = None,
    minimum_words: int = 4,
    maximum_words: int = 22,
    rooms: float = 0.0,
    workers: int | None = None,
    report: Report | None = None,
) -> list[Part]:
    """Speak sentences of a text into `output`: `flac/*.flac` and `cuts.jsonl.gz`.

    Utterances that are there already are kept, so a killed run goes on where it stopped. What a voice fails at is
    rejected, and the rest goes on. Each entry says its voice, the licence of the voice, speed, pitch and seed.

    Args:
        text: text file, or a folder with `.txt` and `.txt.gz` files.
        output: folder to make.
        voice: voices as `noisewise.data.voices.choose` takes them; one that is named twice speaks twice as often.
        licence: voice to its terms, where the voice does not say them.
        seed: of all choices.
        limit: most utterances.
        hours: speech after which no more is made.
        minimum_words: fewest words of a sentence.
        maximum_words: most words of a sentence.
        rooms: share of the utterances that are spoken in a room at random.
        workers: sentences spoken at a time; all cores when absent.
        report: called with (finished, all); all is the largest number there can be.

    Raises:
        DataError: no sentence to speak, a voice that cannot be used, or the folder holds another set.
    """
    _check(minimum_words, maximum_words, hours, rooms)
    paths = _texts(Path(text))
    voices = choose.voices(voice, licence or {})
    _warn_of_licences(voice, voices)
    chosen = _chosen(paths, (minimum_words, maximum_words), seed)
    facts = {
        "seed": seed,
        "texts": {path.name: sha256_of(path) for path in paths},
        "words": [minimum_words, maximum_words],
        "voices": [each.facts for each in voices],
        "rooms": rooms,
    }
    preparation = Preparation(output, "spoken_text", facts)
    (output / "flac").mkdir(exist_ok=True)
    choices = Choices(output, seed, chosen[:limit], voices, rooms)
    many = workers or os.cpu_count() or 1
    licences = [each.licence for each in voices]
    return [preparation.part("", fingerprint(limit, hours, licences), lambda: _spoken(choices, hours, many, report))]


def _spoken(choices: Choices, hours: float | None, workers: int, report: Report | None) -> Iterator[Cut | Rejected]:
    """The utterances, until there are enough; what was spoken beyond that is removed."""
    seconds, total = 0.0, len(choices.sentences)
    entries = in_order(lambda index: _utterance(choices, index), range(total), workers)
    for done, entry in enumerate(entries, start=1):
        yield entry
        seconds += 0.0 if isinstance(entry, Rejected) else float(entry.duration)
        enough = hours is not None and seconds >= 3600 * hours
        if report is not None:
            report(done, done if enough else total)
        if enough:
            entries.close()
            _remove(choices, range(done, min(total, done + 4 * workers)))
            return


def _utterance(choices: Choices, index: int) -> Cut | Rejected:
    sentence = choices.sentences[index]
    draws = Draws(choices.seed, index, "spoken text")
    voice = draws.choice(choices.voices)
    speaker = voice.speaker(draws)
    manner = Manner(round(draws.uniform(*SPEEDS), 3), round(draws.uniform(*SEMITONES), 2), draws.below(2**31))
    room = round(draws.uniform(*ROOM_SECONDS), 3) if draws.chance(choices.rooms) else 0.0
    path = _path(choices, index)
    if not (choices.output / path).is_file():
        try:
            speech = voice.say(sentence.text, speaker, manner)
            if room:
                speech = degrade.reverb(speech, room, Draws(choices.seed, index, "room").uniforms)
            samples = recorded(speech, drawn(draws), Draws(choices.seed, index, "hiss"))
            _check_rate(sentence.text, len(speech) / waveform.SAMPLE_RATE)
            waveform.save(choices.output / path, samples, subtype="PCM_16")
        except (DataError, AudioError) as error:
            return Rejected(path, "voice", str(error))
    row = {
        "path": path,
        "text": sentence.text,
        "speaker": speaker,
        "voice": voice.facts["voice"],
        "licence": voice.licence or UNKNOWN,
        "speed": manner.speed,
        "pitch": manner.pitch,
        "seed": f"{choices.seed}-{index}",
        "source": f"{sentence.file}:{sentence.line}",
    }
    return cut_of(row | ({"room_seconds": room} if room else {}), choices.output)


def _check_rate(text: str, seconds: float) -> None:
    rate = len(text.split()) / seconds
    if not WORDS_PER_SECOND[0] <= rate <= WORDS_PER_SECOND[1]:
        low, high = WORDS_PER_SECOND
        raise DataError(f"'{text}' must be spoken at {low} to {high} words a second, but has {rate:.1f}")


def _path(choices: Choices, index: int) -> str:
    return f"flac/{choices.seed}-{index:06d}.flac"


def _remove(choices: Choices, indices: range) -> None:
    for index in indices:
        (choices.output / _path(choices, index)).unlink(missing_ok=True)


def _chosen(paths: list[Path], words: tuple[int, int], seed: int) -> list[Sentence]:
    """The sentences in an order at random; what is left out is said."""
    left_out = Counter[str]()
    found = list(sentences(paths, words=words, left_out=left_out))
    said = ", ".join(f"{count} ({REASONS[reason]})" for reason, count in left_out.most_common())
    if not found:
        raise DataError(
            f"`{paths[0]}` must hold sentences of {words[0]} to {words[1]} words, but holds none; left out: "
            f"{said or 'nothing'}"
        )
    if said:
        logger.warning("%d sentences can be spoken; left out: %s", len(found), said)
    return [found[place] for place in Draws(seed, "sentences").permutation(len(found))]


def _texts(text: Path) -> list[Path]:
    if text.is_file():
        return [text]
    found = sorted(path for path in text.glob("*") if path.name.endswith(SUFFIXES)) if text.is_dir() else []
    if not found:
        raise DataError(f"`{text}` must be a text file or a folder with .txt files, but is not; check the path")
    return found


def _warn_of_licences(names: Sequence[str], voices: list[Voice]) -> None:
    for name in sorted({name for name, each in zip(names, voices, strict=True) if not each.licence}):
        logger.warning(
            "the licence of the voice %s is unknown: entries say so; find its terms before you train on it, and name "
            "them with --licence %s=TERMS",
            name,
            name,
        )


def _check(minimum_words: int, maximum_words: int, hours: float | None, rooms: float) -> None:
    if not 1 <= minimum_words <= maximum_words:
        raise DataError(
            f"`minimum_words` must be 1 or more and not above `maximum_words`, but they are {minimum_words} and "
            f"{maximum_words} instead; change one"
        )
    if hours is not None and not hours > 0:
        raise DataError(f"`hours` must be above 0, but is {hours} instead; leave it out for all sentences")
    if not 0 <= rooms <= 1:
        raise DataError(f"`rooms` must be a share between 0 and 1, but is {rooms} instead")
