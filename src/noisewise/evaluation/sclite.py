"""References and hypotheses as sclite reads them: a trn file, or a ctm file, for each condition of a grid.

    sclite -r reference.trn trn -h traffic@5.trn trn -i spu_id
    sclite -r reference.stm stm -h traffic@5.ctm ctm

A line of trn is the words, as they are scored, and the id in brackets: `YES (speaker-utterance)`. sclite aligns with
weights of 4 for a substitution and 3 for the others, so that its substitutions, deletions and insertions may differ
from those of the result where their sum does not.

A line of ctm is one word: utterance, channel, beginning and duration in seconds, word, confidence. Each utterance is a
recording of its own there; stm has its reference from its beginning to its end. Words are normalised one by one: one
that is several then (`624` of `english-spoken`) divides its time among them evenly.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from noisewise.decoding.hypothesis import Word
from noisewise.errors import EvaluationError
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell
from noisewise.files import replaced
from noisewise.scoring.words import Normaliser, NormaliserName, choose

REFERENCE, TIMED_REFERENCE = "reference.trn", "reference.stm"
"""Names of the files of references."""
CHANNEL = "A"
"""Name of the only channel of a recording in ctm and stm."""


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


def write_ctm(
    utterances: Sequence[Utterance], cells: Sequence[TextCell], normaliser: NormaliserName, folder: Path
) -> list[Path]:
    """Write references, and the words of the hypotheses with times under each condition, normalised.

    Args:
        utterances: the references.
        cells: hypotheses under each condition, with the times of their words.
        normaliser: name of the rules under which they are scored.
        folder: where `reference.stm`, `clean.ctm`, `traffic@5.ctm`... are written; made where it is missing.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rules = choose(normaliser)
    names = [_id(one.speaker, one.id) for one in utterances]
    stm = [
        f"{name} {CHANNEL} {_id(one.speaker)} 0.000 {one.seconds:.3f} {rules(one.text)}\n"
        for name, one in zip(names, utterances, strict=True)
    ]
    files = {TIMED_REFERENCE: sorted(stm)}
    for cell in cells:
        by_name = sorted(zip(names, cell.words, strict=True), key=lambda pair: pair[0])
        files[f"{cell.condition.key}.ctm"] = [line for name, words in by_name for line in ctm_lines(words, name, rules)]
    for file, lines in files.items():
        with replaced(folder / file) as stream:
            stream.writelines(lines)
    return [folder / file for file in files]


def ctm_lines(words: Sequence[Word], name: str, normaliser: Normaliser) -> list[str]:
    """Lines of a ctm file for the words of an utterance, in the order of time.

    Example:
        >>> words = [Word("Go,", 0.5, 0.75, 0.9), Word("24", 1.0, 2.0, 0.5), Word("...", 2.0, 2.5, 0.5)]
        >>> print(*ctm_lines(words, "ann-u1", choose("english-spoken")), sep="", end="")
        ann-u1 A 0.500 0.250 GO 0.900
        ann-u1 A 1.000 0.500 TWENTY 0.500
        ann-u1 A 1.500 0.500 FOUR 0.500
    """
    lines = []
    for word in sorted(words, key=lambda each: each.start):
        parts = normaliser(word.text).split()
        for place, part in enumerate(parts):
            each = (word.end - word.start) / len(parts)
            start = word.start + place * each
            lines.append(f"{name} {CHANNEL} {start:.3f} {each:.3f} {part} {word.confidence:.3f}\n")
    return lines


def _id(speaker: str, *names: str) -> str:
    """Speaker, and utterance, in characters that sclite takes for an id: no blanks, no brackets."""
    return "-".join(re.sub(r"[\s()]", "_", part) for part in (speaker.replace("-", "_"), *names))
