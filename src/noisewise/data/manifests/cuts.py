"""A cut: a recording of a manifest, or a part of one, with its text and columns; and its samples.

The noun is lhotse's, and so is the format of prepared manifests (see `noisewise.data.manifests.lhotse_format`), but
the class is of this package: tables, folders and prepared manifests are read, mixed and measured without lhotse. It is
needed for recordings that name several channels or transforms alone.
"""

import copy
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.manifests.shard_bytes import fetch, is_address
from noisewise.errors import AudioError, DataError

WHOLE_SLACK_SECONDS = 1e-4
"""How much shorter than its recording a cut may be and still be all of it: durations were rounded."""
LONGEST_SECONDS = 1e9
"""Bound of times, three decades: what is beyond is no time of a recording."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A recording, or a part of one.

    Raises:
        ValueError: the id is no string, the part begins before the recording or has no length, or the columns are no
            mapping.
    """

    id: str
    """Id of the cut, unique in its manifest: the relative path of the file without its suffix."""
    path: str
    """Audio file, or the address of a recording in a shard."""
    duration: float
    """Length of the cut in seconds."""
    start: float = 0.0
    """Beginning of the cut in its recording, in seconds."""
    text: str | None = None
    """Transcript as it is in the manifest, not normalised; None where there is none."""
    speaker: str | None = None
    """Name of the speaker; None where the manifest names nobody."""
    custom: Mapping[str, Any] = field(default_factory=dict)
    """Further columns: `split`, `label`, ..."""
    recording_seconds: float | None = None
    """Length of the whole recording in seconds; that of the cut when None."""
    sample_rate: int = SAMPLE_RATE
    """Samples per second of the file, by its header."""
    channel: int | list[int] = 0
    """Channel of the recording, or several, as lhotse counts them; a file of several is one channel here, their mean,
    unless a lhotse manifest names them."""
    lhotse: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    """Plain values of the lhotse cut that this one was read from; None for the row of a table, and where they hold
    nothing more."""

    def __post_init__(self) -> None:
        if not (isinstance(self.id, str) and 0 <= self.start < LONGEST_SECONDS and 0 < self.duration < LONGEST_SECONDS):
            raise ValueError(f"id {self.id!r}, start {self.start!r}, duration {self.duration!r}")
        if not isinstance(self.custom, Mapping) or not isinstance(self.text or "", str):
            raise ValueError("custom must be an object, and the text of a supervision a string")

    @property
    def is_whole(self) -> bool:
        """Whether the cut is all of its recording."""
        whole = self.duration if self.recording_seconds is None else self.recording_seconds
        return self.start == 0 and abs(self.duration - whole) < WHOLE_SLACK_SECONDS

    @property
    def channels(self) -> int:
        """Number of channels that the recording names; 1 for the row of a table, whatever is in the file."""
        return 1 if self.lhotse is None else len(self.lhotse["recording"]["channel_ids"])

    @property
    def needs_lhotse(self) -> bool:
        """Whether the recording names several channels, or transforms, which lhotse applies."""
        return self.channels > 1 or bool(self.lhotse and self.lhotse["recording"].get("transforms"))

    def with_id(self, name: str) -> "Cut":
        """The same cut under another id."""
        return replace(self, id=name)


def text_of(cut: Cut) -> str | None:
    """The transcript as it is in the manifest, or None."""
    return cut.text


def column(cut: Cut, name: str) -> str | None:
    """The value of a table column: `speaker`, `text`, or one of `cut.custom`."""
    if name in ("text", "speaker"):
        found: str | None = getattr(cut, name)
        return found
    value = cut.custom.get(name)
    return None if value is None else str(value)


def path_of(cut: Cut) -> str:
    """The audio file of a cut."""
    return cut.path


def audio_of(cut: Cut) -> str | BinaryIO:
    """What `waveform.load` can open: the path, or the bytes of a recording in a shard, which are fetched.

    Raises:
        AudioError: the bytes cannot be had, or the path is a pipe or a device.
    """
    if is_address(cut.path):
        return fetch(cut.path)
    must_be_file(cut.path)
    return cut.path


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


def inside(name: str) -> str:
    """An id as the name of a file that lies in the folder or the archive it is written to: relative, without `..`.

    Raises:
        DataError: nothing is left of it.

    Example:
        >>> inside("/data/../an4/u1")
        'data/an4/u1'
    """
    parts = [part for part in re.split(r"[/\\\0]", name) if part not in ("", ".", "..")]
    if not parts:
        raise DataError(f"the id '{name}' must name a file inside a folder, but does not; rename the entry")
    return "/".join(parts)


def load_audio(cut: Cut, *, sample_rate: int = SAMPLE_RATE, allow_silent: bool = False) -> NDArray[np.float32]:
    """The samples of a cut, (T,) float32 mono.

    lhotse reads cuts of recordings that name several channels, or transforms; all others are read here.

    Args:
        cut: what to read.
        sample_rate: samples per second of the result.
        allow_silent: accept a cut without any sound.

    Raises:
        AudioError: the file is missing, broken, empty, silent, or not finite.
    """
    if cut.needs_lhotse:
        return _loaded_by_lhotse(cut, sample_rate)
    offset, duration = (0.0, None) if cut.is_whole else (cut.start, cut.duration)
    return waveform.load(
        audio_of(cut), sample_rate=sample_rate, offset=offset, duration=duration, allow_silent=allow_silent
    )


def _loaded_by_lhotse(cut: Cut, sample_rate: int) -> NDArray[np.float32]:
    from lhotse import CutSet
    from lhotse.audio.utils import AudioLoadingError, DurationMismatchError

    must_be_file(cut.path)
    try:
        values = {**copy.deepcopy(cut.lhotse or {}), "id": cut.id, "start": cut.start, "duration": cut.duration}
        found = next(iter(CutSet.from_dicts([values])))
        samples: NDArray[np.float32] = found.resample(sample_rate).load_audio()[0].astype(np.float32)
    except (AudioLoadingError, DurationMismatchError, AssertionError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise AudioError(
            f"`{cut.path}` must be audio that lhotse can read, but is not: {reason}", path=cut.path
        ) from error
    if not np.isfinite(samples).all():
        raise AudioError(f"`{cut.path}` must hold finite samples, but holds NaN or infinity", "nan", cut.path)
    return samples
