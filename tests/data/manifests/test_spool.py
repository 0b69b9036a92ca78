import sqlite3
from typing import Any

import pytest

from noisewise.data.manifests.spool import IdIndex, RowSpool
from noisewise.errors import DataError


def test_the_first_line_of_a_name_is_remembered() -> None:
    with IdIndex() as names:
        assert [names.first(name, line) for line, name in enumerate(["a", "b", "a", "\ud800", "a", "\ud800"])] == [
            *(None, None, 0, None),
            *(0, 3),
        ]


def test_rows_come_back_by_split_in_their_order_as_they_were() -> None:
    values: list[dict[str, Any]] = [
        {"path": "x", "nested": [1, 2.5, None, {"b": True}]},
        {"path": "\ud800"},
        {"path": "y", "text": ""},
    ]
    with RowSpool() as rows:
        for split, value in zip(["b", "", "b"], values, strict=True):
            rows.add(split, value)
        rows.add("\ud800", {})
        assert rows.splits == ["b", "", "\ud800"]
        assert list(rows.of("b")) == [values[0], values[2]]
        assert list(rows.of("")) == [values[1]]
        assert list(rows.of("\ud800")) == [{}]
        assert list(rows.of("no such")) == []


def test_order_is_that_of_numbers_and_not_of_digits() -> None:
    with RowSpool() as rows:
        for number in range(300):
            rows.add("a", {"path": str(number)})
        assert [row["path"] for row in rows.of("a")] == [str(number) for number in range(300)]


def test_a_full_disk_is_one_line() -> None:
    with RowSpool() as rows:
        rows._base.execute("PRAGMA max_page_count = 4")
        with pytest.raises(DataError, match=r"temporary file, but cannot: .*full; free some disk"):
            for number in range(1000):
                rows.add("a", {"path": "x" * 1000, "number": number})


def test_the_files_go_with_the_object() -> None:
    with IdIndex() as names:
        names.first("a", 1)
    with pytest.raises(DataError, match="closed"):
        names.first("a", 1)
    assert sqlite3.sqlite_version_info >= (3, 8, 2)  # WITHOUT ROWID
