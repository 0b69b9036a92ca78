"""Tags of recordings, and their written forms: text, json, csv, tsv.

Legend: K classes.
"""

import csv
import io
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisewise.config import within
from noisewise.errors import ConfigError, DataError, Reason
from noisewise.safe_text import csv_cell, terminal

Probabilities = NDArray[np.float32]
TOP = 5
"""Number of labels that are written, at most."""


@dataclass(frozen=True)
class Tag:
    """A label of a sound."""

    label: str
    """Name of the class."""
    probability: float
    """Probability of the class, from 0 to 1."""


@dataclass(frozen=True)
class TaggedWindow:
    """The likeliest labels of a part of a recording."""

    start: float
    """Start in seconds from the beginning of the recording."""
    end: float
    """End in seconds from the beginning of the recording."""
    tags: list[Tag]
    """Labels, the likeliest first."""


@dataclass(frozen=True)
class Sounds:
    """The likeliest labels of a recording and of each of its windows, likeliest first."""

    tags: list[Tag]
    """Labels over the whole recording, the likeliest first."""
    windows: list[TaggedWindow]
    """Labels of each window, in the order of time."""


@dataclass(frozen=True)
class Window:
    """Output of a tagger for a part of a recording."""

    start: float
    """Start in seconds from the beginning of the recording."""
    end: float
    """End in seconds from the beginning of the recording."""
    probabilities: Probabilities
    """Probabilities of the classes. (K,)"""


@dataclass(frozen=True)
class Tags:
    """Output of a tagger for one recording, or the reason why there is none."""

    source: str
    """Path of the recording, or `waveform N` for the N-th array of a call."""
    labels: list[str]
    """Names of the classes."""
    probabilities: Probabilities
    """Probabilities of the classes over the whole recording; empty if there is an error. (K,)"""
    windows: list[Window] = field(default_factory=list)
    """Windows of the recording, in the order of time."""
    duration: float = 0.0
    """Duration of the audio in seconds."""
    error: str | None = None
    """A sentence that says what is wrong with the recording; None when it was tagged."""
    reason: Reason | None = None
    """The same in one word, as `AudioError.reason`."""

    @property
    def has_failed(self) -> bool:
        """Whether there are no tags; `error` says why."""
        return self.error is not None

    def __getitem__(self, index: int) -> "Tags":
        """Itself as `[0]`: `tag` gave a list for one source up to version 0.2."""
        if index not in (0, -1):
            raise IndexError(index)
        warnings.warn("`tag` gives one Tags for one source; leave out `[0]`", DeprecationWarning, 2)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        values = {**vars(self), "probabilities": self.probabilities.tolist()}
        values["windows"] = [{**vars(each), "probabilities": each.probabilities.tolist()} for each in self.windows]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Tags":
        """Tags from what `to_dict` gave.

        Raises:
            DataError: they are not the values of tags.
        """
        try:
            windows = [
                Window(float(each["start"]), float(each["end"]), np.asarray(each["probabilities"], np.float32))
                for each in values["windows"]
            ]
            probabilities = np.asarray(values["probabilities"], np.float32)
            return cls(**{**values, "probabilities": probabilities, "windows": windows})
        except (TypeError, KeyError, ValueError) as error:
            raise DataError(f"`values` must be those of `Tags.to_dict`, but are not: {error}") from error

    def sounds(self, top: int = TOP, threshold: float = 0.0) -> Sounds:
        """The likeliest labels, those of equal probability in the order of the classes.

        Args:
            top: at most so many of the recording, and of each window.
            threshold: leave out less likely ones.

        Raises:
            ConfigError: `top` is no count, or `threshold` no probability.

        Example:
            >>> tags = Tags("a.wav", ["dog", "rain", "siren"], np.array([0.1, 0.7, 0.2], np.float32))
            >>> spelled(tags.sounds(top=2).tags)
            'rain 0.70, siren 0.20'
        """
        _check_choice(top, threshold)
        windows = [
            TaggedWindow(each.start, each.end, self._likeliest(each.probabilities, top, threshold))
            for each in self.windows
        ]
        return Sounds(self._likeliest(self.probabilities, top, threshold), windows)

    def _likeliest(self, probabilities: Probabilities, top: int, threshold: float) -> list[Tag]:
        order = np.argsort(-probabilities, kind="stable")[:top]
        return [
            Tag(self.labels[place], float(probabilities[place])) for place in order if probabilities[place] >= threshold
        ]


