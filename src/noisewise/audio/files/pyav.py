"""Recordings that libsndfile cannot read (m4a, mp4, webm, ...), decoded by PyAV from the extra `media`.

Only containers known by their first bytes are opened, with their format named and through an open file, so that no
playlist or reference in a file can make the decoder open other files or the network. Legend: T samples, C channels.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from noisewise.audio.files.libsndfile import Samples, cut_off
from noisewise.errors import AudioError

PREROLL_SECONDS = 0.5
"""Decoding starts this much before a part, because codecs lean on what came before."""
SLACK_SECONDS = 0.25
"""How far the last sample may stay behind the length in the container."""
WITHOUT_LENGTH = ("aac", "amr")
"""Bare streams, whose length FFmpeg only guesses from the bit rate."""


class PyAVAudio:
    """The first audio stream of a container that FFmpeg can read."""

    def __init__(self, file: str | BinaryIO, container: str, name: str):
        """Open the container in a file.

        Args:
            file: a path, or an open, seekable file at its start.
            container: FFmpeg's name of the format.
            name: for messages.

        Raises:
            AudioError: the extra is not installed, or the container is broken or holds no audio.
        """
        try:
            import av
        except ImportError as error:
            raise AudioError(
                f"`{name}` must be wav, flac, ogg or mp3 unless PyAV is installed, but is {container} instead; "
                "run: pip install 'noisewise[media]'",
                path=name,
            ) from error
        self.name, self._av = name, av
        self._owned = open(file, "rb") if isinstance(file, str) else None  # noqa: SIM115
        try:
            self._container: Any = av.open(self._owned or file, mode="r", format=container)
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(
                f"`{name}` must be a whole {container} file, but its index is missing or broken; "
                "copy or record it again",
                "truncated",
                name,
            ) from error
        if not self._container.streams.audio:
            self.close()
            raise AudioError(f"`{name}` must hold sound, but has no audio stream; use another file", path=name)
        self._stream: Any = self._container.streams.audio[0]
        self.sample_rate, self.channels = int(self._stream.rate), int(self._stream.channels)
        self.format = f"{container} {self._stream.codec_context.name}".upper()
        self._can_seek = container == "mp4"  # the time stamps of the others are too coarse
        self.samples = None if container in WITHOUT_LENGTH else self._length()

    def blocks(self, start: int, stop: int | None) -> Iterator[Samples]:
        """Decode samples start..stop in blocks (T, C); see `OpenAudio`."""
        end = self.samples if stop is None else stop
        position = 0
        try:
            position = self._go_to(start)
            for block in self._decoded():
                first, position = position, position + len(block)
                kept = block[max(0, start - first) : None if stop is None else max(0, stop - first)]
                if len(kept):
                    yield kept
                if stop is not None and position >= stop:
                    return
        except self._av.FFmpegError as error:
            raise cut_off(self, position) from error
        if end is not None and position < end - SLACK_SECONDS * self.sample_rate:
            raise cut_off(self, position)

    def close(self) -> None:
        """Let the file go."""
        self._container.close()
        if self._owned is not None:
            self._owned.close()

    def _decoded(self) -> Iterator[Samples]:
        """Frames as (T, C) float32."""
        resampler = self._av.AudioResampler("fltp", self._stream.layout.name, self.sample_rate)
        for frame in self._container.decode(self._stream):
            for part in resampler.resample(frame):
                yield np.ascontiguousarray(part.to_ndarray().T)
        for part in resampler.resample(None):
            yield np.ascontiguousarray(part.to_ndarray().T)

    def _go_to(self, start: int) -> int:
        """Go to a place before sample `start`; returns the sample that will be decoded next."""
        seconds = start / self.sample_rate - PREROLL_SECONDS
        if seconds <= 0 or not self._can_seek:
            return 0
        origin = self._stream.start_time or 0
        self._container.seek(origin + int(seconds / self._stream.time_base), stream=self._stream)
        frame = next(self._container.decode(self._stream))
        first = round((frame.pts - origin) * self._stream.time_base * self.sample_rate)
        return int(first + frame.samples)

    def _length(self) -> int | None:
        """Samples that the container promises, or None when it lacks a length (a browser's webm, for instance)."""
        if self._stream.duration:
            return int(self._stream.duration * self._stream.time_base * self.sample_rate)
        whole: int | None = self._container.duration
        return int(whole / self._av.time_base * self.sample_rate) if whole else None
