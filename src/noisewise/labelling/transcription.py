"""Transcripts of recordings by one recogniser, kept in a file, so that a killed run goes on where it stopped."""

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from noisewise.decoding.hypothesis import Word
from noisewise.errors import DataError
from noisewise.evaluation import json_lines
from noisewise.evaluation.systems.cache import audio_hash, identity
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Waveform, attempt, attempt_timed
from noisewise.files import system_errors
from noisewise.inference.transcript import overall_confidence

MOST_BYTES = 16 << 20
"""Length of the longest line that is read."""
LEAST = 1e-6
"""Confidence below which a word counts as this, so that its logarithm is finite."""


@dataclass(frozen=True)
class Transcription:
    """A transcript, with how sure its recogniser is."""

    text: str
    """As the recogniser writes it."""
    confidence: float | None = None
    """Mean confidence of the words weighted by their letters, 0 to 1; None where the recogniser gives none."""
    log_probability: float | None = None
    """Mean of the natural logarithms of the confidences of the words; None where the recogniser gives none."""


def transcription(text: str, words: Sequence[Word]) -> Transcription:
    """A transcript from its text and its words; without words it has no confidence."""
    if not words:
        return Transcription(text)
    logs = [math.log(min(1.0, max(LEAST, word.confidence))) for word in words]
    return Transcription(text, overall_confidence(words), math.fsum(logs) / len(logs))


class CachedRecogniser:
    """A recogniser behind a file of its transcripts: a recording that is in it is not given to it again.

    The file holds one JSON value a line, under the identity of the recogniser (its name, weights and versions) and the
    hash of the samples. Failures are not kept, and so are tried again.
    """

    def __init__(self, named: NamedRecogniser, file: Path) -> None:
        self.named, self.identity = named, identity(named)
        self._file = file
        self._found = dict(_read(file, self.identity)) if file.is_file() else {}
        self.answers = 0
        """How many transcripts came from the file."""

    def transcribe(self, waveforms: list[Waveform]) -> list[Transcription | Failure]:
        """Transcripts of waveforms (T,)."""
        hashes = [audio_hash(waveform) for waveform in waveforms]
        missing = [place for place, name in enumerate(hashes) if name not in self._found]
        fresh = dict(zip(missing, transcribe(self.named, [waveforms[place] for place in missing]), strict=True))
        self._keep((hashes[place], each) for place, each in fresh.items() if isinstance(each, Transcription))
        self.answers += len(hashes) - len(missing)
        return [fresh[place] if place in fresh else self._found[name] for place, name in enumerate(hashes)]

    def _keep(self, pairs: Iterable[tuple[str, Transcription]]) -> None:
        """Add to the file, on disk before this returns."""
        lines = []
        for name, each in pairs:
            self._found[name] = each
            values = {"recogniser": self.identity, "audio": name, "text": each.text}
            lines.append({**values, "confidence": each.confidence, "log_probability": each.log_probability})
        if lines:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with system_errors(self._file), self._file.open("ab+") as file:
                _append(file, lines)


def gives_confidences(named: NamedRecogniser) -> bool:
    """Whether a recogniser tells how sure it is of its words."""
    return named.times == "words"


def transcribe(named: NamedRecogniser, waveforms: list[Waveform]) -> list[Transcription | Failure]:
    """Transcripts of waveforms (T,), with confidences where the recogniser gives them."""
    if not waveforms:
        return []
    if not gives_confidences(named):
        return [
            each if isinstance(each, Failure) else Transcription(each) for each in attempt(named.recognise, waveforms)
        ]
    found = attempt_timed(named, waveforms)
    return [each if isinstance(each, Failure) else transcription(each.text, each.words) for each in found]


def _append(file: BinaryIO, lines: list[dict[str, Any]]) -> None:
    if file.tell():
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":  # a line that was torn by a kill ends here
            file.write(b"\n")
    file.write("".join(json.dumps(values) + "\n" for values in lines).encode())
    file.flush()
    os.fsync(file.fileno())


def _read(path: Path, key: str) -> Iterable[tuple[str, Transcription]]:
    """The transcripts of a recogniser; incomplete lines are ignored.

    Raises:
        DataError: the file holds something else.
    """
    lines = [values for _, values in json_lines.read(path, MOST_BYTES)]
    entries = [values for values in lines if _is_entry(values)]
    if lines and not entries and path.stat().st_size:
        raise DataError(f"`{path}` must be a file of transcripts, but is not; choose another --cache")
    for values in entries:
        if values["recogniser"] == key:
            yield (
                values["audio"],
                Transcription(values["text"], values.get("confidence"), values.get("log_probability")),
            )


def _is_entry(values: Any) -> bool:
    if not isinstance(values, dict):
        return False
    numbers = (values.get("confidence"), values.get("log_probability"))
    return all(isinstance(values.get(name), str) for name in ("recogniser", "audio", "text")) and all(
        number is None or isinstance(number, int | float) for number in numbers
    )
