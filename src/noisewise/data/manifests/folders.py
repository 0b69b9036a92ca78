"""Folders as manifests, in the layouts that people have; the first that fits counts.

wav.scp, text, ...                           Kaldi (see `noisewise.data.manifests.kaldi`)
*recordings*.jsonl.gz, *supervisions*...     lhotse (see `noisewise.data.manifests.supervisions`)
metadata.csv | .jsonl | .parquet             audio folders of Hugging Face (`file_name`, also in folders of splits:
                                             https://huggingface.co/docs/datasets/audio_dataset), LJSpeech
a.trans.txt with lines `ID TEXT`             trees like LibriSpeech (https://www.openslr.org/12)
one table, or train.csv, test.csv, ...       any other whose first rows name a file that is there
a.wav, a.txt                                 sidecar text, also .normalized.txt, .original.txt (LibriTTS) and .lab
a.wav                                        audio alone
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from noisewise.data.manifests import delimited, kaldi, records, supervisions
from noisewise.data.manifests.audio_files import is_audio, located
from noisewise.data.manifests.columns import Columns, NoPathError, Row
from noisewise.data.manifests.lines import lines, text_of_file
from noisewise.errors import DataError

Rows = Iterator[tuple[int, Row | DataError]]

READERS: dict[str, Callable[[Path, Columns | None], Rows]] = {
    **dict.fromkeys(delimited.DELIMITERS, delimited.rows),
    **dict.fromkeys((".jsonl", ".json", ".ndjson"), records.rows),
    ".parquet": records.parquet_rows,
}
"""Reader of a table by its suffix."""
METADATA = tuple(f"metadata{suffix}" for suffix in (".csv", ".tsv", ".jsonl", ".parquet"))
SIDECARS = (".txt", ".normalized.txt", ".original.txt", ".lab")
"""Suffixes of a transcript beside its audio, the first that is there counts."""
SPLITS = frozenset({"train", "training", "test", "testing", "dev", "valid", "validation", "val", "eval"})
FIRST_ROWS = 10
"""Rows of a table that are looked at to see whether it is one of audio."""
TIMED = re.compile(r"\d+ \d+ \S+( -?[\d.]+)?")
"""A line of an HTK label file, which is an alignment and no text."""


@dataclass(frozen=True)
class Survey:
    """What a folder holds besides audio."""

    metadata: list[Path]
    """Files named as those of Hugging Face and LJSpeech, anywhere below the folder."""
    transcripts: list[Path]
    """`*.trans.txt`, anywhere below the folder."""
    tables: list[Path]
    """Tables in the folder itself."""


def rows(folder: Path, columns: Columns | None = None) -> Rows:
    """Yield (line, row) of a folder, paths relative to it; a row that cannot be used comes as the error.

    Args:
        folder: in one of the layouts above.
        columns: columns that the user has named, of the table in the folder.

    Raises:
        DataError: there is no audio, or a table cannot be read.
    """
    if (folder / kaldi.LIST).is_file():
        return kaldi.rows(folder)
    if next(folder.glob(supervisions.PATTERN), None) is not None:
        return supervisions.rows(folder)
    survey = surveyed(folder)
    if tables := chosen(survey, columns):
        return _of_tables(folder, tables, columns)
    if columns:
        raise DataError(f"`{folder}` must hold one table for `--columns`, but does not; name the table itself")
    return _of_transcripts(folder, survey.transcripts) if survey.transcripts else _of_audio(folder)


def surveyed(folder: Path) -> Survey:
    """Look through the names in a folder."""
    survey = Survey([], [], [])
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name in METADATA:
                survey.metadata.append(Path(place, name))
            elif name.endswith(".trans.txt"):
                survey.transcripts.append(Path(place, name))
            elif Path(place) == folder and Path(name).suffix.lower() in READERS.keys() - {".txt"}:
                survey.tables.append(Path(place, name))
    return survey


def chosen(survey: Survey, columns: Columns | None = None) -> list[Path]:
    """The tables that are the manifest of a folder: metadata, or one other, or one for each split."""
    if metadata := [path for path in survey.metadata if names_audio(path, columns)]:
        return metadata
    tables = [path for path in survey.tables if names_audio(path, columns)]
    return tables if len(tables) == 1 or all(path.stem.lower() in SPLITS for path in tables) else []


def names_audio(table: Path, columns: Columns | None = None) -> bool:
    """Whether a table is one of audio: metadata by its columns, any other by a file of its first rows that is there.

    Raises:
        DataError: metadata, or the table whose columns the user has named, cannot be read.
    """
    is_metadata = table.name in METADATA
    try:
        rows = [row for _, row in islice(READERS[table.suffix.lower()](table, columns), FIRST_ROWS)]
    except NoPathError:
        return False
    except DataError:
        if is_metadata or columns:
            raise
        return False
    names = [row.get("path") for row in rows if not isinstance(row, DataError)]
    paths = [name for name in names if isinstance(name, str) and name and "\0" not in name]
    if is_metadata:
        return bool(paths) or len(names) < len(rows)
    return any(os.path.isfile(table.parent / located(table.parent, path)) for path in paths)


def _of_tables(folder: Path, tables: list[Path], columns: Columns | None) -> Rows:
    for table in tables:
        below = table.parent.relative_to(folder)
        named = table.stem if table.stem.lower() in SPLITS else None
        for line, row in READERS[table.suffix.lower()](table, columns):
            if not isinstance(row, DataError) and isinstance(name := row.get("path"), str) and "\0" not in name:
                row["path"] = (below / located(table.parent, name)).as_posix()
                split = named or next((part for part in Path(row["path"]).parts[:-1] if part.lower() in SPLITS), None)
                if split and not row.get("split"):
                    row["split"] = split
            yield line, row


def _of_transcripts(folder: Path, transcripts: list[Path]) -> Rows:
    for path in transcripts:
        below = path.parent.relative_to(folder)
        for line, content in lines(path):
            name, _, words = content.strip().partition(" ")
            if not words.strip():
                message = f"must read `ID WORDS`, but is '{name[:80]}' instead"
                yield line, DataError(f"`{path}`, line {line}: {message}")
                continue
            row = {"path": (below / located(path.parent, name)).as_posix(), "text": words.strip(), "utterance": name}
            if re.fullmatch(r"\d+-\d+-\d+", name):
                row["speaker"] = name.partition("-")[0]
            if len(below.parts) > 2:
                row["split"] = below.parts[0]
            yield line, row


def _of_audio(folder: Path) -> Rows:
    number = 0
    for number, (path, names) in enumerate(_audio_below(folder), start=1):
        yield number, _with_text(path, path.relative_to(folder).as_posix(), names)
    if not number:
        raise DataError(f"`{folder}` must hold manifest.tsv or audio files, but has neither; {_found(folder)}")


def _with_text(path: Path, name: str, names: frozenset[str]) -> Row | DataError:
    """The row of an audio file, with the text of a file beside it, if there is one."""
    beside = next((found for suffix in SIDECARS if (found := f"{path.stem}{suffix}") in names), None)
    if beside is None:
        return {"path": name}
    try:
        text = text_of_file(path.with_name(beside))
        if beside.endswith(".lab") and all(TIMED.fullmatch(line.strip()) for _, line in lines(path.with_name(beside))):
            return {"path": name}
    except (DataError, OSError) as error:
        return DataError(str(error))
    return {"path": name, "text": text}


def _audio_below(folder: Path) -> Iterator[tuple[Path, frozenset[str]]]:
    """The audio files below a folder in the order of their paths, with the names beside them, one folder in memory at
    a time; hidden ones are not input: what a killed program has left, or the notes that other systems keep."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except PermissionError:
        return
    beside = frozenset(name for name in names if name.endswith((".txt", ".lab")))
    for path in (folder / name for name in names):
        if path.is_dir():
            if not path.is_symlink():
                yield from _audio_below(path)
        elif is_audio(path.name) and path.is_file():
            yield path, beside


def _found(folder: Path) -> str:
    """What a folder without audio holds, for the message."""
    tables = surveyed(folder).tables
    if not tables:
        return "check the path"
    return f"name a table: `noisewise prepare table {tables[0]} OUT --columns path=COLUMN text=COLUMN`"
