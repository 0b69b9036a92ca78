"""Samples without a header, whose rate, channels and type have to be given."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from noisewise.errors import AudioError

TYPES = {
    "u8": ("PCM_U8", "FILE"),
    "s8": ("PCM_S8", "FILE"),
    "s16le": ("PCM_16", "LITTLE"),
    "s16be": ("PCM_16", "BIG"),
    "s24le": ("PCM_24", "LITTLE"),
    "s24be": ("PCM_24", "BIG"),
    "s32le": ("PCM_32", "LITTLE"),
    "s32be": ("PCM_32", "BIG"),
    "f32le": ("FLOAT", "LITTLE"),
    "f32be": ("FLOAT", "BIG"),
    "f64le": ("DOUBLE", "LITTLE"),
    "f64be": ("DOUBLE", "BIG"),
    "mulaw": ("ULAW", "FILE"),
    "alaw": ("ALAW", "FILE"),
}
"""Type of a sample, by the names of FFmpeg, to the coding and byte order of libsndfile."""


@dataclass(frozen=True)
class RawRecording:
    """A recording without a header; it may stand wherever a path may."""

    file: str | Path | BinaryIO
    """Path, or open file; one that cannot be searched (standard input) can be read once."""
    rate: int
    """Samples per second and channel."""
    channels: int = 1
    """Channels, whose samples alternate."""
    dtype: str = "s16le"
    """Type of a sample, one of `TYPES`."""

    def __str__(self) -> str:
        return str(self.file if isinstance(self.file, str | Path) else getattr(self.file, "name", "<stream>"))


def open_raw(file: str | Path | BinaryIO, rate: int, channels: int = 1, dtype: str = "s16le") -> RawRecording:
    """Name a recording without a header, for `load`, `stream` and `info`.

    Args:
        file: a path, or an open binary file.
        rate: samples per second and channel.
        channels: channels, whose samples alternate.
        dtype: type of a sample, as FFmpeg names it: s16le, s16be, u8, s24le, f32le, mulaw, ...

    Raises:
        AudioError: a rate, number of channels or type that no recording has.

    Example:
        >>> import io
        >>> from noisewise.audio import waveform
        >>> waveform.load(waveform.open_raw(io.BytesIO(bytes([0, 64]) * 8000), rate=8000), allow_silent=True).shape
        (16000,)
    """
    if dtype not in TYPES:
        raise AudioError(f"`dtype` must be one of {', '.join(TYPES)}, but is {dtype!r} instead; name the type")
    if not 1_000 <= rate <= 768_000:
        raise AudioError(f"`rate` must be 1000 to 768000 samples per second, but is {rate} instead; check the unit")
    if not 1 <= channels <= 256:
        raise AudioError(f"`channels` must be 1 to 256, but is {channels} instead; give the number of channels")
    return RawRecording(file, rate, channels, dtype)
