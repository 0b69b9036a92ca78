"""What the parsers of known corpora share: rows in, the parts of a prepared folder out.

A parser walks a corpus as it is distributed and yields rows, in the columns of `noisewise.data.manifests.table`, or
what it had to reject. Rows are read, decoded and written one at a time, so memory does not grow with the corpus.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from noisewise.data.corpora.preparation import Part, Preparation, Rejected, file_facts, in_order, usable
from noisewise.data.manifests.columns import Row
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.spool import IdIndex
from noisewise.data.manifests.table import cut_id, cut_of
from noisewise.errors import DataError

Rows = Callable[[], Iterable[Row | Rejected]]
Report = Callable[[int, int], None]


def prepare_parts(
    corpus: str,
    root: Path,
    output: Path,
    parts: Mapping[str, Rows],
    *,
    layout: str,
    workers: int | None = None,
    report: Report | None = None,
) -> list[Part]:
    """Decode and write the parts of a corpus; a part without a row is left out.

    Args:
        corpus: its name, for the record.
        root: folder that the paths of the rows are relative to.
        output: folder to make.
        parts: name of a part to the function that lists its rows.
        layout: what `root` must hold, for the message when it holds nothing.
        workers: files decoded at a time; all cores when absent.
        report: called with (finished, all) of a part.

    Raises:
        DataError: no part has a row, or no row of a part can be used.
    """
    found = {name: _surveyed(root, rows) for name, rows in parts.items()}
    if not any(count for _, count in found.values()):
        raise DataError(f"`{root}` must hold {layout}, but does not; check the path")
    preparation = Preparation(output, corpus)
    made = []
    for name, (mark, count) in found.items():
        if count:
            make = _maker(root, parts[name], count, workers or os.cpu_count() or 1, report)
            made.append(preparation.part(name, mark, make))
    return made


def folder_with(source: Path, *names: str) -> Path:
    """`source`, or the folder in it of one of the names: people give either.

    Raises:
        DataError: no such folder.
    """
    if not source.is_dir():
        raise DataError(f"`{source}` must be a folder, but there is none; check the path")
    return next((source / name for name in names if (source / name).is_dir()), source)


def audio_below(folder: Path, *suffixes: str) -> Iterator[Path]:
    """Audio files below a folder with one of the suffixes, sorted, without hidden ones."""
    wanted = suffixes or (".wav", ".flac")
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(wanted) and not name.startswith("."):
                yield Path(place, name)


def _surveyed(root: Path, rows: Rows) -> tuple[str, int]:
    """A digest of the rows and their files, and how many entries there are."""
    digest = hashlib.sha256(str(root.absolute()).encode())
    count = 0
    for row in rows():
        facts = row if isinstance(row, Rejected) else file_facts(root / row["path"])
        digest.update(f"{row}|{facts}\n".encode())
        count += 1
    return digest.hexdigest(), count


def _maker(
    root: Path, rows: Rows, count: int, workers: int, report: Report | None
) -> Callable[[], Iterator[Cut | Rejected]]:
    def make() -> Iterator[Cut | Rejected]:
        entries = in_order(lambda row: _usable(row, root), _once(rows()), workers)
        for done, entry in enumerate(entries, start=1):
            yield entry
            if report is not None:
                report(done, count)

    return make


def _usable(row: Row | Rejected, root: Path) -> Cut | Rejected:
    return row if isinstance(row, Rejected) else usable(cut_of(row, root))


def _once(rows: Iterable[Row | Rejected]) -> Iterator[Row | Rejected]:
    """Reject a second row of the same id, as `x.wav` beside `x.flac` would be."""
    with IdIndex() as names:
        for number, row in enumerate(rows, start=1):
            if isinstance(row, Rejected):
                yield row
            elif names.first(name := cut_id(row["path"]), number) is not None:
                yield Rejected(row["path"], "duplicate", f"`{row['path']}` must be listed once, but '{name}' is there")
            else:
                yield row
