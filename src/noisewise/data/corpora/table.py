"""A user's own corpus: a folder with `manifest.tsv`, a TSV, CSV or JSONL table, or a plain folder of audio.

    path	duration_seconds	speaker	split	text
    flac/train/fash/an251-fash-b.flac	1.0000	fash	train	YES

Only `path` is required; it is relative to the table. `duration_seconds`, `speaker` and `text` have a
meaning; every other column (`split`, `label`, ...) is kept in `cut.custom`. TSV is read without quoting, CSV
with.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource

from noisewise.audio import waveform
from noisewise.audio.waveform import SAMPLE_RATE, AudioError
from noisewise.data.cuts import ManifestError

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif", ".au", ".sph", ".m4a", ".webm"}
)
UNKNOWN_SECONDS = 1.0
"""Stands for the duration of a file whose header cannot be read; the loader will report the file as
skipped."""


def read_folder(folder: Path) -> list[MonoCut]:
    """Read `manifest.tsv` of a folder, or take every audio file under it.

    Raises:
        ManifestError: no audio in the folder, or a malformed table.
    """
    if (folder / "manifest.tsv").is_file():
        return read_table(folder / "manifest.tsv")
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()
    )
    if not files:
        raise ManifestError(
            f"`{folder}` must hold manifest.tsv or audio files, but has neither; check the path"
        )
    return _cuts(
        folder, folder, enumerate(({"path": path.relative_to(folder).as_posix()} for path in files), start=1)
    )


def read_table(path: Path) -> list[MonoCut]:
    """Read a TSV, CSV or JSONL table.

    Raises:
        ManifestError: an unknown suffix, no `path` column, a row with a wrong number of fields, a repeated
        path.
    """
    return _cuts(path, path.parent, rows(path))


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, row) of a table, each row checked to have a `path`."""
    match path.suffix.lower():
        case ".tsv":
            found = _tsv(path)
        case ".csv":
            found = _csv(path)
        case ".jsonl":
            found = _jsonl(path)
        case other:
            raise ManifestError(f"`{path}` must end in .tsv, .csv or .jsonl, but ends in '{other}' instead")
    for line, row in found:
        if not isinstance(row.get("path"), str) or not row["path"]:
            raise ManifestError(
                f"`{path}`, line {line}: must have a `path`, but has {sorted(map(str, row))} instead"
            )
        yield line, row


def cut_of(row: dict[str, Any], folder: Path) -> MonoCut:
    """Build the cut of one row; an unreadable file gets the duration of the table, or a nominal one.

    The rate, length and channels are those of the file header, so that lhotse's own tools can use the cut
    too.
    """
    name = cut_id(row["path"])
    recording = _recording(name, folder / row["path"], row.get("duration_seconds"))
    known = {"path", "duration_seconds", "speaker", "text"}
    spoken = SupervisionSegment(
        id=name,
        recording_id=name,
        start=0.0,
        duration=recording.duration,
        text=None if row.get("text") in (None, "") else str(row["text"]),
        speaker=None if row.get("speaker") in (None, "") else str(row["speaker"]),
    )
    custom = {key: value for key, value in row.items() if key not in known and value not in (None, "")}
    return MonoCut(
        id=name,
        start=0.0,
        duration=recording.duration,
        channel=0,
        supervisions=[spoken],
        recording=recording,
        custom=custom or None,
    )


def cut_id(path: str) -> str:
    """The relative path without its suffix, with forward slashes."""
    return str(PurePosixPath(path.replace("\\", "/")).with_suffix(""))


def _recording(name: str, path: Path, seconds: object) -> Recording:
    try:
        found = waveform.info(path)
        rate, samples, channels = found.sample_rate, found.samples, found.channels
    except AudioError:
        rate, channels = SAMPLE_RATE, 1
        samples = round(_positive(seconds) * SAMPLE_RATE)
    return Recording(
        id=name,
        sources=[AudioSource(type="file", channels=list(range(channels)), source=str(path))],
        sampling_rate=rate,
        num_samples=samples,
        duration=samples / rate,
    )


def _positive(seconds: object) -> float:
    try:
        value = float(str(seconds))
    except ValueError:
        return UNKNOWN_SECONDS
    return value if 0 < value < float("inf") else UNKNOWN_SECONDS


def _cuts(source: Path, folder: Path, found: Iterator[tuple[int, dict[str, Any]]]) -> list[MonoCut]:
    lines: dict[str, int] = {}
    cuts = []
    for line, row in found:
        name = cut_id(row["path"])
        if name in lines:
            raise ManifestError(
                f"`{source}`, line {line}: must name each file once, but '{row['path']}' has the id of "
                f"line {lines[name]}; remove one"
            )
        lines[name] = line
        cuts.append(cut_of(row, folder))
    return cuts


def _tsv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        names = next(lines, "").rstrip("\r\n").split("\t")
        for line, text in enumerate(lines, start=2):
            if text.strip():
                yield line, _row(path, line, names, text.rstrip("\r\n").split("\t"))


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines)
        names = next(reader, [])
        for fields in reader:
            if fields:
                yield reader.line_num, _row(path, reader.line_num, names, fields)


def _row(path: Path, line: int, names: list[str], fields: list[str]) -> dict[str, Any]:
    if len(fields) != len(names):
        raise ManifestError(
            f"`{path}`, line {line}: must have {len(names)} fields, but has {len(fields)} instead"
        )
    return dict(zip(names, fields, strict=True))


def _jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as lines:
        for line, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except json.JSONDecodeError as error:
                raise ManifestError(f"`{path}`, line {line}: must be JSON, but is not: {error}") from error
            if not isinstance(row, dict):
                raise ManifestError(f"`{path}`, line {line}: must be a JSON object, but is {row!r} instead")
            yield line, row