def render(found: Sequence[Tags], form: str, top: int = TOP, threshold: float = 0.0) -> str:
    """Write recordings as one document.

    Args:
        found: any number.
        form: a key of `WRITERS`.
        top: as in `Tags.sounds`.
        threshold: as in `Tags.sounds`.

    Raises:
        ConfigError: an unknown form, or as `Tags.sounds`.
    """
    if form not in WRITERS:
        raise ConfigError(f"format must be one of {', '.join(WRITERS)}, but is '{form}' instead")
    _check_choice(top, threshold)
    return WRITERS[form]([(each, each.sounds(top, threshold)) for each in found])


def _check_choice(top: int, threshold: float) -> None:
    """Refuse what chooses no labels."""
    within(1, math.inf, top=top)
    within(0, 1, threshold=threshold)


def spelled(tags: Sequence[Tag]) -> str:
    """Labels with their probabilities on one line: `rain 0.62, dog 0.11`."""
    return ", ".join(f"{' '.join(tag.label.split())} {tag.probability:.2f}" for tag in tags)


def _text(found: Sequence[tuple[Tags, Sounds]]) -> str:
    """A line for each recording that could be used, then one for each of its windows if there are several."""
    lines = []
    for each, sounds in found:
        if each.error is None:
            lines.append(f"{' '.join(each.source.split())}\t{spelled(sounds.tags)}")
            several = sounds.windows if len(sounds.windows) > 1 else []
            lines += [f"  {one.start:8.2f} to {one.end:8.2f} s\t{spelled(one.tags)}" for one in several]
    return terminal("".join(line + "\n" for line in lines))


def _json(found: Sequence[tuple[Tags, Sounds]]) -> str:
    """Everything that is not left out; times in seconds."""
    recordings = [
        {"source": each.source, "duration": each.duration, **asdict(sounds), "error": each.error}
        for each, sounds in found
    ]
    return terminal(json.dumps({"recordings": rounded(recordings)}, indent=2, ensure_ascii=False)) + "\n"


def _csv(found: Sequence[tuple[Tags, Sounds]]) -> str:
    """A row for each label of a recording (`of` is "recording"), then of each of its windows (`of` is "window")."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([csv_cell(cell) for cell in row] for row in _rows(found))
    return written.getvalue()


def _tsv(found: Sequence[tuple[Tags, Sounds]]) -> str:
    """The same with tabs, and no quotes; `path` is the column that `noisewise prepare table` reads."""
    return "".join("\t".join(csv_cell(" ".join(cell.split())) for cell in row) + "\n" for row in _rows(found))


def _rows(found: Sequence[tuple[Tags, Sounds]]) -> Iterator[tuple[str, ...]]:
    yield ("path", "of", "start", "end", "label", "probability", "error")
    for each, sounds in found:
        if each.error is not None:
            yield (each.source, "recording", "", "", "", "", each.error)
        whole = TaggedWindow(0.0, each.duration, sounds.tags)
        for kind, part in (("recording", whole), *(("window", window) for window in sounds.windows)):
            for tag in part.tags:
                times = (f"{part.start:.3f}", f"{part.end:.3f}")
                yield (each.source, kind, *times, tag.label, f"{tag.probability:.4f}", "")


WRITERS: dict[str, Callable[[Sequence[tuple[Tags, Sounds]]], str]] = {
    "text": _text,
    "json": _json,
    "csv": _csv,
    "tsv": _tsv,
}


def rounded(value: object) -> object:
    """Plain values with floats cut to what they mean: four decimals."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value
