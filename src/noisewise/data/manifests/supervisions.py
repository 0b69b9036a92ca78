"""lhotse manifests in two files, `*recordings*.jsonl.gz` and `*supervisions*.jsonl.gz`, read without lhotse.

A supervision is a part of a recording with its text and speaker (https://lhotse.readthedocs.io, "Representing a
corpus"). Recordings of one file each are read; others are for lhotse, which makes cuts of them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from noisewise.data.manifests.columns import CUT_ID, Row
from noisewise.data.manifests.lines import lines
from noisewise.errors import DataError

PATTERN = "*supervisions*.jsonl*"


def rows(folder: Path) -> Iterator[tuple[int, Row | DataError]]:
    """Yield (line, row) of each supervision; the recordings are kept in memory.

    Raises:
        DataError: a file cannot be read, or the recordings of supervisions are not beside them.
    """
    for path in sorted(folder.glob(PATTERN)):
        partner = path.with_name(path.name.replace("supervisions", "recordings"))
        if not partner.is_file():
            raise DataError(f"`{partner}` must be beside `{path.name}`, but is not; copy it too")
        recordings = dict(_recordings(partner))
        for line, content in lines(path):
            try:
                yield line, _row(json.loads(content), recordings)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
                yield line, DataError(f"`{path}`, line {line}: must be a supervision of lhotse, but is not: {reason}")


def _recordings(path: Path) -> Iterator[tuple[str, str]]:
    """Id and file of each recording that is one file."""
    for line, content in lines(path):
        try:
            values = json.loads(content)
            (source,) = values["sources"]
            if source["type"] == "file" and not values.get("transforms"):
                yield str(values["id"]), str(source["source"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
            raise DataError(
                f"`{path}`, line {line}: must be a recording of one file, but is not: {reason}; make cuts of it "
                "with lhotse"
            ) from error


def _row(values: dict[str, Any], recordings: dict[str, str]) -> Row:
    row = {
        "path": recordings[values["recording_id"]],
        CUT_ID: str(values["id"]),
        "recording": str(values["recording_id"]),
        "start_seconds": float(values["start"]),
        "duration_seconds": float(values["duration"]),
        "text": values.get("text"),
        "speaker": values.get("speaker"),
        "language": values.get("language"),
    }
    return {name: value for name, value in row.items() if value not in (None, "")}
