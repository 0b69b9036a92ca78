"""The quarantine list: ids that `noisewise check` found unusable, one JSON object a line; training leaves them out,
speech and noise alike."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from noisewise.data.checks.reasons import Finding
from noisewise.data.manifests.cuts import Cut
from noisewise.errors import DataError
from noisewise.files import replaced


def write_quarantine(path: Path, findings: Iterable[Finding]) -> int:
    """Write the ids of entries with errors, one JSON object a line, whole or not at all.

    Repeated ids are no reason to leave both entries out, so `duplicate_id` does not count.

    Args:
        path: file to write; empty when there is nothing to leave out.
        findings: those of one entry follow each other.

    Returns:
        Entries in the list.
    """
    bad = (item for item in findings if item.severity == "error" and item.id and item.reason != "duplicate_id")
    count = 0
    with replaced(path) as lines:
        for (name, manifest, line), items in groupby(bad, key=lambda item: (item.id, item.manifest, item.line)):
            reasons = [item.reason for item in items]
            entry = {"id": name, "reasons": reasons, "manifest": manifest, "line": line}
            lines.write(json.dumps(entry) + "\n")
            count += 1
    return count


def read_quarantine(path: Path) -> frozenset[str]:
    """The ids of a quarantine list.

    Raises:
        DataError: no such file, or a line that is no JSON object with an `id`.
    """
    return frozenset(_ids(path))


def without(cuts: Sequence[Cut], quarantine: frozenset[str]) -> list[Cut]:
    """The cuts whose ids are not in a quarantine list; copies of `#repeat` go with their original."""
    return [cut for cut in cuts if not is_listed(cut.id, quarantine)]


def is_listed(name: str, quarantine: frozenset[str]) -> bool:
    """Whether an id, or that of which it is a copy by `#repeat`, is in a quarantine list."""
    return name in quarantine or original(name) in quarantine


def _ids(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _id(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"`{path}` must be a list of `noisewise check --quarantine`: {error}") from error


def _id(path: Path, number: int, line: str) -> str:
    try:
        values = json.loads(line)
        name = values["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        name = None
    if not isinstance(name, str):
        raise DataError(f'`{path}`, line {number}: must be like {{"id": "..."}}, but is not; write the list again')
    return name


def original(name: str) -> str:
    """The id without the `~2` of a repetition."""
    stem, mark, turn = name.rpartition("~")
    return stem if mark and turn.isdigit() else name
