import os
import sqlite3
from pathlib import Path

import pytest

from noisewise.data.checks.audio_stats import AudioStats
from noisewise.data.checks.duplicates import DuplicateIndex, Place, file_key
from noisewise.errors import DataError

FIRST, SECOND = Place("train", "a.tsv", "u1"), Place("test", "b.tsv", "u2")
STATS = AudioStats(16_000, 32_000, 0.0, "ab")


def test_the_first_place_of_a_key_of_each_kind_is_kept() -> None:
    index = DuplicateIndex()
    assert index.first("id", "u", FIRST) is None
    assert index.first("audio", "u", SECOND) is None
    assert index.first("id", "u", SECOND) == FIRST and index.first("id", "u", SECOND) == FIRST
    assert index.first("id", b"u", SECOND) == FIRST
    assert index.first("id", "\ud800", SECOND) is None
    index.close()


def test_a_kept_file_forgets_places_and_keeps_statistics(tmp_path: Path) -> None:
    index = DuplicateIndex(tmp_path / "cache")
    index.first("id", "u", FIRST)
    index.keep(b"key", STATS)
    index.close()
    again = DuplicateIndex(tmp_path / "cache")
    assert again.first("id", "u", SECOND) is None
    assert again.stats(b"key") == STATS and again.stats(b"other") is None
    again.close()


def test_without_a_file_nothing_is_kept() -> None:
    index = DuplicateIndex()
    index.keep(b"key", STATS)
    assert index.stats(b"key") is None


def test_a_cache_with_the_former_name_of_the_table_is_taken_over(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "cache")
    base.execute("CREATE TABLE sounding (file BLOB PRIMARY KEY, found TEXT) WITHOUT ROWID")
    base.execute("INSERT INTO sounding VALUES (?, ?)", (b"key", STATS.dumped()))
    base.commit()
    base.close()
    index = DuplicateIndex(tmp_path / "cache")
    assert index.stats(b"key") == STATS
    index.close()


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine, and no database at all" * 30)
    with pytest.raises(DataError, match="must be a cache of `noisewise check`"):
        DuplicateIndex(tmp_path / "notes")


def test_the_key_of_a_file_changes_with_its_state_and_with_the_facts(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    keys = [file_key(str(path), 1.0)]
    path.write_bytes(b"12")
    keys += [file_key(str(path), 1.0), file_key(str(path), 2.0)]
    assert file_key(str(path), 1.0) == keys[1]
    path.write_bytes(b"123")
    keys.append(file_key(str(path), 1.0))
    os.utime(path, ns=(1, 1))
    keys.append(file_key(str(path), 1.0))
    assert len(set(keys)) == 5
