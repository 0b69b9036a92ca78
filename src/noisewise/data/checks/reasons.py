"""What can be wrong with an entry of a manifest, as reason codes; and the report of all that was found."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from noisewise.files import replaced

Severity = Literal["error", "warning", "note"]

REASONS: dict[str, tuple[Severity, str]] = {
    "bad_row": ("error", "a line of the manifest that cannot be read"),
    "missing": ("error", "no such file, or it cannot be opened"),
    "not_audio": ("error", "not audio, of a format that cannot be read, or a pipe or a device"),
    "empty": ("error", "no samples"),
    "truncated": ("error", "shorter than its header promises, or cannot be decoded to the end"),
    "too_short": ("error", "ends before the part that the manifest names"),
    "too_long": ("error", "longer than the limit, by its header or when decoded"),
    "nan": ("error", "NaN or infinite samples"),
    "silent": ("error", "below -100 dBFS from end to end"),
    "too_short_for_ctc": ("error", "fewer frames than tokens and repeats of tokens"),
    "no_text": ("error", "no transcript, or none once it is normalised"),
    "unknown_characters": ("error", "characters of the normalised transcript that are not in the vocabulary"),
    "duplicate_id": ("error", "an id that an earlier entry has"),
    "leaked_audio": ("error", "the same samples in another split"),
    "leaked_text": ("warning", "the same text of the same speaker in another split"),
    "duplicate_audio": ("warning", "the same samples twice in one split"),
    "clipped": ("warning", "more samples at full scale than allowed"),
    "dropped_characters": ("warning", "letters, digits or symbols of the transcript that the normaliser removes"),
    "wrong_duration": ("warning", "the file lasts longer or shorter than in the manifest"),
    "resampled": ("note", "not at 16 kHz; it will be resampled"),
}
"""Reason code to severity and meaning, from the gravest."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with one entry."""

    id: str
    """Id of the entry; empty for a line that cannot be read."""
    reason: str
    """Reason code, a key of `REASONS`."""
    severity: Severity
    """Severity of the finding; a warning of a strict check is an error."""
    message: str
    """Sentence that explains it."""
    manifest: str
    """Manifest of the entry, as it was given."""
    line: int
    """Line of the entry in its manifest."""
    path: str = ""
    """Audio file of the entry."""


class Spool:
    """Findings on disk, so that a corpus in which everything is wrong does not fill the memory."""

    def __init__(self) -> None:
        """Open a temporary file that goes with the object."""
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115

    def add(self, finding: Finding) -> None:
        """Put one at the end."""
        self._file.write(json.dumps(asdict(finding)) + "\n")

    def __iter__(self) -> Iterator[Finding]:
        """All from the first; nothing may be added meanwhile."""
        self._file.seek(0)
        for line in self._file:
            yield Finding(**json.loads(line))


def write_report(path: Path, facts: dict[str, Any], findings: Iterable[Finding]) -> None:
    """Write a check as JSON, whole or not at all: some facts, then `findings`, one a line."""
    with replaced(path) as file:
        file.write(json.dumps({**facts, "findings": []}, indent=2).removesuffix("[]\n}") + "[")
        for number, item in enumerate(findings):
            file.write((",\n    " if number else "\n    ") + json.dumps(asdict(item)))
        file.write("\n  ]\n}\n")
