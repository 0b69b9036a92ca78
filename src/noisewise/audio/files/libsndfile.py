"""A recording as a source of decoded blocks, and the one that libsndfile reads (wav, flac, ogg, opus, mp3, ...).

Legend: T samples, C channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from noisewise.errors import AudioError

Samples = NDArray[np.float32]

BLOCK_VALUES = 1 << 20
"""Values (samples times channels) decoded at a time."""
MPEG_SLACK_SECONDS = 0.1
"""An mp3 header may count the delay of the codec, so its promise is not exact."""
MPEG_PREROLL = 16_384
"""Samples decoded and dropped before a part of an mp3, whose frames lean on those before them."""


@dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """Header of a recording."""

    seconds: float
    """Length in seconds; nan when the header lacks it."""
    sample_rate: int
    """Sample rate in Hz."""
    channels: int
    """Number of channels; `load` gives their mean."""
    samples: int
    """Number of samples of one channel; -1 when the header lacks it."""
    format: str
    """Container and coding, for instance `FLAC PCM_16`."""


class OpenAudio(Protocol):
    """An open recording."""

    name: str
    sample_rate: int
    channels: int
    samples: int | None
    """Number of samples of one channel, or None when the header lacks it."""
    format: str

    def blocks(self, start: int, stop: int | None) -> Iterator[Samples]:
        """Decode samples start..stop (None: to the end) in blocks (T, C); at most one call for each source.

        Raises:
            AudioError: the recording ends before `stop`, or before its header says so.
        """
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


def cut_off(source: OpenAudio, position: int) -> AudioError:
    """The error of a recording whose header promises more than can be decoded, up to sample `position`."""
    promise = "" if source.samples is None else f" of {source.samples / source.sample_rate:.2f} s"
    return AudioError(
        f"`{source.name}` must hold all{promise} that its header promises, but cannot be decoded past "
        f"{position / source.sample_rate:.2f} s; copy or record it again",
        "truncated",
        source.name,
    )


class _SoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file whose position is left alone after each read.

    soundfile seeks to where it is after every read of a seekable file, which costs an mp3 a third of a second of
    sound (the decoder starts anew, without the frames before) and fails where the length is unknown.
    """

    def seekable(self) -> bool:
        return False


class SoundFileAudio:
    """A recording that libsndfile can read."""

    def __init__(self, file: str | BinaryIO, name: str):
        """Open a file by path, or an open, seekable one at its start.

        Raises:
            soundfile.LibsndfileError: the format is not known.
        """
        self.name = name
        self._file = _SoundFile(file)
        self.sample_rate, self.channels = int(self._file.samplerate), int(self._file.channels)
        self.samples = int(self._file.frames) if self._file.frames < 1 << 62 else None
        self.format = f"{self._file.format} {self._file.subtype}"
        mpeg = "MPEG" in self.format
        self._slack = int(MPEG_SLACK_SECONDS * self.sample_rate) if mpeg else 0
        self._preroll = MPEG_PREROLL if mpeg else 0

    def blocks(self, start: int, stop: int | None) -> Iterator[Samples]:
        """Decode samples start..stop in blocks (T, C); see `OpenAudio`."""
        stop = self.samples if stop is None else stop
        position = start
        try:
            self._go_to(start)
            while stop is None or position < stop:
                block = self._read(None if stop is None else stop - position)
                if len(block) == 0:
                    break
                position += len(block)
                yield block
        except soundfile.LibsndfileError as error:
            raise cut_off(self, position) from error
        if stop is not None and position < stop - self._slack:
            raise cut_off(self, position)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _go_to(self, start: int) -> None:
        ahead = start
        if self.samples is not None:
            ahead = min(start, self._preroll)
            self._file.seek(start - ahead)
        while ahead:
            skipped = len(self._read(ahead))
            ahead = ahead - skipped if skipped else 0

    def _read(self, most: int | None) -> Samples:
        size = max(1, BLOCK_VALUES // self.channels)
        wanted = size if most is None else min(size, most)
        return np.asarray(self._file.read(wanted, dtype="float32", always_2d=True), dtype=np.float32)
