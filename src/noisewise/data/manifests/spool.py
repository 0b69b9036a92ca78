"""Ids and rows of a table in temporary files of SQLite: the memory does not grow with the table."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from noisewise.errors import DataError


class IdIndex:
    """The first line of each id, ids as digests of 16 bytes."""

    def __init__(self) -> None:
        """Open a temporary file that goes with the object."""
        self._base = _opened("CREATE TABLE first_line (name BLOB PRIMARY KEY, line INTEGER) WITHOUT ROWID")

    def first(self, name: str, line: int) -> int | None:
        """The first line of `name`, or None when `line` is the first.

        Raises:
            DataError: the disk is full.
        """
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        with _written():
            if self._base.execute("INSERT OR IGNORE INTO first_line VALUES (?, ?)", (digest, line)).rowcount:
                return None
            found: int = self._base.execute("SELECT line FROM first_line WHERE name = ?", (digest,)).fetchone()[0]
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()


class RowSpool:
    """Rows of a table by split: plain values, in the order in which they came."""

    def __init__(self) -> None:
        """Open a temporary file that goes with the object."""
        self._base = _opened(
            "CREATE TABLE row (split BLOB, number INTEGER, content TEXT, PRIMARY KEY (split, number)) WITHOUT ROWID"
        )
        self._numbers: dict[str, int] = {}

    @property
    def splits(self) -> list[str]:
        """The splits, in the order of their first rows."""
        return list(self._numbers)

    @property
    def count(self) -> int:
        """Number of all rows."""
        return sum(self._numbers.values())

    def add(self, split: str, row: dict[str, Any]) -> None:
        """Put one at the end of its split.

        Raises:
            DataError: the disk is full.
        """
        number = self._numbers.get(split, 0)
        with _written():
            name = split.encode("utf-8", "surrogatepass")
            self._base.execute("INSERT INTO row VALUES (?, ?, ?)", (name, number, json.dumps(row)))
        self._numbers[split] = number + 1

    def of(self, split: str) -> Iterator[dict[str, Any]]:
        """The rows of a split."""
        name = split.encode("utf-8", "surrogatepass")
        for (content,) in self._base.execute("SELECT content FROM row WHERE split = ? ORDER BY number", (name,)):
            yield json.loads(content)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()


def _opened(table: str) -> sqlite3.Connection:
    with _written():
        base = sqlite3.connect("", check_same_thread=False)  # "": in memory while it is small, then a file
        base.execute(table)
        return base


@contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DataError(
            f"the rows of a table must be kept in a temporary file, but cannot: {error}; free some disk, or set "
            "SQLITE_TMPDIR to a folder with room"
        ) from error
