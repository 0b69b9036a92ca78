"""An index of ids, samples and sentences as digests of 16 bytes, which finds duplicates and leaks, in SQLite.

It is a file, so that the memory of a check does not grow with the corpus. A kept one also holds the statistics of the
recordings, so that the next check need not decode files that have not changed.
"""

import hashlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from noisewise.data.checks.audio_stats import AudioStats
from noisewise.errors import DataError

TABLES = """
CREATE TABLE IF NOT EXISTS audio_stats (file BLOB PRIMARY KEY, found TEXT) WITHOUT ROWID;
DROP TABLE IF EXISTS first_place;
CREATE TABLE first_place (kind TEXT, digest BLOB, place TEXT, PRIMARY KEY (kind, digest)) WITHOUT ROWID;
"""
COMMIT_EVERY = 1000


class Place(NamedTuple):
    """Where something occurs: split, manifest and id of the entry."""

    split: str
    manifest: str
    id: str


class DuplicateIndex:
    """Keeps the first place of everything, and the statistics of files."""

    def __init__(self, path: Path | None = None) -> None:
        """Open a file, or a temporary one that goes with the object.

        Raises:
            DataError: the file is something else.
        """
        self._path, self._writes = path, 0
        try:
            self._base = sqlite3.connect("" if path is None else path)
            _rename_old_table(self._base)
            self._base.executescript(TABLES)
        except sqlite3.Error as error:
            raise DataError(f"`{path}` must be a cache of `noisewise check`, but is not: {error}") from error

    def first(self, kind: str, key: str | bytes, place: Place) -> Place | None:
        """The first place of `key`, or None when `place` is the first."""
        digest = _digest(key)
        added = self._base.execute(
            "INSERT OR IGNORE INTO first_place VALUES (?, ?, ?)", (kind, digest, json.dumps(place))
        )
        if added.rowcount:
            return None
        row = self._base.execute(
            "SELECT place FROM first_place WHERE kind = ? AND digest = ?", (kind, digest)
        ).fetchone()
        return Place(*json.loads(row[0]))

    def stats(self, file: bytes) -> AudioStats | None:
        """The kept statistics of a file, by its key of `file_key`; None where there are none."""
        row = self._base.execute("SELECT found FROM audio_stats WHERE file = ?", (file,)).fetchone()
        return None if row is None else AudioStats(**json.loads(row[0]))

    def keep(self, file: bytes, found: AudioStats) -> None:
        """Keep statistics, in a kept file only."""
        if self._path is None:
            return
        self._base.execute("INSERT OR REPLACE INTO audio_stats VALUES (?, ?)", (file, found.dumped()))
        self._writes += 1
        if self._writes % COMMIT_EVERY == 0:
            self._base.commit()

    def commit(self) -> None:
        """Write what is left."""
        self._base.commit()

    def close(self) -> None:
        """Close the file; the statistics of an interrupted check stay."""
        try:
            self._base.commit()
        except sqlite3.Error:  # the disk is full: what was committed before stays
            self._base.rollback()
        self._base.close()


def _rename_old_table(base: sqlite3.Connection) -> None:
    """Take over the statistics of a file that was written under the table's former name, `sounding`."""
    found = base.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'sounding'").fetchone()
    if found is not None:
        base.execute("ALTER TABLE sounding RENAME TO audio_stats")


def file_key(path: str, *facts: Any) -> bytes:
    """Names the state of a file: its path, size and time, and how it is read; another state is another key."""
    try:
        state = os.stat(path)
        facts = (*facts, state.st_size, state.st_mtime_ns)
    except (OSError, ValueError):
        facts = (*facts, "absent")
    return _digest(json.dumps([path, *facts]))


def _digest(key: str | bytes) -> bytes:
    data = key if isinstance(key, bytes) else key.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).digest()
