"""A user's own corpus: a table, or a folder, checked and written as one manifest for each split."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from noisewise.data.corpora.listing import Report
from noisewise.data.corpora.preparation import Part, Preparation, Rejected, checked, file_facts
from noisewise.data.manifests.columns import Columns, Row
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.read import HELD_OUT, expanded, prepared_parts
from noisewise.data.manifests.spool import RowSpool
from noisewise.data.manifests.table import cut_id, cut_of, entries, folder_of, table_of
from noisewise.data.random_streams import Draws
from noisewise.errors import DataError

TRAIN, VALIDATION = "train", "validation"
DIVIDED = ("", "train", "training")
"""Splits that a part is held out of."""
TAKEN = ("dev", "valid", "validation", "val")
"""Splits that say that a part has been held out."""
FEWEST_SPEAKERS = 3
"""With fewer speakers than this, holding one out would take too much of a corpus."""


@dataclass(frozen=True)
class HoldOut:
    """A division of sources of recordings into two sides."""

    by: str
    """What a source is: `speaker`, `recording`, `folder` or `file`."""
    sources: frozenset[str]
    """Those that are held out."""
    known: int
    """Number of all."""

    def split(self, row: Row) -> str:
        """The side of a row."""
        return VALIDATION if _source(row, self.by) in self.sources else TRAIN


def prepare(
    source: str | Path,
    output: Path,
    *,
    columns: Columns | None = None,
    hold_out: float | None = None,
    seed: int = 0,
    report: Report | None = None,
) -> list[Part]:
    """Check a table row by row and file by file, and write one manifest for each split.

    Args:
        source: a folder or a table.
        output: folder to make.
        columns: names of this package to those of the table, where they cannot be told.
        hold_out: share of the entries to hold out for validation, by speaker where there are three or more, else by
            recording, folder or file; None keeps the splits of the table.
        seed: another one holds out others.
        report: called with (finished, all).

    Raises:
        DataError: the table cannot be read, nothing in a split can be used, or nothing can be held out.
    """
    table = table_of(expanded(str(source)))
    if not table.exists():
        raise DataError(f"`{source}` must be a folder or a table, but there is no such path; check it")
    if prepared_parts(table):
        raise DataError(f"`{source}` must be a corpus, but is a prepared folder; it is a manifest as it is")
    if hold_out is not None and not 0 < hold_out < 1:
        raise DataError(f"`--hold-out` must be above 0 and below 1, but is {hold_out} instead; say 0.1 for a tenth")
    with RowSpool() as rows:
        bad = _spooled(table, columns, rows)
        if not rows.splits:
            first = f"the first: {bad[0].message}" if bad else "it is empty"
            raise DataError(f"`{source}` must have a usable row, but has none; {first}")
        held = None if hold_out is None else _held_out(rows, hold_out, seed, str(source))
        preparation = Preparation(output, "table")
        splits = rows.splits if held is None else _divided(rows.splits)
        total, done, parts = rows.count, 0, []
        for split in splits:
            wanted = _Split(table, rows, split, held, bad)
            parts.append(preparation.part(split, wanted.mark(), partial(wanted.made, report, done, total)))
            done += parts[-1].utterances + len(parts[-1].rejected)
            bad = []
        preparation.keep(splits)
        return parts


def _spooled(table: Path, columns: Columns | None, rows: RowSpool) -> list[Rejected]:
    """Put the rows that can be used on disk; the others."""
    bad = []
    for line, row in entries(table, columns):
        if isinstance(row, DataError):
            bad.append(Rejected(f"{table}:{line}", "bad_row", str(row)))
        else:
            rows.add(str(row.get("split") or ""), row)
    return bad


def _divided(splits: list[str]) -> list[str]:
    """The splits of a table whose training part is divided."""
    return [TRAIN, VALIDATION, *(split for split in splits if split.lower() not in DIVIDED)]


def _held_out(rows: RowSpool, share: float, seed: int, source: str) -> HoldOut:
    """Sources in an order of their own until the share is reached: one at least, and never all."""
    taken = [split for split in rows.splits if split.lower() in TAKEN]
    if taken or not any(split.lower() in DIVIDED for split in rows.splits):
        has = f"has '{taken[0]}'" if taken else f"has only {', '.join(rows.splits)}"
        raise DataError(f"`{source}` must have a part to hold out of and none held out, but {has}; drop --hold-out")
    by, counts = next(_sides(rows, share))
    order = sorted(counts, key=lambda name: Draws(HELD_OUT, name, *([seed] if seed else [])).uniform())
    wanted, held = share * sum(counts.values()), 0
    chosen = []
    for name in order[:-1]:
        if held >= wanted:
            break
        chosen.append(name)
        held += counts[name]
    if not chosen:
        raise DataError(f"`{source}` must have two recordings to hold one out, but has one; drop --hold-out")
    return HoldOut(by, frozenset(chosen), len(counts))


def _sides(rows: RowSpool, share: float) -> Iterator[tuple[str, Counter[str]]]:
    """What rows can be divided by and how many each source has, best first; the last always does."""
    for by in ("speaker", "recording", "folder", "file"):
        counts: Counter[str] = Counter()
        whole = True
        for split in rows.splits:
            for row in rows.of(split) if split.lower() in DIVIDED else ():
                name = _source(row, by)
                whole = whole and bool(name)
                counts[name] += 1
        fewest = FEWEST_SPEAKERS if by == "speaker" else math.ceil(1 / share)
        if by == "file" or (whole and len(counts) >= fewest):
            yield by, counts


def _source(row: Row, by: str) -> str:
    if by == "folder":
        return str(Path(row["path"]).parent)
    return cut_id(row["path"]) if by == "file" else str(row.get(by) or "")


@dataclass(frozen=True)
class _Split:
    """One part on its way."""

    table: Path
    rows: RowSpool
    name: str
    held: HoldOut | None
    bad: list[Rejected]
    """Rejected rows, which are listed with the first part."""

    def mark(self) -> str:
        """A digest of the rows of a split and of the size and time of their files."""
        digest = hashlib.sha256(json.dumps([str(self.table.absolute()), [asdict(item) for item in self.bad]]).encode())
        for row in self._rows():
            facts = file_facts(folder_of(self.table) / row["path"])
            digest.update(json.dumps([row, facts], sort_keys=True).encode())
        return digest.hexdigest()

    def made(self, report: Report | None, done: int, total: int) -> Iterator[Cut | Rejected]:
        """The entries, each decoded."""
        yield from self.bad
        found = checked(cut_of(row, folder_of(self.table)) for row in self._rows())
        for number, entry in enumerate(found, start=done + 1):
            yield entry
            if report is not None:
                report(number, total)

    def _rows(self) -> Iterator[dict[str, Any]]:
        if self.held is None or self.name not in (TRAIN, VALIDATION):
            yield from self.rows.of(self.name)
            return
        for split in self.rows.splits:
            for row in self.rows.of(split) if split.lower() in DIVIDED else ():
                if self.held.split(row) == self.name:
                    yield {**row, "split": self.name}
