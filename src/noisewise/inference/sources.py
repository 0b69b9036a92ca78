"""What can be transcribed, and how it becomes samples: files, open files, bytes, arrays, tensors, lists, and parts.

Legend: T samples, C channels.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.audio.channels import Samples, compare_channels
from noisewise.audio.files.open import printable
from noisewise.audio.waveform import SAMPLE_RATE, Openable, RawRecording
from noisewise.errors import AudioError

Source = str | Path | bytes | BinaryIO | NDArray[Any] | torch.Tensor | Sequence[float] | tuple[Any, Any]
"""A path, the bytes of a file, an open binary file, samples (T,), or samples with their rate."""
ChannelChoice = Literal["mix", "split", "auto"] | Sequence[int]
"""All channels as one, each apart, apart if they differ like two speakers, or some by number, from 1."""
FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31, "uint8": 2.0**7}
"""Types of whole numbers that recordings have, and what is 1 there."""
COMPARE_SECONDS = 10.0
"""Channels are compared in blocks of this length."""


@dataclass(frozen=True)
class Input:
    """One channel, or the mix of all, of a recording or of a part of it."""

    name: str
    """Path of the recording, or `waveform N` for the N-th source."""
    audio: Openable | Samples | None = None
    """What is read; samples are one channel at 16 kHz; None where `fault` says what is wrong."""
    channel: int | None = None
    """Number of the channel, from 1; None for the mix of all."""
    start: float = 0.0
    """Where the part begins in the recording, in seconds."""
    duration: float | None = None
    """Length of the part in seconds; None to the end."""
    fault: AudioError | None = None
    """Why it cannot be read, where that is known."""

    @property
    def seconds(self) -> float:
        """Its length as far as the header tells; infinite if it does not, 0 if it cannot be read."""
        if self.audio is None:
            return 0.0
        if isinstance(self.audio, np.ndarray):
            return len(self.audio) / SAMPLE_RATE
        if self.duration is not None:
            return self.duration
        if not _is_file(self.audio):
            return float("inf")  # a pipe can be read only once
        try:
            seconds = waveform.info(self.audio, allow_truncated=True).seconds - self.start
        except AudioError:
            return 0.0  # the error is raised when it is read
        return float("inf") if np.isnan(seconds) else max(0.0, seconds)

    def blocks(self, block_seconds: float) -> Iterator[Samples]:
        """Its samples at 16 kHz, in pieces. (T,) each

        Raises:
            AudioError: it cannot be read; `truncated` after all that is there.
        """
        if self.fault is not None or self.audio is None:
            raise self.fault or AudioError(f"`{self.name}` must hold audio, but is nothing; give a recording")
        if isinstance(self.audio, np.ndarray):
            yield self.audio
            return
        channels: Any = "mix" if self.channel is None else [self.channel]
        if self.start or self.duration is not None:
            yield from self._part(self.audio, channels)
            return
        for block in waveform.stream(self.audio, block_seconds=block_seconds, channels=channels):
            yield block if block.ndim == 1 else block[0]

    def _part(self, audio: Openable, channels: Any) -> Iterator[Samples]:
        """The samples of a part; what is there of one that is cut off, before its error."""
        error: AudioError | None = None
        try:
            found = self._loaded(audio, channels, False)
        except AudioError as wrong:
            if wrong.reason != "truncated":
                raise
            error, found = wrong, self._loaded(audio, channels, True)
        yield found if found.ndim == 1 else found[0]
        if error is not None:
            raise error

    def _loaded(self, audio: Openable, channels: Any, allow_truncated: bool) -> Samples:
        return waveform.load(
            audio,
            offset=self.start,
            duration=self.duration,
            channels=channels,
            allow_silent=True,
            allow_truncated=allow_truncated,
        )


def as_input(source: "Source | Input", number: int = 1, sample_rate: int = SAMPLE_RATE) -> Input:
    """What a source is; one that cannot be used has a `fault`.

    Args:
        source: see `Source`.
        number: its place among the sources, from 1, for its name.
        sample_rate: of samples that come without their rate.

    Example:
        >>> as_input((np.zeros(8000, np.int16), 8000)).seconds
        1.0
        >>> as_input(np.zeros((2, 16000))).fault.path
        'waveform 1'
    """
    if isinstance(source, Input):
        return source
    if isinstance(source, str | Path | RawRecording):
        return Input(printable(str(source)), source)
    if isinstance(source, bytes | bytearray | memoryview):
        return Input(f"bytes {number}", io.BytesIO(bytes(source)))
    if hasattr(source, "read"):
        return _opened(source, number)
    name = f"waveform {number}"
    try:
        samples, rate = _with_rate(source, sample_rate)
        return Input(name, waveform.resample(_as_samples(samples, name), rate, SAMPLE_RATE))
    except AudioError as error:
        return Input(name, fault=AudioError(str(error), error.reason, name))


def is_one(sources: object) -> bool:
    """Whether what was given is one source rather than several.

    A list is one source if its items are numbers, a tuple also if it is samples and their rate; a two-dimensional
    array is one source (which is refused unless it has one channel).
    """
    single = isinstance(sources, str | Path | RawRecording | Input | bytes | bytearray | memoryview | np.ndarray)
    if single or isinstance(sources, torch.Tensor) or hasattr(sources, "read"):
        return True
    if isinstance(sources, tuple) and _rate_of(sources) is not None:
        return True
    if isinstance(sources, list | tuple):
        return bool(sources) and isinstance(sources[0], int | float | np.number)
    return not hasattr(sources, "__iter__")


def by_channel(found: Input, channels: ChannelChoice = "auto") -> list[Input]:
    """One input for each channel that is wanted of a recording; itself where they are mixed or there is one.

    `auto` reads recordings of several channels once and splits those whose channels differ like the two sides of a
    call (`noisewise.audio.channels.compare_channels`): both hold speech, at other times. Stereo music, a pair of
    microphones in one room, and a mono recording on two channels are mixed.

    Raises:
        AudioError: `channels` is none of these.
    """
    if isinstance(channels, str) and channels not in ("mix", "split", "auto"):
        raise AudioError(
            f"`channels` must be mix, split, auto or numbers from 1, but is '{channels}' instead; choose one"
        )
    if found.audio is None:
        return [found]
    if isinstance(found.audio, np.ndarray):
        numbers = [] if isinstance(channels, str) else list(channels)
        return [_without_channel(found, 1, numbers)] if numbers not in ([], [1]) else [found]
    try:
        found = _searchable(found)
        if channels == "mix":
            return [found]
        audio = cast(Openable, found.audio)
        count = waveform.info(audio, allow_truncated=True).channels
        if isinstance(channels, str):
            split = count > 1 and (channels == "split" or _are_two_speakers(audio))
            numbers = list(range(1, count + 1)) if split else []
        else:
            numbers = list(channels)
            if not numbers or any(not 1 <= number <= count for number in numbers):
                return [_without_channel(found, count, numbers)]
    except AudioError as error:
        return [replace(found, audio=None, fault=error)]
    return [replace(found, channel=number) for number in numbers] or [found]


def _are_two_speakers(audio: Openable) -> bool:
    """Whether its channels differ like the sides of a call, as far as it can be read."""
    found = compare_channels(_readable(audio), SAMPLE_RATE)
    return found is not None and found.are_two_speakers


def _readable(audio: Openable) -> Iterator[Samples]:
    """Blocks of all channels (C, T), up to where the recording is cut off."""
    try:
        yield from waveform.stream(audio, block_seconds=COMPARE_SECONDS, channels="split")
    except AudioError as error:
        if error.reason != "truncated":
            raise


def _without_channel(found: Input, count: int, numbers: list[int]) -> Input:
    error = AudioError(
        f"`channels` must be numbers from 1 to {count} for `{found.name}`, but they are {numbers} instead; name "
        "channels that it has",
        path=found.name,
    )
    return replace(found, audio=None, fault=error)


def _searchable(found: Input) -> Input:
    """The same, kept if it is a pipe, which could be read only once."""
    audio = found.audio
    if isinstance(audio, RawRecording):
        if not _is_file(audio) and not isinstance(audio.file, str | Path):
            return replace(found, audio=replace(audio, file=waveform.spooled(audio.file, found.name)))
        return found
    if isinstance(audio, str | Path):
        if not Path(audio).exists() or Path(audio).is_file() or Path(audio).is_dir():
            return found
        with open(audio, "rb") as pipe:
            return replace(found, audio=waveform.spooled(pipe, found.name))
    if audio is None or isinstance(audio, np.ndarray) or audio.seekable():
        return found
    return replace(found, audio=waveform.spooled(audio, found.name))


def _is_file(audio: Openable) -> bool:
    """Whether it can be read again."""
    if isinstance(audio, RawRecording):
        return _is_file(audio.file)
    return Path(audio).is_file() if isinstance(audio, str | Path) else audio.seekable()


def _opened(source: Any, number: int) -> Input:
    """An open file, which must be binary."""
    name = getattr(source, "name", None)
    name = printable(name) if isinstance(name, str) else f"stream {number}"
    if isinstance(source, io.TextIOBase):
        return Input(
            name, fault=AudioError(f"`{name}` must be open as bytes, but is open as text; use 'rb'", path=name)
        )
    return Input(name, source)


def _rate_of(pair: tuple[Any, ...]) -> int | None:
    """The rate in a pair of samples and their rate, in either order; None where it is no such pair."""
    if len(pair) != 2:
        return None
    for samples, rate in (pair, pair[::-1]):
        if isinstance(rate, int | np.integer) and isinstance(samples, np.ndarray | torch.Tensor | list):
            return int(rate)
    return None


def _with_rate(source: Any, sample_rate: int) -> tuple[Any, int]:
    """Samples, and their rate."""
    rate = _rate_of(source) if isinstance(source, tuple) else None
    if rate is not None:
        source, sample_rate = (source[1] if isinstance(source[0], int | np.integer) else source[0]), rate
    if not 1_000 <= sample_rate <= 768_000:
        raise AudioError(
            f"`sample_rate` must be 1000 to 768000 samples per second, but is {sample_rate} instead; check the unit"
        )
    return source, sample_rate


def _as_samples(values: Any, name: str) -> Samples:
    """Samples as float32 (T,); refuses what cannot be one recording."""
    if isinstance(values, torch.Tensor):
        values = values.detach().to("cpu")
        values = (values.float() if values.is_floating_point() else values).numpy()
    elif isinstance(values, list | tuple) and all(isinstance(each, int | float | np.number) for each in values):
        values = np.asarray(values)
    if not isinstance(values, np.ndarray):
        raise AudioError(
            f"`{name}` must be a path, bytes, an open binary file, samples, or (samples, rate), but is "
            f"{type(values).__name__} instead; convert it, for instance with `numpy.asarray`"
        )
    if values.ndim == 2 and min(values.shape) == 1:
        values = values.reshape(-1)
    if values.ndim == 2:
        axis = int(np.argmin(values.shape))
        raise AudioError(
            f"`{name}` must be one channel, a float array (T,) in -1..1, but is {values.shape} instead; give the mean "
            f"of its channels, `x.mean(axis={axis})`, or one of them"
        )
    kind = values.dtype.name
    if values.ndim != 1 or not (np.issubdtype(values.dtype, np.floating) or kind in FULL_SCALE):
        raise AudioError(
            f"`{name}` must be samples (T,), floats in -1..1 or of type int16, int32 or uint8, but is {kind} "
            f"{values.shape} instead; convert it, for instance with `astype('int16')`"
        )
    if not len(values):
        raise AudioError(f"`{name}` must hold audio, but holds 0 samples; record it again", "empty")
    if kind in FULL_SCALE:
        centre = 128.0 if kind == "uint8" else 0.0
        values = (values.astype(np.float64) - centre) / FULL_SCALE[kind]
    samples: Samples = values.astype(np.float32, copy=False)
    if not np.isfinite(samples).all():
        raise AudioError(f"`{name}` must hold finite samples, but holds NaN or infinity; write it again", "nan")
    return samples
