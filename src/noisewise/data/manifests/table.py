"""Tables as manifests: a folder with `manifest.tsv`, a table, or a folder in one of the layouts that people have.

    path	duration_seconds	speaker	split	text
    flac/train/fash/an251-fash-b.flac	1.0000	fash	train	YES

Only `path` is required; it is relative to the table. `duration_seconds`, `speaker` and `text` have a
meaning, and with `start_seconds` a row is a part of its recording; every other column (`split`, `label`, ...) is kept
in `cut.custom`. Other names of columns are in `noisewise.data.manifests.columns`, ways to write a table in
`noisewise.data.manifests.delimited` and `records`, layouts in `folders`.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from noisewise.audio import waveform
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.manifests import folders
from noisewise.data.manifests.audio_files import located
from noisewise.data.manifests.columns import CUT_ID, PARTS, Columns, Row, listed
from noisewise.data.manifests.cuts import LONGEST_SECONDS, Cut, must_be_file
from noisewise.data.manifests.lines import one_line
from noisewise.data.manifests.spool import IdIndex
from noisewise.errors import AudioError, DataError

UNKNOWN_SECONDS = 1.0
"""Stands for the duration of a file whose header cannot be read; the loader will report the file as
skipped."""
LONGEST_NAME, LONGEST_PATH = 255, 4096
"""Bytes of a name, and characters of a path, that file systems have at most."""
KNOWN = {"path", "speaker", "text", CUT_ID, *PARTS}


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


def entries(source: Path, columns: Columns | None = None) -> Iterator[tuple[int, Row | DataError]]:
    """Yield (line, row) of a table or of a folder; a row that cannot be used comes as the error.

    Args:
        source: file or folder.
        columns: names of this package to those of the table, where they cannot be told: `{"path": "sound"}`.

    Raises:
        DataError: the whole source cannot be read.
    """
    with IdIndex() as names:
        for line, row in _rows(source, columns):
            if not isinstance(row, DataError):
                row = _checked(source, line, row, names)
            yield line, row


def folder_of(source: Path) -> Path:
    """The folder that paths are relative to."""
    return source if source.is_dir() else source.parent


def _rows(source: Path, columns: Columns | None) -> Iterator[tuple[int, Row | DataError]]:
    if source.is_dir():
        yield from folders.rows(source, columns)
        return
    suffix = source.suffix.lower()
    if suffix not in folders.READERS:
        known = ", ".join(sorted(folders.READERS))
        raise DataError(f"`{source}` must be a table ({known}), but ends in '{suffix}' instead; save it as CSV")
    for line, row in folders.READERS[suffix](source, columns):
        if isinstance(row, dict) and isinstance(path := row.get("path"), str) and path and "\0" not in path:
            row["path"] = located(source.parent, path)
        yield line, row


def _checked(source: Path, line: int, row: Row, names: IdIndex) -> Row | DataError:
    where = f"`{source}`, line {line}:"
    path = row.get("path")
    if not isinstance(path, str) or not path:
        return DataError(f"{where} must have a `path`, but has {listed(sorted(map(str, row)))} instead")
    if not PurePosixPath(path.replace("\\", "/")).name or "\0" in path:
        return DataError(f"{where} `path` must name a file, but is {path[:80]!r} instead")
    if one_line(path) != path:
        return DataError(f"{where} `path` must be a name in UTF-8 on one line, but is {path[:80]!r}; rename the file")
    if max(map(len, map(os.fsencode, path.split("/")))) > LONGEST_NAME or len(path) > LONGEST_PATH:
        return DataError(f"{where} `path` must be a name of a file, but is too long for one: {path[:80]!r}...")
    for name in ("text", "speaker"):
        if not isinstance(row.get(name), str | int | float | None):
            return DataError(f"{where} `{name}` must be text, but is {repr(row[name])[:80]} instead")
    if _filled(row.get("start_seconds")) is not None and _seconds(row["start_seconds"]) is None:
        shown = repr(row["start_seconds"])[:80]
        return DataError(f"{where} `start_seconds` must be 0 or more seconds, but is {shown} instead")
    row = {name: one_line(value) if isinstance(value, str) else value for name, value in row.items()}
    first = names.first(_id(row), line)
    if first is not None:
        message = f"must name each file once, but '{path}' has the id of line {first}; remove one"
        return DataError(f"{where} {message}")
    return row


def cut_of(row: Row, folder: Path) -> Cut:
    """Build the cut of one row; an unreadable file gets the duration of the table, or a nominal one.

    Rate and length are those of the file header. A file of several channels is one channel here, their mean,
    as everywhere in the package. A row with `start_seconds` is a part, to the end of the recording at most.
    """
    path = folder / row["path"]
    start = _seconds(row.get("start_seconds")) or 0.0
    try:
        rate, samples = _measured(path)
        whole = samples / rate
    except AudioError:
        rate, whole = SAMPLE_RATE, 0.0
    known = _seconds(row.get("duration_seconds")) or UNKNOWN_SECONDS
    cut = Cut(
        id=_id(row),
        path=str(path),
        duration=whole or max(1, round(known * SAMPLE_RATE)) / SAMPLE_RATE,
        text=_filled(row.get("text")),
        speaker=_filled(row.get("speaker")),
        custom={key: value for key, value in row.items() if key not in KNOWN and value not in (None, "")},
        recording_seconds=whole or max(1, round(known * SAMPLE_RATE)) / SAMPLE_RATE,
        sample_rate=rate,
    )
    if _filled(row.get("start_seconds")) is None:
        return cut
    return _part(cut, start, _seconds(row.get("duration_seconds")), whole)


def _part(cut: Cut, start: float, seconds: float | None, whole: float) -> Cut:
    """A part of a recording; one that lies behind its end stays as it is named, so that loading reports it."""
    rest = whole - start
    if rest <= 0:
        seconds = seconds or UNKNOWN_SECONDS
        return replace(cut, start=start, duration=seconds, recording_seconds=whole or start + seconds)
    return replace(cut, start=start, duration=min(seconds or rest, rest) if whole else seconds or rest)


def cut_id(path: str) -> str:
    """The relative path without its suffix, with forward slashes."""
    return str(PurePosixPath(path.replace("\\", "/")).with_suffix(""))


def _id(row: Row) -> str:
    """The id that a format gives, or that of the path, with the milliseconds at which a later part begins."""
    if CUT_ID in row:
        return str(row[CUT_ID])
    start = _seconds(row.get("start_seconds")) or 0.0
    return cut_id(row["path"]) + (f"-{round(start * 1000):08d}" if start else "")


def _filled(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _seconds(value: object) -> float | None:
    """Seconds of 0 or more that a recording can have."""
    try:
        seconds = float(str(value))
    except ValueError:
        return None
    return seconds if 0 <= seconds < LONGEST_SECONDS else None


def _measured(path: Path) -> tuple[int, int]:
    """Rate and samples as the header has them; a header without a length makes it be decoded, in blocks."""
    must_be_file(path)
    found = waveform.info(path)
    if found.samples > 0:
        return found.sample_rate, found.samples
    limit = waveform.MAX_SECONDS
    blocks = waveform.stream(path, block_seconds=10, sample_rate=found.sample_rate, max_seconds=limit)
    return found.sample_rate, sum(map(len, blocks))
