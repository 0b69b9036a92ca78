"""What a check has met so far, in a file of SQLite: ids, samples and sentences as digests of 16 bytes.

A file, so that the memory of a check does not grow with the corpus; kept, so that the next check of unchanged
files need not decode them.
"""

import hashlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from noisewise.data.checks.audio_stats import Sounding
from noisewise.errors import DataError

TABLES = """
CREATE TABLE IF NOT EXISTS sounding (file BLOB PRIMARY KEY, found TEXT) WITHOUT ROWID;
DROP TABLE IF EXISTS seen;
CREATE TABLE seen (kind TEXT, digest BLOB, place TEXT, PRIMARY KEY (kind, digest)) WITHOUT ROWID;
"""
COMMIT_EVERY = 1000


class Place(NamedTuple):
    """Where something was met."""

    split: str
    manifest: str
    id: str


class Seen:
    """Remembers the first place of everything, and what was measured in files."""

    def __init__(self, path: Path | None = None) -> None:
        """Open a file, or a temporary one that goes with the object.

        Raises:
            DataError: the file is something else.
        """
        self._path, self._writes = path, 0
        try:
            self._base = sqlite3.connect("" if path is None else path)
            self._base.executescript(TABLES)
        except sqlite3.Error as error:
            raise DataError(f"`{path}` must be a cache of `noisewise check`, but is not: {error}") from error

    def first(self, kind: str, key: str | bytes, place: Place) -> Place | None:
        """The place where `key` was met before, or None when this is the first time."""
        digest = _digest(key)
        added = self._base.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (kind, digest, json.dumps(place)))
        if added.rowcount:
            return None
        row = self._base.execute("SELECT place FROM seen WHERE kind = ? AND digest = ?", (kind, digest)).fetchone()
        return Place(*json.loads(row[0]))

    def sounding(self, file: bytes) -> Sounding | None:
        """What was measured under a key of `file_key` before."""
        row = self._base.execute("SELECT found FROM sounding WHERE file = ?", (file,)).fetchone()
        return None if row is None else Sounding(**json.loads(row[0]))

    def keep(self, file: bytes, found: Sounding) -> None:
        """Keep what was measured, in a kept file only."""
        if self._path is None:
            return
        self._base.execute("INSERT OR REPLACE INTO sounding VALUES (?, ?)", (file, found.dumped()))
        self._writes += 1
        if self._writes % COMMIT_EVERY == 0:
            self._base.commit()

    def commit(self) -> None:
        """Write what is left."""
        self._base.commit()

    def close(self) -> None:
        """Let the file go; what was measured in an interrupted check stays."""
        try:
            self._base.commit()
        except sqlite3.Error:  # the disk is full: what was committed before stays
            self._base.rollback()
        self._base.close()


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
