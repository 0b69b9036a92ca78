"""Tables of records: JSON lines, and Parquet through pyarrow.

    {"path": "a.wav", "text": "YES"}                                             this package
    {"file_name": "a.wav", "transcription": "yes"}                               audio folders of Hugging Face
    {"audio_filepath": "a.wav", "duration": 2.5, "offset": 0.0, "text": "yes"}   NeMo

NeMo: "Preparing Custom ASR Data" of its documentation; `offset` and `duration` are seconds of a part of the recording.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from noisewise.data.manifests.columns import Columns, Row, must_have, renamed, renaming, without_path
from noisewise.data.manifests.lines import lines
from noisewise.errors import DataError

ROWS_AT_ONCE = 1024


def rows(path: Path, columns: Columns | None = None) -> Iterator[tuple[int, Row | DataError]]:
    """Yield (line, row) of JSON lines; a line that is none comes as the error.

    Raises:
        DataError: the file cannot be read, or is one JSON array.
    """
    for line, content in lines(path):
        if line == 1 and content.strip() == "[":
            raise DataError(
                f"`{path}` must be JSON lines, but is one array; `jq -c '.[]' {path.name}` makes lines of it"
            )
        row = _object(path, line, content)
        if not isinstance(row, DataError):
            row = renamed(row, renaming(row, columns))
            if isinstance(row.get("path"), dict):  # the audio column of the datasets library
                row["path"] = row["path"].get("path")
        yield line, row


def parquet_rows(path: Path, columns: Columns | None = None) -> Iterator[tuple[int, Row | DataError]]:
    """Yield (row number, row) of a Parquet file, some thousand rows in memory at a time.

    Raises:
        DataError: pyarrow is not there, the file is no Parquet, no column is the path, or the audio is in the table.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise DataError(
            f"`{path}` must be read with pyarrow, but it is not installed; `pip install pyarrow`, or save it as CSV"
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            must_have(columns, names, path)
            new_names = renaming(names, columns)
            number = 0
            for batch in file.iter_batches(ROWS_AT_ONCE):
                for values in batch.to_pylist():
                    number += 1
                    yield number, _filed(path, renamed(values, new_names), names)
    except (OSError, pyarrow.lib.ArrowException) as error:
        raise DataError(f"`{path}` must be a Parquet file, but cannot be read: {error}; make it again") from error


def _filed(path: Path, row: Row, names: list[str]) -> Row:
    if isinstance(row.get("path"), dict):
        raise DataError(
            f"`{path}` must name audio files, but holds the audio itself; write it as files first (an audio folder)"
        )
    if "path" not in row:
        raise without_path(path, names)
    return {name: value for name, value in row.items() if value is None or isinstance(value, str | int | float)}


def _object(path: Path, line: int, content: str) -> Row | DataError:
    try:
        row: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        return DataError(f"`{path}`, line {line}: must be JSON, but is not: {error}")
    if not isinstance(row, dict):
        return DataError(f"`{path}`, line {line}: must be a JSON object, but is {repr(row)[:100]} instead")
    return row
