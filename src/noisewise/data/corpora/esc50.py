"""ESC-50 (Piczak, ACM MM 2015), as distributed: `audio/*.wav` and `meta/esc50.csv`.

filename,fold,target,category,esc10,src_file,take
1-100032-A-0.wav,1,0,dog,True,100032,A
"""

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from noisewise.data.corpora.listing import Report, folder_with, prepare_parts
from noisewise.data.corpora.preparation import Part
from noisewise.data.manifests.columns import Row
from noisewise.data.manifests.lines import lines
from noisewise.errors import DataError

COLUMNS = ("filename", "fold", "target", "category")


def prepare(source: Path, output: Path, *, workers: int | None = None, report: Report | None = None) -> list[Part]:
    """Write `cuts.jsonl.gz`: the label is the category; `#fold!=1` and `#fold=1` make a turn of the five.

    Raises:
        DataError: the table is missing or has other columns, or no clip can be used.
    """
    root = folder_with(source, "ESC-50-master", "ESC-50")
    table = root / "meta" / "esc50.csv"
    if not table.is_file():
        raise DataError(f"`{table}` must exist, but does not; give the folder that holds audio/ and meta/")
    parts = {"": partial(_clips, table)}
    return prepare_parts("esc50", root, output, parts, layout="rows in meta/esc50.csv", workers=workers, report=report)


def _clips(table: Path) -> Iterator[Row]:
    reader = csv.DictReader(line for _, line in lines(table))
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
    if missing:
        raise DataError(f"`{table}` must have the columns {', '.join(COLUMNS)}, but lacks {missing}")
    for row in reader:
        yield {
            "path": f"audio/{row['filename']}",
            "label": row["category"],
            "fold": row["fold"],
            "target": row["target"],
            "recording": row.get("src_file"),
        }
