"""From an uploaded file to samples, within the bounds of the server.

Legend: T samples.
"""

import time
from dataclasses import dataclass
from math import isnan
from typing import Any, BinaryIO, cast

import numpy as np

from noisewise.audio import waveform
from noisewise.audio.files.open import printable
from noisewise.audio.files.protocol import Samples
from noisewise.audio.waveform import SAMPLE_RATE, SILENCE, AudioInfo
from noisewise.errors import AudioError
from noisewise.inference.windowing import MIN_SECONDS
from noisewise.safe_text import shortened, terminal
from noisewise.serving.api_error import ApiError, api_error, too_large
from noisewise.serving.limits import Limits

BLOCK_SECONDS = 10.0
"""Audio that is decoded between two looks at the clock."""


@dataclass(frozen=True)
class DecodedRecording:
    """A recording as a model takes it."""

    name: str
    """Name of the file."""
    samples: Samples
    """All channels as one, at 16 kHz. (T,)"""
    fault: str | None = None
    """What is missing at its end; None when nothing is."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def is_silent(self) -> bool:
        """Whether it holds no sound at all: there are no words in it."""
        return float(np.ptp(self.samples)) / 2 < SILENCE


def decode(file: BinaryIO, name: str, limits: Limits, deadline: float = float("inf")) -> DecodedRecording:
    """Decode a file, its channels mixed.

    Args:
        file: open, and searchable.
        name: for messages.
        limits: bounds of seconds and samples.
        deadline: as `time.monotonic` counts; decoding ends there.

    Raises:
        ApiError: it is no audio, too short, or exceeds a bound.
    """
    name = shortened(terminal(printable(name or "file")), 100)
    upload = cast(BinaryIO, _NamedFile(file, name))
    try:
        found = waveform.info(upload, allow_truncated=True)
        _check_declared(found, name, limits)
        samples, fault = _samples(upload, name, found, limits, deadline)
    except AudioError as error:
        raise api_error(error) from error
    seconds = len(samples) / SAMPLE_RATE
    if seconds < MIN_SECONDS:
        what = f"`{name}` must last {MIN_SECONDS:g} s or more, but lasts {seconds:.3f} s instead"
        raise ApiError(what, "audio_too_short", param="file")
    return DecodedRecording(name, samples, fault)


def _check_declared(found: AudioInfo, name: str, limits: Limits) -> None:
    """Refuse a recording whose header states more than may be decoded, before anything of it is."""
    if isnan(found.seconds):
        return
    if found.seconds > limits.declared_seconds:
        raise too_large(
            f"`{name}` must last {limits.declared_seconds:g} s at most (--declared-seconds), but its header states "
            f"{found.seconds:.1f} s; cut it",
            "declared_audio_too_long",
        )
    if found.samples * found.channels > limits.decoded_samples:
        raise _too_many_samples(name, limits)


def _samples(
    file: BinaryIO, name: str, found: AudioInfo, limits: Limits, deadline: float
) -> tuple[Samples, str | None]:
    """Samples (T,) of all that is there, and what is missing."""
    by_samples = limits.decoded_samples / (found.sample_rate * found.channels)
    most = min(limits.decoded_seconds, by_samples)
    blocks: list[Samples] = []
    fault: str | None = None
    try:
        for block in waveform.stream(file, block_seconds=BLOCK_SECONDS, max_seconds=most):
            blocks.append(block)
            if time.monotonic() > deadline:
                raise ApiError(f"`{name}` took too long to decode (--request-seconds); cut it", "timeout", status=503)
    except AudioError as error:
        if error.reason == "too_long":
            raise (_too_many_samples(name, limits) if by_samples == most else _too_long(name, limits)) from error
        if error.reason != "truncated" or not blocks:
            raise
        fault = str(error)
    return (np.concatenate(blocks) if blocks else np.zeros(0, np.float32)), fault


def _too_long(name: str, limits: Limits) -> ApiError:
    what = f"`{name}` must last {limits.decoded_seconds:g} s at most (--decoded-seconds), but lasts longer; cut it"
    return too_large(what, "audio_too_long")


def _too_many_samples(name: str, limits: Limits) -> ApiError:
    return too_large(
        f"`{name}` must hold {limits.decoded_samples} samples at most, of all channels (--decoded-samples), but holds "
        "more; cut or resample it",
        "too_many_samples",
    )


class _NamedFile:
    """An open file under the name that its sender gave it; closing it is its owner's."""

    def __init__(self, file: BinaryIO, name: str):
        self._file, self.name = file, name

    def close(self) -> None:
        """Leave it open: it is read more than once."""

    def seekable(self) -> bool:
        """True."""
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
