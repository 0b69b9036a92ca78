"""Tables as manifests: a folder with `manifest.tsv`, a TSV, CSV or JSONL table, or a plain folder of audio.

    path	duration_seconds	speaker	split	text
    flac/train/fash/an251-fash-b.flac	1.0000	fash	train	YES

Only `path` is required; it is relative to the table. `duration_seconds`, `speaker` and `text` have a
meaning; every other column (`split`, `label`, ...) is kept in `cut.custom`. TSV is read without quoting, CSV
with.
"""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from noisewise.audio import waveform
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.manifests.cuts import Cut, must_be_file
from noisewise.data.manifests.spool import IdIndex
from noisewise.errors import AudioError, DataError

Row = dict[str, Any]

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif", ".au", ".sph", ".m4a", ".webm"})
UNKNOWN_SECONDS = 1.0
"""Stands for the duration of a file whose header cannot be read; the loader will report the file as
skipped."""


def cuts(source: Path) -> Iterator[tuple[int, Cut | DataError]]:
    """Yield (line, cut) of a table or of a plain folder; a row that cannot be used comes as the error.

    Raises:
        DataError: no audio in the folder, an unknown suffix, or a table that is not text.
    """
    for line, row in entries(source):
        yield line, row if isinstance(row, DataError) else cut_of(row, folder_of(source))


def table_of(source: Path) -> Path:
    """The table of a source: the file itself, `manifest.tsv` of a folder, or else the folder."""
    return source / "manifest.tsv" if (source / "manifest.tsv").is_file() else source


def entries(source: Path) -> Iterator[tuple[int, Row | DataError]]:
    """Yield (line, row) of a table or of a plain folder; a row that cannot be used comes as the error.

    Raises:
        DataError: the whole source cannot be read.
    """
    with IdIndex() as names:
        for line, row in _rows(source):
            if not isinstance(row, DataError):
                row = _checked(source, line, row, names)
            yield line, row


def folder_of(source: Path) -> Path:
    """The folder that paths are relative to."""
    return source if source.is_dir() else source.parent


def _rows(source: Path) -> Iterator[tuple[int, Row | DataError]]:
    if source.is_dir():
        yield from _files(source)
        return
    readers = {".tsv": _tsv, ".csv": _csv, ".jsonl": _jsonl}
    if source.suffix.lower() not in readers:
        raise DataError(f"`{source}` must end in .tsv, .csv or .jsonl, but ends in '{source.suffix}' instead")
    try:
        with source.open(encoding="utf-8-sig", newline="" if source.suffix.lower() == ".csv" else "\n") as lines:
            yield from readers[source.suffix.lower()](source, lines)
    except UnicodeDecodeError as error:
        raise DataError(f"`{source}` must be UTF-8 text, but is not: {error}; save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"`{source}` must be CSV, but is not: {error}; write it again") from error
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"`{source}` must be a table, but cannot be read: {error}") from error


def _checked(source: Path, line: int, row: Row, names: IdIndex) -> Row | DataError:
    path = row.get("path")
    if not isinstance(path, str) or not path:
        return DataError(f"`{source}`, line {line}: must have a `path`, but has {sorted(map(str, row))} instead")
    if not PurePosixPath(path.replace("\\", "/")).name or "\0" in path:
        return DataError(f"`{source}`, line {line}: `path` must name a file, but is {path!r} instead")
    first = names.first(cut_id(path), line)
    if first is not None:
        return DataError(
            f"`{source}`, line {line}: must name each file once, but '{path}' has the id of line {first}; remove one"
        )
    return row


def cut_of(row: Row, folder: Path) -> Cut:
    """Build the cut of one row; an unreadable file gets the duration of the table, or a nominal one.

    Rate and length are those of the file header. A file of several channels is one channel here, their mean,
    as everywhere in the package.
    """
    path = folder / row["path"]
    try:
        rate, samples = _measured(path)
    except AudioError:
        rate, samples = SAMPLE_RATE, max(1, round(_positive(row.get("duration_seconds")) * SAMPLE_RATE))
    known = {"path", "duration_seconds", "speaker", "text"}
    return Cut(
        id=cut_id(row["path"]),
        path=str(path),
        duration=samples / rate,
        text=_filled(row.get("text")),
        speaker=_filled(row.get("speaker")),
        custom={key: value for key, value in row.items() if key not in known and value not in (None, "")},
        recording_seconds=samples / rate,
        sample_rate=rate,
    )


def cut_id(path: str) -> str:
    """The relative path without its suffix, with forward slashes."""
    return str(PurePosixPath(path.replace("\\", "/")).with_suffix(""))


def _filled(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _measured(path: Path) -> tuple[int, int]:
    """Rate and samples as the header has them; a header without a length makes it be decoded, in blocks."""
    must_be_file(path)
    found = waveform.info(path)
    if found.samples > 0:
        return found.sample_rate, found.samples
    limit = waveform.MAX_SECONDS
    blocks = waveform.stream(path, block_seconds=10, sample_rate=found.sample_rate, max_seconds=limit)
    return found.sample_rate, sum(map(len, blocks))


def _positive(seconds: object) -> float:
    try:
        value = float(str(seconds))
    except ValueError:
        return UNKNOWN_SECONDS
    return value if 0 < value < float("inf") else UNKNOWN_SECONDS


def _files(folder: Path) -> Iterator[tuple[int, Row | DataError]]:
    number = 0
    for number, path in enumerate(_audio_below(folder), start=1):
        yield number, {"path": path.relative_to(folder).as_posix()}
    if not number:
        raise DataError(f"`{folder}` must hold manifest.tsv or audio files, but has neither; check the path")


def _audio_below(folder: Path) -> Iterator[Path]:
    """The audio files below a folder in the order of their paths, one folder in memory at a time; hidden ones are not
    input: what a killed program has left, or the notes that other systems keep beside files."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except PermissionError:
        return
    for path in (folder / name for name in names):
        if path.is_dir():
            if not path.is_symlink():
                yield from _audio_below(path)
        elif path.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
            yield path


def _tsv(path: Path, lines: TextIO) -> Iterator[tuple[int, Row | DataError]]:
    names = next(lines, "").rstrip("\n").rstrip("\r").split("\t")
    for line, content in enumerate(lines, start=2):
        if content.strip():
            yield line, _row(path, line, names, content.rstrip("\n").rstrip("\r").split("\t"))


def _csv(path: Path, lines: TextIO) -> Iterator[tuple[int, Row | DataError]]:
    reader = csv.reader(lines)
    names = next(reader, [])
    for fields in reader:
        if fields:
            yield reader.line_num, _row(path, reader.line_num, names, fields)


def _row(path: Path, line: int, names: list[str], fields: list[str]) -> Row | DataError:
    if len(fields) != len(names):
        return DataError(f"`{path}`, line {line}: must have {len(names)} fields, but has {len(fields)} instead")
    return dict(zip(names, fields, strict=True))


def _jsonl(path: Path, lines: TextIO) -> Iterator[tuple[int, Row | DataError]]:
    for line, content in enumerate(lines, start=1):
        if content.strip():
            yield line, _object(path, line, content)


def _object(path: Path, line: int, content: str) -> Row | DataError:
    try:
        row = json.loads(content)
    except (ValueError, RecursionError) as error:
        return DataError(f"`{path}`, line {line}: must be JSON, but is not: {error}")
    if not isinstance(row, dict):
        return DataError(f"`{path}`, line {line}: must be a JSON object, but is {row!r} instead")
    return row
