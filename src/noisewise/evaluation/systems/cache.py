"""Transcripts kept on disk: an utterance that a recogniser has transcribed once is not sent to it again.

One JSON value per line, only ever appended to: `{"recogniser": KEY, "audio": SHA-256, "text": ...}`. The key is the
SHA-256 of the name of the recogniser and its details (hash of the weights, versions, address), the hash of the audio
is over its 32-bit samples. Failures are not kept: they are tried again. Whoever can write to the file decides what a
recogniser is taken to have answered: a result names the file, its hash and how many answers came from it.
"""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from noisewise.errors import RecogniserError
from noisewise.evaluation import json_lines
from noisewise.evaluation.provenance import portable
from noisewise.evaluation.systems.protocol import CacheUse, NamedRecogniser, Output, Waveform, attempt
from noisewise.files import sha256_of
from noisewise.safe_text import RUN, received

MOST_BYTES = 16 << 20
"""Length of the longest line that is read."""

AT_A_TIME = 16
"""Utterances transcribed before their texts are written: the most that a kill can lose."""


def cached(named: NamedRecogniser, path: str | Path, at_a_time: int = AT_A_TIME) -> NamedRecogniser:
    """Put a file of transcripts in front of a recogniser.

    Several recognisers, and several runs at the same time, can share a file.

    Args:
        named: the recogniser; the same name with other details has transcripts of its own.
        path: file to read and to append to; made when it is missing.
        at_a_time: utterances transcribed before their texts are written.

    Raises:
        RecogniserError: the file is not one of transcripts.
    """
    cache = TranscriptCache(Path(path), identity(named))

    def recognise(waveforms: list[Waveform]) -> list[Output]:
        hashes = [audio_hash(waveform) for waveform in waveforms]
        missing = [index for index, name in enumerate(hashes) if name not in cache.texts]
        found: dict[int, Output] = {}
        for start in range(0, len(missing), at_a_time):
            indices = missing[start : start + at_a_time]
            outputs = attempt(named.recognise, [waveforms[index] for index in indices])
            cache.add([(hashes[i], text) for i, text in zip(indices, outputs, strict=True) if isinstance(text, str)])
            found.update(zip(indices, outputs, strict=True))
        answers = len(hashes) - len(found)
        cache.use = replace(cache.use, answers=cache.use.answers + answers, asked=cache.use.asked + len(found))
        return [found[index] if index in found else cache.texts[name] for index, name in enumerate(hashes)]

    return replace(named, recognise=recognise, cache_use=lambda: cache.use)


def identity(named: NamedRecogniser) -> str:
    """SHA-256 of what a recogniser is: its name without paths of this machine, and its details."""
    text = json.dumps([portable(named.name), named.details], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def audio_hash(waveform: Waveform) -> str:
    """SHA-256 of the samples (T,), as little-endian 32-bit numbers."""
    return hashlib.sha256(waveform.astype("<f4").tobytes()).hexdigest()


class TranscriptCache:
    """The transcripts of one recogniser in a file that others may share."""

    def __init__(self, path: Path, key: str) -> None:
        """Read what is there; lines that cannot be read are left out and counted in `use`.

        Raises:
            RecogniserError: the file holds something else.
        """
        self.path, self.key = path, key
        self.texts: dict[str, str] = {}
        self.use = CacheUse(path.name, "", 0, 0, 0)
        if path.exists():
            self._read()

    def _read(self) -> None:
        whole, broken, first = 0, 0, b""
        for line, values in json_lines.read(self.path, MOST_BYTES):
            if not _is_entry(values):
                broken, first = broken + 1, first or line
                continue
            whole += 1
            if values["recogniser"] == self.key:
                self.texts[values["audio"]] = received(values["text"], shortest=RUN)
        if first.endswith(b"\n") and not whole:
            raise RecogniserError(
                f"`{self.path}` must be a file of transcripts, but begins with {first[:40]!r}; choose another --cache"
            )
        self.use = replace(self.use, sha256=sha256_of(self.path), broken_lines=broken)

    def add(self, pairs: list[tuple[str, str]]) -> None:
        """Keep (hash of the audio, text) pairs, on disk before this returns."""
        self.texts.update(pairs)
        if not pairs:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [{"recogniser": self.key, "audio": audio, "text": text} for audio, text in pairs]
        written = "".join(json.dumps(values) + "\n" for values in lines).encode()
        with self.path.open("ab") as file:
            file.write((b"" if _ends_a_line(self.path) else b"\n") + written)
            file.flush()
            os.fsync(file.fileno())


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _is_entry(values: Any) -> bool:
    return isinstance(values, dict) and all(isinstance(values.get(key), str) for key in ("recogniser", "audio", "text"))
