"""Sentences of running text, such as books, in a form that a voice can read out and that its words can be told from."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from noisewise.errors import NoisewiseError
from noisewise.text import lines
from noisewise.text.normalise import ENGLISH, Normaliser
from noisewise.text.sentences import LONGEST

ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "messrs",
        "mme",
        "mlle",
        "dr",
        "prof",
        "rev",
        "hon",
        "st",
        "capt",
        "col",
        "gen",
        "lt",
        "maj",
        "sgt",
        "jr",
        "sr",
        "esq",
        "no",
        "vol",
        "ch",
        "etc",
        "vs",
        "co",
        "e.g",
        "i.e",
    ]
)
"""Words whose full stop ends no sentence."""
_END = re.compile(r"""[.!?]["')\u2019\u201d]*\s+(?=["'(\u2018\u201c]*[A-Z])""")
_LAST_WORD = re.compile(r"([\w.]+)$")
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2026": "..."})
_DASH = re.compile(r"\s*(?:--+|[\u2013\u2014])\s*")
_AFTER_MARK = re.compile(r"([.,;:!?]),|(?:^|(?<=\s)),")
_NUMERAL = re.compile(r"\d|\b(?=[MDCLXVI]{2})[MDCLXVI]+\b")
_QUOTED = re.compile(r"(?<!\w)'|'(?!\w)")
_READABLE = re.compile(r"(?:[^\W\d_]|[ ',.;:!?-])+")
REASONS = {
    "numerals": "numerals, which have no letters of their own",
    "quotes": "single quotes, which may be apostrophes",
    "symbols": "brackets, symbols, or letters that the normaliser removes",
    "length": "too short or too long",
    "repeated": "there already",
}
"""Why a sentence is left out."""


@dataclass(frozen=True)
class Sentence:
    """A sentence and where it stands."""

    text: str
    """As written, with case and punctuation, but for quotes, and dashes, which are commas."""
    file: str
    """Name of the file."""
    line: int
    """Number of the line, from 1 on."""


def split(line: str) -> list[str]:
    """Part running text after full stops, question and exclamation marks before a capital letter.

    Example:
        >>> split('"Well, Mr. Bennet!" said J. Austen. "What is it?" It was nothing.')
        ['"Well, Mr. Bennet!" said J. Austen.', '"What is it?"', 'It was nothing.']
    """
    parts, begin = [], 0
    for end in _END.finditer(line):
        word = _LAST_WORD.search(line, begin, end.start())
        if line[end.start()] == "." and word and _is_abbreviation(word[1]):
            continue
        parts.append(line[begin : end.end()].strip())
        begin = end.end()
    return [part for part in (*parts, line[begin:].strip()) if part]


def cleaned(sentence: str) -> str:
    """Leave out double quotes and underscores, and write dashes between words as commas.

    Example:
        >>> cleaned('"It was -- I think -- never _bewitching_," she said.')
        'It was, I think, never bewitching, she said.'
    """
    text = sentence.translate(_QUOTES).replace('"', " ").replace("_", "")
    text = re.sub(r"\s+([,.;:!?])", r"\1", " ".join(_DASH.sub(", ", text).split()))
    return " ".join(_AFTER_MARK.sub(r"\1", text).split()).rstrip(" ,;:")


def sentences(
    paths: Iterable[Path], *, words: tuple[int, int], left_out: Counter[str], normaliser: Normaliser = ENGLISH
) -> Iterator[Sentence]:
    """The sentences of text files, each once, that can be read out.

    Args:
        paths: text files, also `.gz`; a sentence does not go over the end of a line.
        words: fewest and most words.
        left_out: counts what is left out, by the keys of `REASONS`.
        normaliser: tells the words, and which letters have none.

    Raises:
        NoisewiseError: a file that is not there or is not text.
    """
    seen = set[str]()
    for path in paths:
        for number, line in enumerate(lines.read(path, NoisewiseError, LONGEST), start=1):
            for text in map(cleaned, split(" ".join(line.split()))):
                spoken = normaliser(text)
                if not spoken:
                    continue
                reason = _unreadable(text, spoken, words, normaliser) or ("repeated" if spoken in seen else "")
                if reason:
                    left_out[reason] += 1
                    continue
                seen.add(spoken)
                yield Sentence(text, path.name, number)


def _unreadable(text: str, spoken: str, words: tuple[int, int], normaliser: Normaliser) -> str:
    if not words[0] <= len(spoken.split()) <= words[1]:
        return "length"
    if _NUMERAL.search(text):
        return "numerals"
    if _QUOTED.search(text):
        return "quotes"
    return "" if _READABLE.fullmatch(text) and not normaliser.lost(text) else "symbols"


def _is_abbreviation(word: str) -> bool:
    """Whether the full stop after a word may belong to it: an abbreviation, or an initial that is not the pronoun."""
    return word.lower() in ABBREVIATIONS or (len(word) == 1 and word.isupper() and word != "I")
