"""Recordings that libsndfile cannot read (m4a, mp4, webm, ...), decoded by PyAV from the extra `media`.

Only containers known by their first bytes are opened, with their format named and through an open file, so that no
playlist or reference in a file can make the decoder open other files or the network. Times are those of the
container: silence stands where a recorder was paused and before sound that begins late. Legend: T samples, C channels.
"""

import importlib.util
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import numpy as np

from noisewise.audio.files.pieces import GuardedFile
from noisewise.audio.files.protocol import (
    GAP_SECONDS,
    LATEST_START_SECONDS,
    LONGEST_GAP_SECONDS,
    Samples,
    cut_off,
    silence,
    unreadable,
)
from noisewise.errors import AudioError, install_line

PREROLL_SECONDS = 0.5
"""Decoding starts this much before a part, because codecs lean on what came before."""
SLACK_SECONDS = 0.25
"""How far the last sample may stay behind the length that the container tells."""
WITHOUT_LENGTH = ("aac", "amr")
"""Bare streams, whose length FFmpeg only guesses from the bit rate."""


def has_pyav() -> bool:
    """Whether the extra `media` is installed."""
    return importlib.util.find_spec("av") is not None


class PyAVAudio:
    """The first audio stream of a container that FFmpeg can read."""

    def __init__(self, file: str | BinaryIO, container: str, name: str, fault: AudioError | None = None):
        """Open the container in a file.

        Args:
            file: a path, or an open, seekable file at its start.
            container: FFmpeg's name of the format.
            name: for messages.
            fault: what is known to be missing.

        Raises:
            AudioError: the extra is not installed, or the container is broken or holds no audio.
        """
        try:
            import av
        except ImportError as error:
            raise AudioError(
                f"`{name}` must be wav, flac, ogg or mp3 unless PyAV is installed, but is {container} instead; "
                f"run: {install_line('media')}",
                path=name,
            ) from error
        self.name, self.fault, self._av = name, fault, av
        self._owned = open(file, "rb") if isinstance(file, str) else None  # noqa: SIM115
        self._guard = GuardedFile(self._owned or cast("BinaryIO", file))
        try:
            self._container: Any = av.open(self._guard, mode="r", format=container, metadata_errors="replace")
        except (av.FFmpegError, ValueError, OSError) as error:
            self._close_file()
            self._check_readable()
            raise AudioError(
                f"`{name}` must be a whole {container} file, but its index is missing or broken; "
                "copy or record it again",
                "truncated",
                name,
            ) from error
        self._stream: Any = next(iter(self._container.streams.audio), None)
        self.sample_rate = int(getattr(self._stream, "rate", 0) or 0)
        self.channels = int(getattr(self._stream, "channels", 0) or 0)
        if self._stream is None or not self.sample_rate or not self.channels:
            self.close()
            what = "has no audio stream" if self._stream is None else "its audio stream has no channels or no rate"
            raise AudioError(f"`{name}` must hold sound, but {what}; use another file", path=name)
        self.format = f"{container} {self._stream.codec_context.name}".upper()
        self._layout = self._stream.layout
        self._can_seek = container == "mp4"  # the time stamps of the others are too coarse
        self._origin = self._zero()
        self._is_promise = len(self._container.streams) == 1 or bool(self._stream.duration)
        self.samples = None if container in WITHOUT_LENGTH else self._length()

    def blocks(self, start: int, stop: int | None) -> Iterator[Samples]:
        """Decode samples start..stop in blocks (T, C); see `OpenAudio`."""
        end = self.samples if stop is None else stop
        position = 0
        try:
            position = self._go_to(start)
            for block in self._timed(position):
                first, position = position, position + len(block)
                kept = block[max(0, start - first) : None if stop is None else max(0, stop - first)]
                if len(kept):
                    yield kept
                if stop is not None and position >= stop:
                    break
        except (self._av.FFmpegError, ValueError, OSError) as error:  # ValueError: frames that contradict themselves
            self._check_readable()
            raise self.fault or cut_off(self, position) from error
        self._check_readable()
        if self.fault is not None and (stop is None or position < stop or stop == self.samples):
            raise self.fault
        promised = stop is not None or self._is_promise
        if promised and end is not None and position < end - SLACK_SECONDS * self.sample_rate:
            raise cut_off(self, position)

    def close(self) -> None:
        """Let the file go."""
        self._container.close()
        self._close_file()

    def _check_readable(self) -> None:
        if self._guard.error is not None:
            raise unreadable(self.name, self._guard.error)

    def _close_file(self) -> None:
        if self._owned is not None:
            self._owned.close()

    def _timed(self, position: int) -> Iterator[Samples]:
        """Blocks (T, C) from `position` on, with silence where the time stamps leave a gap."""
        for place, block in self._decoded():
            gap = 0 if place is None else place - position
            if GAP_SECONDS < gap / self.sample_rate <= LONGEST_GAP_SECONDS:
                yield from silence(gap, self.channels)
                position += gap
            elif place is not None and gap / self.sample_rate > LONGEST_GAP_SECONDS:
                self._origin += gap / self.sample_rate  # a broken clock: it goes on from here
            yield block
            position += len(block)

    def _decoded(self) -> Iterator[tuple[int | None, Samples]]:
        """Frames as (T, C) float32, each with the sample where it begins by its time stamp, if it has one."""
        resampler, kind = None, None
        for frame in self._container.decode(self._stream):
            place = None if frame.pts is None else self._place(frame.pts * (frame.time_base or self._stream.time_base))
            if resampler is None or kind != (frame.format.name, frame.layout.name, frame.sample_rate):
                yield from self._rest(resampler)
                kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                resampler = self._av.AudioResampler("fltp", self._layout, self.sample_rate)
            for part in resampler.resample(frame):
                yield place, np.ascontiguousarray(part.to_ndarray().T)
                place = None
        yield from self._rest(resampler)

    def _rest(self, resampler: Any) -> Iterator[tuple[None, Samples]]:
        for part in [] if resampler is None else resampler.resample(None):
            yield None, np.ascontiguousarray(part.to_ndarray().T)

    def _place(self, seconds: Any) -> int:
        """The sample at a time of the container."""
        return round((float(seconds) - self._origin) * self.sample_rate)

    def _zero(self) -> float:
        """The time of the container that is its beginning: 0, unless its clock is that of a broadcast."""
        start = (self._container.start_time or 0) / self._av.time_base
        return start if abs(start) > LATEST_START_SECONDS else 0.0

    def _go_to(self, start: int) -> int:
        """Go to a place before sample `start`; returns the sample that will be decoded next."""
        seconds = start / self.sample_rate - PREROLL_SECONDS
        first = float((self._stream.start_time or 0) * self._stream.time_base) - self._origin
        if seconds <= max(0.0, first) or not self._can_seek:
            return 0
        self._container.seek(int((seconds + self._origin) / self._stream.time_base), stream=self._stream)
        frame = next(self._container.decode(self._stream), None)
        if frame is None or frame.pts is None:
            raise cut_off(self, start)
        return self._place(frame.pts * self._stream.time_base) + int(frame.samples)

    def _length(self) -> int | None:
        """Samples by the container, or None when it does not tell (a browser's webm, for instance)."""
        if self._stream.duration:
            start = max(0.0, float((self._stream.start_time or 0) * self._stream.time_base) - self._origin)
            start = start if start > GAP_SECONDS else 0.0
            return int((start + float(self._stream.duration * self._stream.time_base)) * self.sample_rate)
        told = _seconds(str(self._stream.metadata.get("DURATION", "")))
        whole: int | None = self._container.duration
        if told:
            return int(told * self.sample_rate)
        return int(whole / self._av.time_base * self.sample_rate) if whole else None


def _seconds(text: str) -> float:
    """A tag of Matroska such as 00:00:05.786000000 in seconds; 0 for anything else."""
    found = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d+)?)", text)
    return 3600 * int(found[1]) + 60 * int(found[2]) + float(found[3]) if found else 0.0
