"""Files of JSON values, one in a line, that a run was writing when it was killed, or that others may have written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read(path: Path, most_bytes: int) -> Iterator[tuple[bytes, Any]]:
    """Each line of a file with its value; None for a line that is no JSON, or longer than allowed.

    Numbers of more digits than Python reads, values nested deeper than it follows, and what is not UTF-8 count as no
    JSON. Of a line that is too long only the beginning is returned.

    Args:
        path: the file.
        most_bytes: length of the longest line.
    """
    with path.open("rb") as file:
        while line := file.readline(most_bytes):
            if len(line) == most_bytes and not line.endswith(b"\n"):
                rest = line
                while rest and not rest.endswith(b"\n"):
                    rest = file.readline(most_bytes)
                yield line, None
            elif line.strip():
                yield line, _value(line)


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
