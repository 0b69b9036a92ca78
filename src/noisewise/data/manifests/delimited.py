"""Tables of delimited text: TSV, CSV and their kin, with a header or without.

    path	speaker	text            tabs, `.tsv`: no quoting, a row is a line
    path,speaker,text               `,` or `;`, `.csv`: quoting and line breaks in quotes (RFC 4180)
    LJ001-0001|raw text|text        LJSpeech (https://keithito.com/LJ-Speech-Dataset): `|`, no header, no quoting
    wavs/a.wav|text                 lists of VITS and others: path, perhaps a speaker, text

The delimiter is the one at which the first row parts into the most columns with a known name; without a header it is
the one that leaves an audio file, or at least none of the others, in the first field. Ties go to that of the suffix.
"""

import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from noisewise.data.manifests.audio_files import is_audio, located
from noisewise.data.manifests.columns import ALIASES, Columns, Row, must_have, renamed, renaming, without_path
from noisewise.data.manifests.lines import MAX_LINE_BYTES, lines
from noisewise.errors import DataError

DELIMITERS = {".tsv": "\t,;|", ".csv": ",;\t|", ".txt": "|\t,;", ".psv": "|\t,;"}
"""Delimiters that are tried for each suffix, the usual one first."""
KNOWN = {"path", "split", "label", *ALIASES, *chain.from_iterable(ALIASES.values())}


@dataclass(frozen=True)
class Dialect:
    """How the rows of a table are written."""

    delimiter: str
    quoted: bool
    """Whether fields may be quoted."""
    names: list[str] | None
    """Columns of a table without a header; None where the first row has them."""


def rows(path: Path, columns: Columns | None = None) -> Iterator[tuple[int, Row | DataError]]:
    """Yield (line, row) of a table; a row that cannot be parsed comes as the error.

    Args:
        path: a file with a suffix of `DELIMITERS`.
        columns: columns that the user has named.

    Raises:
        DataError: no column is the path, or the file is no text.
    """
    found = iter(lines(path))
    first = next(found, None)
    if first is None:
        return
    dialect = sniff(path, first[1], columns)
    content = chain([first], found)
    records = _quoted(path, content, dialect.delimiter) if dialect.quoted else _plain(content, dialect.delimiter)
    names = dialect.names
    new_names: dict[str, str] = {}
    for line, fields in records:
        if isinstance(fields, DataError):
            yield line, fields
        elif names is None:
            names = _named(fields)
            must_have(columns, names, path)
            new_names = renaming(names, columns)
            if "path" not in {new_names.get(name, name) for name in names}:
                raise without_path(path, names)
        elif len(fields) != len(names):
            message = f"must have {len(names)} fields, but has {len(fields)} instead; see the header and the quotes"
            yield line, DataError(f"`{path}`, line {line}: {message}")
        else:
            yield line, renamed(dict(zip(names, fields, strict=True)), new_names)


def sniff(path: Path, first: str, columns: Columns | None = None) -> Dialect:
    """Delimiter, quoting and columns by the first line of a table.

    Raises:
        DataError: the columns are numbers that the table does not have, or a table without a header has none that
            can be told.
    """
    suffix = path.suffix.lower()
    wanted = KNOWN | set((columns or {}).values())
    best, head, merit = ",", [""], (-1, False, False, 0)
    for delimiter in DELIMITERS[suffix]:
        fields = _named(_fields(first, delimiter, _is_quoted(suffix, delimiter)))
        many = len(fields) > 1
        alone = many and not any(other in fields[0] for other in DELIMITERS[suffix])
        known = sum(name in wanted or name.lower() in wanted for name in fields)
        if (reached := (known, many and is_audio(fields[0]), alone, len(fields))) > merit:
            best, head, merit = delimiter, fields, reached
    quoted = _is_quoted(suffix, best)
    if columns and all(name.isdecimal() for name in columns.values()) and not set(columns.values()) & set(head):
        return Dialect(best, quoted, _numbered(path, len(head), columns))
    if "path" in head or "path" in renaming(head, columns).values():
        return Dialect(best, quoted, None)
    names = _headless(path, best, head)
    if names is not None:
        must_have(columns, names, path)
    return Dialect(best, quoted, names)


def _headless(path: Path, delimiter: str, head: list[str]) -> list[str] | None:
    """Columns of a first row that is none of names: an audio file, or the id of one, then text."""
    is_lj = delimiter == "|" and path.stem == "metadata"
    if not (is_audio(head[0]) or is_lj or os.path.isfile(path.parent / located(path.parent, head[0]))):
        return None
    if len(head) == 1:
        return ["path"]
    if len(head) == 2:
        return ["path", "text"]
    if len(head) == 3 and delimiter == "|":
        return ["path", "raw_text", "text"] if " " in head[1].strip() else ["path", "speaker", "text"]
    raise without_path(path, head)


def _numbered(path: Path, count: int, columns: Columns) -> list[str]:
    names = [f"column{number}" for number in range(1, count + 1)]
    for ours, number in columns.items():
        if len(number) > 9 or not 1 <= int(number) <= count:
            raise DataError(f"`{path}` must have a column {number[:9]} for `{ours}`, but has {count}; count from 1")
        names[int(number) - 1] = ours
    return names


def _is_quoted(suffix: str, delimiter: str) -> bool:
    return suffix == ".csv" and delimiter != "|"


def _named(fields: Iterable[str]) -> list[str]:
    return [name.strip() for name in fields]


def _fields(line: str, delimiter: str, quoted: bool) -> list[str]:
    if not quoted:
        return line.rstrip("\n").rstrip("\r").split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _plain(content: Iterable[tuple[int, str]], delimiter: str) -> Iterator[tuple[int, list[str] | DataError]]:
    for line, text in content:
        yield line, _fields(text, delimiter, False)


def _quoted(
    path: Path, content: Iterable[tuple[int, str]], delimiter: str
) -> Iterator[tuple[int, list[str] | DataError]]:
    """Records of RFC 4180, which may go over lines; the number is that of the last line."""
    source = _Lines(path, content)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        source.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            where = f"`{path}`, line {source.first or source.line}:"
            yield source.line, DataError(f"{where} must be CSV, but is not: {error}; close or double its quotes")
            continue
        yield source.line, fields


class _Lines:
    """Lines for the csv reader, which counts them otherwise; a record has the budget of a line."""

    def __init__(self, path: Path, content: Iterable[tuple[int, str]]) -> None:
        self.path, self.content = path, iter(content)
        self.first = self.line = self.used = 0

    def begin(self) -> None:
        """Begin a record."""
        self.first = self.used = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        self.line, text = next(self.content)
        self.first = self.first or self.line
        self.used += len(text)
        if self.used > MAX_LINE_BYTES:
            raise DataError(
                f"`{self.path}`, line {self.first}: must be a row of at most {MAX_LINE_BYTES} bytes, but its quote is "
                "not closed; close it"
            )
        return text
