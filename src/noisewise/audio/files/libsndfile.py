"""The recordings that libsndfile reads (wav, flac, ogg, opus, mp3, ...).

Legend: T samples, C channels.
"""

import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import soundfile

from noisewise.audio.files import protocol
from noisewise.audio.files.pieces import GuardedFile
from noisewise.audio.files.protocol import Samples, cut_off, unreadable
from noisewise.errors import AudioError

MPEG_SLACK_SECONDS = 0.1
"""An mp3 header may count the delay of the codec, so its promise is not exact."""
MPEG_PREROLL = 16_384
"""Samples decoded and dropped before a part of an mp3, whose frames lean on those before them."""

SMALL_BLOCK = 1024
"""Samples decoded at a time near a fault."""


class _SoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file whose position is left alone after each read.

    soundfile seeks to where it is after every read of a seekable file, which costs an mp3 a third of a second of
    sound (the decoder starts anew, without the frames before) and fails where the length is unknown.
    """

    def seekable(self) -> bool:
        return False


class SoundFileAudio:
    """A recording that libsndfile can read."""

    def __init__(
        self, file: str | BinaryIO, name: str, fault: AudioError | None = None, can_seek: bool = True, **raw: Any
    ):
        """Open a file by path, or an open, seekable one at its start.

        Args:
            file: the path, or the open file.
            name: for messages.
            fault: what is known to be missing.
            can_seek: whether a part may be searched; otherwise all before it is decoded.
            **raw: what soundfile has to know of samples without a header.

        Raises:
            soundfile.LibsndfileError: the format is not known.
            AudioError: the file cannot be read.
        """
        self.name, self.fault, self._raw = name, fault, raw
        self._path = file if isinstance(file, str) else None
        self._guard = None if isinstance(file, str) else GuardedFile(file)
        try:
            self._file = self._opened()
        except soundfile.LibsndfileError as error:
            if self._guard is not None and self._guard.error is not None:
                raise unreadable(name, self._guard.error) from error
            raise
        self.sample_rate, self.channels = int(self._file.samplerate), int(self._file.channels)
        self.samples = int(self._file.frames) if self._file.frames < 1 << 62 else None
        self.format = f"{self._file.format} {self._file.subtype}"
        mpeg = "MPEG" in self.format
        self._slack = int(MPEG_SLACK_SECONDS * self.sample_rate) if mpeg else 0
        self._preroll = MPEG_PREROLL if mpeg else 0
        self._can_seek = can_seek and bool(soundfile.SoundFile.seekable(self._file))

    def blocks(self, start: int, stop: int | None) -> Iterator[Samples]:
        """Decode samples start..stop in blocks (T, C); see `OpenAudio`."""
        to_the_end = stop is None or stop == self.samples
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
            self._check_readable()
            for block in self._saved(position):
                position += len(block)
                yield block
            raise self.fault or cut_off(self, position) from error
        self._check_readable()
        if self.fault is not None and (to_the_end or (stop is not None and position < stop)):
            raise self.fault
        if stop is not None and position < stop - self._slack:
            raise cut_off(self, position)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _opened(self) -> _SoundFile:
        return _SoundFile(self._guard or _native(str(self._path)), **self._raw)

    def _saved(self, position: int) -> Iterator[Samples]:
        """What can be decoded from `position` up to the fault: a block that ends in one is lost as a whole."""
        self._file.close()
        if self._guard is not None:
            self._guard.seek(0)
        try:
            self._file = self._opened()
            self._go_to(position)
            while len(block := self._read(SMALL_BLOCK)):
                yield block
        except soundfile.LibsndfileError:
            return

    def _check_readable(self) -> None:
        if self._guard is not None and self._guard.error is not None:
            raise unreadable(self.name, self._guard.error)

    def _go_to(self, start: int) -> None:
        """Seek only where that is needed: some telephony codings cannot, and are decoded up to the place."""
        ahead = start
        if start and self.samples is not None and self._can_seek:
            try:
                self._file.seek(start - min(start, self._preroll))
                ahead = min(start, self._preroll)
            except soundfile.LibsndfileError:
                ahead = start
        while ahead:
            skipped = len(self._read(ahead))
            ahead = ahead - skipped if skipped else 0

    def _read(self, most: int | None) -> Samples:
        size = max(1, protocol.BLOCK_VALUES // self.channels)
        wanted = size if most is None else min(size, most)
        return np.asarray(self._file.read(wanted, dtype="float32", always_2d=True), dtype=np.float32)


def _native(path: str) -> str | bytes:
    """A path as libsndfile takes it: bytes, because a name need not be text in any encoding."""
    return path if sys.platform == "win32" else os.fsencode(path)
