"""A recording as a source of decoded blocks, read by libsndfile (wav, flac, ogg, opus, mp3, aiff, ...).

libsndfile reads what is left of a cut-off file without complaint, so what the header promises is checked here.
Legend: T samples, C channels.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from noisewise.config import NoisewiseError

Samples = NDArray[np.float32]
Reason = Literal["missing", "not_audio", "empty", "truncated", "nan", "silent", "too_long", "too_short"]

BLOCK_VALUES = 1 << 20
"""Values (samples times channels) decoded at a time."""
MPEG_SLACK_SECONDS = 0.1
"""An mp3 header may count the delay of the codec, so its promise is not exact."""
UNKNOWN_BYTES = 0x7FFF_F000
"""A chunk of this size or more was written to a pipe by a program that could not know the length."""


class AudioError(NoisewiseError):
    """A recording that cannot be used; `reason` says why in one word and `path` names it."""

    def __init__(self, message: str, reason: Reason = "not_audio", path: str = ""):
        super().__init__(message)
        self.reason: Reason = reason
        self.path = path


@dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """What the header of a recording says."""

    seconds: float
    """Length; nan when the header does not tell."""
    sample_rate: int
    """Samples per second and channel."""
    channels: int
    """Channels; `load` gives their mean."""
    samples: int
    """Samples of one channel; -1 when the header does not tell."""
    format: str
    """Container and coding, for instance `FLAC PCM_16`."""


class Source(Protocol):
    """An open recording."""

    name: str
    sample_rate: int
    channels: int
    samples: int | None
    """Samples of one channel, or None when only decoding can tell."""
    format: str

    def blocks(self, start: int, stop: int | None) -> Iterator[Samples]:
        """Decode samples start..stop (None: to the end) in blocks (T, C)."""
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


class SoundFileSource:
    """A recording that libsndfile can read."""

    def __init__(self, file: str | BinaryIO, name: str):
        """Open a file by path, or read an open, seekable one from its start.

        Raises:
            soundfile.LibsndfileError: the format is not known.
            AudioError: the file ends before its header says so.
        """
        self.name = name
        self._file = soundfile.SoundFile(file)
        self.sample_rate, self.channels = int(self._file.samplerate), int(self._file.channels)
        self.samples = int(self._file.frames) if self._file.frames < 1 << 62 else None
        self.format = f"{self._file.format} {self._file.subtype}"
        self._slack = int(MPEG_SLACK_SECONDS * self.sample_rate) if "MPEG" in self.format else 0

    def blocks(self, start: int, stop: int | None) -> Iterator[Samples]:
        """Decode samples start..stop in blocks (T, C); see `Source`."""
        stop = self.samples if stop is None else stop
        position, size = start, max(1, BLOCK_VALUES // self.channels)
        try:
            if start:
                self._file.seek(start)
            while stop is None or position < stop:
                wanted = size if stop is None else min(size, stop - position)
                block = self._file.read(wanted, dtype="float32", always_2d=True)
                if len(block) == 0:
                    break
                position += len(block)
                yield block
        except soundfile.LibsndfileError as error:
            raise self._truncated(f"cannot be decoded past {position / self.sample_rate:.2f} s") from error
        if stop is not None and position < stop - self._slack:
            raise self._truncated(f"ends at {position / self.sample_rate:.2f} s")

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _truncated(self, what: str) -> AudioError:
        promise = "" if self.samples is None else f" of {self.samples / self.sample_rate:.2f} s"
        return AudioError(
            f"`{self.name}` must hold all{promise} that its header promises, but {what}; copy or record it again",
            "truncated",
            self.name,
        )


def missing_bytes(file: BinaryIO) -> int:
    """How many bytes a wav, aiff or ogg file lacks of what its header (or last page) promises; 0 for others.

    The file is left where it was.
    """
    before = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    try:
        if head[:4] in (b"RIFF", b"RIFX", b"FORM"):
            return _missing_of_chunk(file, size, ">" if head[:4] != b"RIFF" else "<")
        return _missing_of_page(file, size) if head[:4] == b"OggS" else 0
    finally:
        file.seek(before)


def _missing_of_chunk(file: BinaryIO, size: int, order: str) -> int:
    """Walk the chunks of a RIFF or AIFF file to the one that holds the samples."""
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if name in (b"data", b"SSND"):
            return 0 if length >= UNKNOWN_BYTES else max(0, position + 8 + length - size)
        position += 8 + length + length % 2
    return 0


def _missing_of_page(file: BinaryIO, size: int) -> int:
    """Whether the last page of an Ogg file is whole (a page is at most 65,307 bytes)."""
    file.seek(max(0, size - 65_536))
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0 or page + 27 > len(tail) or page + 27 + tail[page + 26] > len(tail):
        return 1
    lacing = tail[page + 27 : page + 27 + tail[page + 26]]
    return max(0, page + 27 + len(lacing) + sum(lacing) - len(tail))


def name_of(source: "str | os.PathLike[str] | BinaryIO") -> str:
    """A name for messages: the path, or the name of an open file, or `<stream>`."""
    if isinstance(source, str | os.PathLike):
        return str(Path(source))
    name: Any = getattr(source, "name", None)
    return name if isinstance(name, str) else "<stream>"
