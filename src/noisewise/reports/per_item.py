"""What a grid says of each recording, whether words were looked for or a class.

Errors are counted in words; those of taggers in clips whose best class is none of theirs, so that a clip is as good as
an utterance of one word.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from noisewise.errors import EvaluationError
from noisewise.evaluation.result import CellRow, GridResult
from noisewise.evaluation.resume import Condition
from noisewise.evaluation.tagging_result import TaggingResult

Result = GridResult | TaggingResult


@dataclass(frozen=True)
class Heard:
    """A recogniser or a tagger, recording by recording."""

    rows: dict[str, CellRow]
    """Condition (`clean`, `traffic@5`) to its row."""
    mixtures: dict[str, str]
    """Condition to the hash of what was heard."""
    ids: list[str]
    words: list[int]
    """How much can be wrong; a class is one word."""
    errors: Mapping[str, Sequence[int]]
    groups: list[str]
    rules: str
    """By which words are compared; empty for classes."""
    truth: str
    """Hash of the labels of clips, which are no part of the mixtures; empty for words."""
    said: list[str] | None
    heard: Mapping[str, list[str]] | None


def of(result: Result) -> Heard:
    """The recordings of a grid."""
    rows = {name_of(row): row for row in (result.clean, *result.cells)}
    mixtures = {name: row.mixture_sha256 for name, row in rows.items()}
    if isinstance(result, GridResult):
        each = result.per_utterance
        return Heard(
            dict(rows), mixtures, each.ids, each.words, each.errors, each.speakers,
            result.normaliser, "", each.references, each.hypotheses,
        )  # fmt: skip
    clips = result.per_clip
    wrong = {name: [1 - right for right in found] for name, found in clips.right.items()}
    ones = [1] * len(clips.ids)
    labels = json.dumps([result.classes, clips.ids, clips.labels])
    truth = hashlib.sha256(labels.encode()).hexdigest()[:12]
    return Heard(dict(rows), mixtures, clips.ids, ones, wrong, clips.groups, "", truth, clips.labels, clips.best)


def name_of(row: CellRow) -> str:
    """`clean`, `traffic@5`."""
    return Condition(row.noise_type, row.snr_db).name


def kind_of(result: Result) -> str:
    """`recogniser` or `tagger`."""
    return "recogniser" if isinstance(result, GridResult) else "tagger"


def read(path: str | Path) -> Result:
    """A grid of `noisewise evaluate`, of a recogniser or a tagger.

    Raises:
        EvaluationError: it is neither.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"`{path}` must be a JSON file, but cannot be read: {error}") from error
    tagger = isinstance(values, dict) and values.get("format") == TaggingResult.FORMAT
    return (TaggingResult if tagger else GridResult).load(path)
