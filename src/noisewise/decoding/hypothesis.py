"""What a decoder returns: a text, its tokens, and its words with times and confidences."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby


@dataclass(frozen=True)
class Word:
    """One word of a transcript."""

    text: str
    """The word itself."""
    start: float
    """When it begins, in seconds from the beginning of the recording."""
    end: float
    """When it ends, in seconds."""
    confidence: float
    """How sure the model is, 0 to 1."""


@dataclass(frozen=True)
class Hypothesis:
    """One reading of an utterance."""

    text: str
    """Words joined by single spaces."""
    tokens: list[int]
    """Token ids after the CTC collapse, word boundaries included."""
    words: list[Word] = field(default_factory=list)
    """The words with times and confidences."""
    score: float = 0.0
    """Natural logarithm of the probability of the path that was chosen."""


def collapse(ids: Iterable[int], blank: int = 0) -> list[int]:
    """Map a CTC path to its tokens: merge repeats, then drop blanks.

    Graves et al. (2006), "Connectionist temporal classification", section 3.1, the map B.

    Args:
        ids: token id of each frame.
        blank: id of the blank.
    """
    return [token for token, _ in groupby(ids) if token != blank]
