"""References and hypotheses as sclite reads them: a trn file for each condition of a grid.

    sclite -r reference.trn trn -h traffic@5.trn trn -i spu_id

A line is the words, as they are scored, and the id in brackets: `YES (speaker-utterance)`. sclite aligns with weights
of 4 for a substitution and 3 for the others, so that its substitutions, deletions and insertions may differ from those
of the result where their sum does not.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from noisewise.errors import EvaluationError
from noisewise.evaluation.result import GridResult
from noisewise.files import replaced
from noisewise.scoring.words import choose

REFERENCE = "reference.trn"
"""Name of the file of references."""


def write_trn(result: GridResult, folder: Path) -> list[Path]:
    """Write references, and the hypotheses under each condition, normalised.

    Args:
        result: a grid of a recogniser, with its texts.
        folder: where `reference.trn`, `clean.trn`, `traffic@5.trn`... are written; made where it is missing.

    Returns:
        The files.

    Raises:
        EvaluationError: the texts were not kept, or are labels.
    """
    items = result.per_item
    if result.task != "recognition" or items.references is None or items.hypotheses is None:
        raise EvaluationError("the result must hold references and hypotheses of words, but does not; keep transcripts")
    folder.mkdir(parents=True, exist_ok=True)
    names = [_id(speaker, name) for speaker, name in zip(items.groups, items.ids, strict=True)]
    normaliser = choose(result.config.normaliser)
    references = [normaliser(text) for text in items.references]
    found = []
    for file, texts in [(REFERENCE, items.references), *((f"{key}.trn", items.hypotheses[key]) for key in result.rows)]:
        path = folder / file
        with replaced(path) as lines:
            pairs = zip(texts, references, strict=True)
            scored = [normaliser.nearest(text, reference) for text, reference in pairs]
            lines.writelines(trn_lines(references if file == REFERENCE else scored, names))
        found.append(path)
    return found


def trn_lines(texts: Sequence[str], names: Sequence[str]) -> list[str]:
    """Lines of a trn file.

    Example:
        >>> trn_lines(["YES", ""], ["ann-u1", "ann-u2"])
        ['YES (ann-u1)\\n', '(ann-u2)\\n']
    """
    return [f"{text} ({name})\n".lstrip(" ") for text, name in zip(texts, names, strict=True)]


def _id(speaker: str, name: str) -> str:
    """Speaker and utterance in characters that sclite takes for an id: no blanks, no brackets."""
    return "-".join(re.sub(r"[\s()]", "_", part) for part in (speaker.replace("-", "_"), name))
