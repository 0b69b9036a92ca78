"""What the project asks of one lhotse cut: its file, its columns, its samples."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np
from lhotse import MonoCut
from lhotse.audio.utils import AudioLoadingError, DurationMismatchError
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.manifests.shard_bytes import fetch, is_address
from noisewise.errors import AudioError


def text_of(cut: MonoCut) -> str | None:
    """The transcript as it stands in the manifest, or None."""
    texts = [part.text for part in cut.supervisions if part.text]
    return " ".join(texts) if texts else None


def column(cut: MonoCut, name: str) -> str | None:
    """The value of a table column: `speaker`, `text`, or an entry of `cut.custom`."""
    if name == "text":
        return text_of(cut)
    if name == "speaker":
        return next((str(part.speaker) for part in cut.supervisions if part.speaker), None)
    value = (cut.custom or {}).get(name)
    return None if value is None else str(value)


def path_of(cut: MonoCut) -> str:
    """The audio file of a cut."""
    return str(cut.recording.sources[0].source)


def audio_of(cut: MonoCut) -> str | BinaryIO:
    """What `waveform.load` can open: the path, or the bytes of a recording in a shard, which are fetched.

    Raises:
        AudioError: the bytes cannot be had, or the path is a pipe or a device.
    """
    path = path_of(cut)
    if is_address(path):
        return fetch(path)
    must_be_file(path)
    return path


def must_be_file(path: str | Path) -> None:
    """Refuse a pipe, a socket or a device, which would keep whoever opens it waiting; whether the rest is audio shows.

    Raises:
        AudioError: it is one.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
        raise AudioError(f"`{path}` must be an audio file, but is a {kind} instead; remove it", path=str(path))


def load_audio(cut: MonoCut, *, sample_rate: int = SAMPLE_RATE, allow_silent: bool = False) -> NDArray[np.float32]:
    """The samples of a cut, (T,) float32 mono at 16 kHz, or at another rate for those who hear another.

    lhotse reads cuts of recordings that name several channels, or transforms; all others are read here.

    Raises:
        AudioError: the file is missing, broken, empty, silent, or not finite.
    """
    if needs_lhotse(cut):
        return _loaded_by_lhotse(cut, sample_rate)
    offset, duration = (0.0, None) if is_whole(cut) else (cut.start, cut.duration)
    return waveform.load(
        audio_of(cut), sample_rate=sample_rate, offset=offset, duration=duration, allow_silent=allow_silent
    )


def needs_lhotse(cut: MonoCut) -> bool:
    """Whether the recording names several channels, or transforms, which lhotse applies."""
    return bool(cut.recording.transforms or cut.recording.num_channels > 1)


def is_whole(cut: MonoCut) -> bool:
    """Whether the cut is all of its recording."""
    return bool(cut.start == 0 and abs(cut.duration - cut.recording.duration) < 1e-4)


def _loaded_by_lhotse(cut: MonoCut, sample_rate: int) -> NDArray[np.float32]:
    path = path_of(cut)
    must_be_file(path)
    try:
        samples: NDArray[np.float32] = cut.resample(sample_rate).load_audio()[0].astype(np.float32)
    except (AudioLoadingError, DurationMismatchError, AssertionError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise AudioError(f"`{path}` must be audio that lhotse can read, but is not: {reason}", path=path) from error
    if not np.isfinite(samples).all():
        raise AudioError(f"`{path}` must hold finite samples, but holds NaN or infinity", "nan", path)
    return samples
