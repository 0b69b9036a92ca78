"""Prepared manifests: one cut a line, in lhotse's own JSON, so that lhotse reads them too and its manifests are read.

Only plain values are parsed and dumped here; lhotse itself is not imported. What the package has no use for (features,
alignments, several supervisions) is kept in `Cut.lhotse` and dumped again; a cut without such costs half the memory.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.lines import MAX_LINE_BYTES, byte_lines
from noisewise.errors import DataError
from noisewise.files import json_value

KIND = "MonoCut"
"""lhotse's name of a cut of one recording, the only kind that is read."""


def is_lhotse(path: Path) -> bool:
    """Whether a file holds lhotse cuts: JSON lines that are compressed, or whose first names the kind."""
    if path.name.endswith(".jsonl.gz"):
        return True
    if path.suffix != ".jsonl" or not path.is_file():
        return False
    with path.open("rb") as lines:
        return f'"{KIND}"'.encode() in lines.readline(MAX_LINE_BYTES)


def cuts(path: Path) -> Iterator[tuple[int, Cut | DataError]]:
    """Yield (line, cut) of a manifest, paths resolved against its folder; a bad line comes as the error.

    Raises:
        DataError: the file cannot be read or unpacked.
    """
    for line, content in byte_lines(path):
        yield line, _cut(path, line, content)


def parse(values: dict[str, Any], folder: Path | None = None) -> Cut:
    """The cut of lhotse's plain values, which it takes over.

    Args:
        values: of a MonoCut.
        folder: what the path of the audio is relative to; None leaves it alone.

    Raises:
        ValueError: a field is missing or of the wrong type.
    """
    try:
        return _parsed(values, folder)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__} {error}") from error


def dump(cut: Cut) -> dict[str, Any]:
    """lhotse's plain values of a cut, which share nothing with it."""
    if cut.lhotse is not None:
        return {**copy.deepcopy(cut.lhotse), "id": cut.id, "start": cut.start, "duration": cut.duration}
    whole = cut.duration if cut.recording_seconds is None else cut.recording_seconds
    spoken = {
        "id": cut.id,
        "recording_id": cut.id,
        "start": 0.0,
        "duration": cut.duration,
        "channel": 0,
        "text": cut.text,
        "speaker": cut.speaker,
    }
    recording = {
        "id": cut.id,
        "sources": [{"type": "file", "channels": [0], "source": cut.path}],
        "sampling_rate": cut.sample_rate,
        "num_samples": round(whole * cut.sample_rate),
        "duration": whole,
        "channel_ids": [0],
    }
    values = {
        "id": cut.id,
        "start": cut.start,
        "duration": cut.duration,
        "channel": cut.channel,
        "supervisions": [{name: value for name, value in spoken.items() if value is not None}],
        "recording": recording,
    }
    return {**values, **({"custom": dict(cut.custom)} if cut.custom else {}), "type": KIND}


def _parsed(values: dict[str, Any], folder: Path | None) -> Cut:
    recording = values["recording"]
    source, supervisions = recording["sources"][0], values.get("supervisions") or []
    for name in ("sampling_rate", "num_samples"):
        if _number(recording[name]) <= 0:
            raise ValueError(f"{name} {recording[name]!r}")
    if folder is not None:
        source["source"] = str(folder / source["source"])
    if not recording.get("channel_ids"):
        recording["channel_ids"] = sorted({number for each in recording["sources"] for number in each["channels"]})
    if not _are_channels(recording["channel_ids"]) or not isinstance(recording.get("transforms") or [], list):
        raise ValueError("channel_ids must be whole numbers, and transforms a list")
    texts = [part["text"] for part in supervisions if part.get("text")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("the text of a supervision must be a string")
    if not values.get("custom"):
        values.pop("custom", None)
    cut = Cut(
        id=values["id"],
        path=str(source["source"]),
        start=_number(values["start"]),
        duration=_number(values["duration"]),
        text=" ".join(texts) if texts else None,
        speaker=next((str(part["speaker"]) for part in supervisions if part.get("speaker")), None),
        custom=values.get("custom") or {},
        recording_seconds=_number(recording["duration"]),
        sample_rate=int(recording["sampling_rate"]),
        channel=_channel(values["channel"]),
    )
    return cut if dump(cut) == values else replace(cut, lhotse=values)


def _channel(value: Any) -> Any:
    if not isinstance(value, int) and not _are_channels(value):
        raise TypeError(f"channel {value!r} must be a whole number, or a list of them")
    return value


def _are_channels(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(isinstance(number, int) for number in numbers)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} must be a number")
    return value


def _cut(path: Path, line: int, content: bytes) -> Cut | DataError:
    where = f"`{path}`, line {line}:"
    try:
        values: Any = json_value(content)
    except ValueError as error:
        return DataError(f"{where} must be JSON lines, but is not: {error}; prepare it again")
    kind = values.get("type") if isinstance(values, dict) else type(values).__name__
    if kind != KIND:
        return DataError(f"{where} must be a {KIND}, but is {kind!r} instead")
    if not _has_file(values.get("recording")):
        return DataError(f"{where} must have an audio file, but {values.get('id')!r} has none")
    try:
        return parse(values, path.parent)
    except ValueError as error:
        reason = " ".join(str(error).split())
        return DataError(f"{where} must hold the fields of a {KIND}, but does not: {reason}; prepare it again")


def _has_file(recording: Any) -> bool:
    """Whether the first source of a recording is a file, as far as one can tell without trusting its types."""
    sources = recording.get("sources") if isinstance(recording, Mapping) else None
    first = sources[0] if isinstance(sources, list) and sources else None
    return isinstance(first, Mapping) and first.get("type") == "file"
