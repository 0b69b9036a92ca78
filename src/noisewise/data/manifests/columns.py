"""Names of columns: those of this package, and others that mean the same in the tables that people have."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from noisewise.errors import DataError

Row = dict[str, Any]
"""Values of a row by the names of their columns."""
Columns = Mapping[str, str]
"""Name of this package to the name, or the number from 1 on, of the column in a table."""

ALIASES = {
    "path": (
        "file_name",  # audio folders of Hugging Face
        "audio_filepath",  # NeMo
        "wav_filename",  # DeepSpeech
        *("filename", "file", "filepath", "file_path", "audio", "audio_path", "audio_file", "wav", "wav_path", "clip"),
    ),
    "text": (
        "sentence",  # Common Voice
        *("transcript", "transcription", "normalized_text", "normalised_text", "raw_text", "orthographic", "txt"),
    ),
    "speaker": ("speaker_id", "client_id", "spk", "spk_id", "speaker_name"),
    "duration_seconds": ("duration", "seconds"),
}
"""Other names of a column, most telling first; they count only where the name itself is absent."""
CUT_ID = "cut_id"
"""Column that readers of formats with ids of their own fill in; other ids are made of the path."""
PARTS = ("start_seconds", "duration_seconds")
"""Beginning and length of a part of a recording; without `start_seconds` a row is all of its recording."""


def renaming(names: Iterable[object], columns: Columns | None = None) -> dict[str, str]:
    """Names of a table to names of this package, for those that differ.

    Args:
        names: columns of the table.
        columns: choices of the user, which come first.
    """
    there = [name for name in names if isinstance(name, str)]
    found = {theirs: ours for ours, theirs in (columns or {}).items() if theirs in there}
    by_folded = {name.strip().lower(): name for name in reversed(there) if name not in found}
    for ours, others in ALIASES.items():
        if ours in there or ours in found.values():
            continue
        alias = next((by_folded[other] for other in (ours, *others) if other in by_folded), None)
        if alias is not None:
            found[alias] = ours
    if found.get("audio_filepath") == "path" and "offset" in there:  # NeMo, in seconds
        found["offset"] = "start_seconds"
    return found


def renamed(row: Row, names: Mapping[str, str]) -> Row:
    """A row under names of this package; a column that another takes the name of is left out."""
    if not names:
        return row
    taken = set(names.values())
    return {names.get(name, name): value for name, value in row.items() if name in names or name not in taken}


def must_have(columns: Columns | None, names: list[str], table: Path) -> None:
    """Refuse a choice of columns that the table does not have.

    Raises:
        DataError: one is not there.
    """
    for ours, theirs in (columns or {}).items():
        if theirs not in names:
            near = get_close_matches(theirs, names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {listed(names)}"
            raise DataError(f"`{table}` must have the column '{theirs}' for `{ours}`, but does not; {hint}")


def listed(names: Iterable[object]) -> str:
    """Names for a message, not more than a dozen."""
    shown = [repr(name)[:40] for name in names]
    return ", ".join(shown[:12]) + (f" and {len(shown) - 12} more" if len(shown) > 12 else "")


class NoPathError(DataError):
    """A table without a column of audio files."""


def without_path(table: Path, names: Iterable[object]) -> NoPathError:
    """The error of a table that names no audio, with the line that works."""
    return NoPathError(
        f"`{table}` must have a column `path` of audio files, but has {listed(names)}; name it: "
        f"`noisewise prepare table {table} OUT --columns path=COLUMN text=COLUMN` (a number without a header)"
    )
