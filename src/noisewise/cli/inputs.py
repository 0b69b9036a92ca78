"""The recordings that a command line names: files, folders, manifests, tables, standard input, raw samples."""

import csv
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noisewise.inference.sources import Input

SUFFIXES = frozenset(
    f".{name}"
    for names in (
        "wav flac ogg oga opus mp3 aif aiff aifc au caf w64 rf64 sph",  # libsndfile
        "m4a mp4 aac webm mkv mov wma amr 3gp",  # the extra `media`
    )
    for name in names.split()
)
"""Suffixes of the files that are taken from a folder; a file that is named is read whatever its suffix."""
RAW_SUFFIXES = frozenset({".raw", ".pcm"})
"""Suffixes of the files that are taken from a folder where the rate of raw samples is given."""
TABLES = (".tsv", ".csv", ".jsonl", ".jsonl.gz")
PATH_COLUMNS = ("path", "audio_filepath", "audio", "file", "file_name")
"""Names of the column with the path, in tables of this and of other projects; the first that is there counts."""
START_COLUMNS, DURATION_COLUMN = ("start", "offset"), "duration"
STDIN = "-"


@dataclass(frozen=True)
class Entry:
    """A recording, or a part of one, as it was named."""

    input: "Input"
    """What is read; its `fault` says what is wrong."""
    name: str
    """Path or id that the name of its output is made of."""
    text: str | None = None
    """Text of the row of a table; None where there is none."""


@dataclass(frozen=True)
class RawSamples:
    """The form of samples without a header."""

    rate: int
    channels: int = 1
    dtype: str = "s16le"


def raw_samples(rate: int | None, channels: int | None, dtype: str | None) -> RawSamples | None:
    """The form that `--rate`, `--raw-channels` and `--raw-format` give; None where there is no rate.

    Raises:
        NoisewiseError: one of the others without a rate, or a form that no recording has.
    """
    from noisewise.audio.waveform import open_raw
    from noisewise.errors import NoisewiseError

    if rate is None:
        if channels is not None or dtype is not None:
            raise NoisewiseError("--raw-channels and --raw-format must come with --rate, but come without; give --rate")
        return None
    found = RawSamples(rate, channels or 1, dtype or "s16le")
    open_raw(STDIN, found.rate, found.channels, found.dtype)
    return found


def entries(files: Sequence[str], raw: RawSamples | None = None) -> list[Entry]:
    """All recordings, in the order of the names; one that is not there has a `fault`.

    A folder stands for the audio files under it in the order of their names, without hidden ones, or for the manifest
    in it where it holds no audio. A `.tsv`, `.csv` or `.jsonl` stands for its rows, and `-` for standard input.

    Args:
        files: words of the command line.
        raw: form of the samples, where the files have no header.

    Raises:
        NoisewiseError: a folder or a table without recordings, or standard input twice.
    """
    from noisewise.errors import NoisewiseError

    if list(files).count(STDIN) > 1:
        raise NoisewiseError("- (standard input) must be named once, but is more than once; leave one out")
    found: list[Entry] = []
    for file in files:
        if file == STDIN:
            found.append(Entry(_stdin(raw), "stdin"))
        elif Path(file).is_dir():
            found += _of_folder(Path(file), raw)
        elif raw is None and _is_manifest(file):
            found += _of_manifest(file)
        else:
            found.append(_of_file(file, raw))
    return found


def rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and cells of each row of a table; quoted fields of CSV may hold ends of line, and only `\\n` ends a row of
    TSV.

    Raises:
        NoisewiseError: it is not there, no text, or no table.
    """
    from noisewise.errors import NoisewiseError

    if not table.is_file():
        raise NoisewiseError(f"`{table}` must be a table, but there is no such file; check the path")
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            if table.suffix.lower() == ".csv":
                reader = csv.DictReader(file, strict=True)
                yield from ((reader.line_num, {k: v or "" for k, v in row.items() if k}) for row in reader)
            elif table.suffix.lower() == ".tsv":
                yield from _tsv(file.read().split("\n"))
            else:
                yield from _jsonl(table, file.read().split("\n"))
    except UnicodeDecodeError as error:
        raise NoisewiseError(f"`{table}` must be UTF-8 text, but is not; save it as UTF-8") from error
    except csv.Error as error:
        raise NoisewiseError(f"`{table}` must be CSV, but is not: {error}; write it again") from error


def _tsv(lines: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    names = lines[0].rstrip("\r").split("\t")
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            yield number, dict(zip(names, line.rstrip("\r").split("\t"), strict=False))


def _jsonl(table: Path, lines: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    from noisewise.errors import NoisewiseError

    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise ValueError("no object")
        except (ValueError, RecursionError) as error:
            raise NoisewiseError(f"`{table}`, line {number}: must be a JSON object, but is not: {error}") from error
        yield number, {name: "" if value is None else str(value) for name, value in values.items()}


def entry_of(table: Path, line: int, row: dict[str, str]) -> Entry:
    """The recording of a row, or the part of it that `start` and `duration` name; a duration alone is that of the
    whole."""
    from noisewise.errors import AudioError
    from noisewise.inference.sources import Input

    column = next((name for name in PATH_COLUMNS if row.get(name)), None)
    where = f"`{table}`, line {line}"
    if column is None:
        error = AudioError(
            f"{where}: must have a `path`, but has {sorted(row)} instead; name the column with the files"
        )
        return Entry(Input(f"{table}:{line}", fault=error), f"{table.stem}_{line}")
    path = str(table.parent / row[column])
    start = next((row[name] for name in START_COLUMNS if row.get(name)), "")
    try:
        begin = float(start or 0)
        duration = float(row[DURATION_COLUMN]) if start and row.get(DURATION_COLUMN) else None
        if not (0 <= begin < 1e9 and (duration is None or 0 < duration < 1e9)):
            raise ValueError(f"{begin:g} and {duration}")
    except ValueError as error:
        fault = AudioError(f"{where}: start and duration must be seconds, but are not ({error}); correct them")
        return Entry(Input(path, fault=fault), path)
    return Entry(_named(path, begin, duration), path, row.get("text"))


def _named(path: str, start: float = 0.0, duration: float | None = None) -> "Input":
    """A file, or what is wrong with its name."""
    from noisewise.audio.files.open import printable
    from noisewise.errors import AudioError
    from noisewise.inference.sources import Input

    name = printable(path)
    if not _exists(path):
        error = AudioError(
            f"`{name}` must be an audio file, but there is no such file; check the path", "missing", name
        )
        return Input(name, fault=error)
    return Input(name, path, start=start, duration=duration)


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True  # what is wrong is said when it is opened
    return True


def _of_file(path: str, raw: RawSamples | None) -> Entry:
    found = _named(path)
    if raw is None and found.fault is None and Path(path).suffix.lower() in RAW_SUFFIXES:
        found = _with_header(found, path)
    return Entry(found if found.fault else _as_raw(found, path, raw), found.name)


def _with_header(found: "Input", path: str) -> "Input":
    """A file whose name is that of raw samples: as it is where it has a header after all, else what is lacking."""
    from dataclasses import replace

    from noisewise.audio.waveform import info
    from noisewise.errors import AudioError

    try:
        info(path)
    except AudioError:
        error = AudioError(
            f"`{found.name}` must have a header, or come with --rate, but has samples alone; give --rate 16000 to "
            "`noisewise transcribe`, and --raw-format and --raw-channels where they are not 16 bits and one channel",
            path=found.name,
        )
        return replace(found, fault=error)
    return found


def _as_raw(found: "Input", file: Any, raw: RawSamples | None) -> "Input":
    from dataclasses import replace

    from noisewise.audio.waveform import open_raw

    return found if raw is None else replace(found, audio=open_raw(file, raw.rate, raw.channels, raw.dtype))


def _stdin(raw: RawSamples | None) -> "Input":
    from noisewise.audio.waveform import spooled
    from noisewise.errors import AudioError
    from noisewise.inference.sources import Input

    try:
        file = spooled(sys.stdin.buffer, "stdin")
    except AudioError as error:
        return Input("stdin", fault=error)
    return _as_raw(Input("stdin", file), file, raw)


def _of_folder(folder: Path, raw: RawSamples | None) -> list[Entry]:
    """The audio files under a folder, or the entries of its manifest."""
    from noisewise.errors import NoisewiseError

    wanted = SUFFIXES if raw is None else RAW_SUFFIXES
    inside = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in wanted and path.is_file()]
    found = [path for path in inside if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if found:
        return [_of_file(str(path), raw) for path in found]
    manifests = [path for path in sorted(folder.iterdir()) if path.name.endswith((".jsonl.gz", ".jsonl", ".tsv"))]
    listed = [path for path in manifests if not path.name.startswith(".") and path.name != "quarantine.jsonl"]
    if not listed:
        kinds = "wav, flac, ogg, mp3, ..." if raw is None else ", ".join(sorted(RAW_SUFFIXES))
        raise NoisewiseError(f"`{folder}` must hold audio files, but holds none ({kinds})")
    return [entry for path in listed for entry in _of_manifest(str(path))]


def _is_manifest(file: str) -> bool:
    """Whether a name is that of a table or a manifest, perhaps with a filter behind a `#`."""
    name = file if _exists(file) else file.partition("#")[0]
    return name.lower().endswith(TABLES) or name.startswith("shar:")


def _of_manifest(source: str) -> list[Entry]:
    """The entries of a manifest, or the rows of a table."""
    from noisewise.data.manifests.lhotse_format import is_lhotse
    from noisewise.errors import NoisewiseError

    path = Path(source)
    if path.is_file() and not source.lower().endswith(".gz") and not is_lhotse(path):
        found = [entry_of(path, line, row) for line, row in rows(path)]
    else:
        found = _of_cuts(source)
    if not found:
        raise NoisewiseError(f"`{source}` must name recordings, but names none; add rows")
    return found


def _of_cuts(source: str) -> list[Entry]:
    from noisewise.data.manifests.cuts import audio_of
    from noisewise.data.manifests.read import stream
    from noisewise.data.manifests.shard_bytes import is_address
    from noisewise.errors import AudioError, DataError
    from noisewise.inference.sources import Input

    found: list[Entry] = []
    for line, cut in stream(source):
        if isinstance(cut, DataError):
            found.append(Entry(Input(f"{source}:{line}", fault=AudioError(str(cut))), f"line_{line}"))
            continue
        start, duration = (0.0, None) if cut.is_whole else (cut.start, cut.duration)
        try:
            shard = is_address(cut.path)
            item = (
                Input(cut.path, audio_of(cut), start=start, duration=duration)
                if shard
                else _named(cut.path, start, duration)
            )
        except AudioError as error:
            item = Input(cut.path, fault=error)
        found.append(Entry(item, f"{cut.id}.", cut.text))
    return found
