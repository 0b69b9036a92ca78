"""A user's own corpus: a table, or a folder, checked and written as one manifest for each split."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from noisewise.data.corpora.preparation import Part, Preparation, Rejected, checked, file_facts
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.spool import RowSpool
from noisewise.data.manifests.table import cut_of, entries, folder_of, table_of
from noisewise.errors import DataError


def prepare(source: str | Path, output: Path) -> list[Part]:
    """Check a table row by row and file by file, and write one manifest for each split.

    Args:
        source: a folder or a table.
        output: folder to make.

    Raises:
        DataError: the table cannot be read, or nothing in a split can be used.
    """
    table = table_of(Path(source))
    if not table.exists():
        raise DataError(f"`{source}` must be a folder or a table, but there is no such path; check it")
    with RowSpool() as rows:
        bad = _spooled(table, rows)
        if not rows.splits:
            first = f"the first: {bad[0].message}" if bad else "it is empty"
            raise DataError(f"`{source}` must have a usable row, but has none; {first}")
        preparation = Preparation(output, "table")
        parts = []
        for split in rows.splits:
            parts.append(
                preparation.part(split, _mark(table, rows, split, bad), partial(_part, table, rows, split, bad))
            )
            bad = []
        return parts


def _spooled(table: Path, rows: RowSpool) -> list[Rejected]:
    """Put the rows that can be used on disk; the others."""
    bad = []
    for line, row in entries(table):
        if isinstance(row, DataError):
            bad.append(Rejected(f"{table}:{line}", "bad_row", str(row)))
        else:
            rows.add(str(row.get("split") or ""), row)
    return bad


def _mark(table: Path, rows: RowSpool, split: str, bad: list[Rejected]) -> str:
    """A digest of the rows of a split and of the size and time of their files."""
    digest = hashlib.sha256(json.dumps([str(table.absolute()), [asdict(item) for item in bad]]).encode())
    for row in rows.of(split):
        facts = file_facts(folder_of(table) / row["path"])
        digest.update(json.dumps([row, facts], sort_keys=True).encode())
    return digest.hexdigest()


def _part(table: Path, rows: RowSpool, split: str, bad: list[Rejected]) -> Iterator[Cut | Rejected]:
    yield from bad
    yield from checked(cut_of(row, folder_of(table)) for row in rows.of(split))
