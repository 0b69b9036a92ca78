"""Forced alignment: when each word and letter of a known text was said.

    words -> tokens, `|` between words -> the best path (noisewise.decoding.viterbi) -> times and scores

A word that the alphabet cannot spell, such as 2014, and `*` are stars: any stretch of speech. A star has no boundary
before or behind it, for the stretch holds that too. Letters that the model has are aligned as they are; one that can be
written in others, as é in E, is, with a warning. Tags such as [laughter] are left out.

Legend: F frames, V tokens.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from noisewise.decoding.alignment.viterbi import BEAM, STAR, StarScore, frames_needed, viterbi
from noisewise.decoding.hypothesis import Word
from noisewise.errors import AlignmentError
from noisewise.text.normalise import TAG, Normaliser, fitting, said
from noisewise.text.tokenizer import BLANK, BOUNDARY, UNKNOWN, Tokenizer

logger = logging.getLogger(__name__)

STAR_TEXT = "*"
Unknown = Literal["error", "star"]


@dataclass(frozen=True)
class AlignedWord(Word):
    """A word of the text as it stands there. `confidence` is that of its least sure letter; 0 of a star."""

    characters: list[Word] = field(default_factory=list)
    """Its letters as the model spells them, each as sure as its most probable frame; none of a star."""


@dataclass(frozen=True)
class Alignment:
    """A text laid over a recording."""

    words: list[AlignedWord]
    score: float
    """ln p(path | X) of the best path."""


@dataclass(frozen=True)
class Spelling:
    """A word of a text in tokens."""

    text: str
    tokens: list[int]
    """`[STAR]` for any stretch; boundaries within, as in TWENTY-SEVEN."""

    @property
    def is_star(self) -> bool:
        """Nothing is known about its sound."""
        return self.tokens == [STAR]


def align(
    log_probs: Tensor,
    text: str,
    tokenizer: Tokenizer,
    frame_seconds: float,
    *,
    unknown: Unknown = "error",
    star: StarScore = "best",
    beam: float = BEAM,
) -> Alignment:
    """The times of the words of a text.

    A letter lasts as long as the path stays on it, a word from its first to its last letter, as in greedy decoding.

    Args:
        log_probs: natural logarithms of token probabilities of one recording. (F, V)
        text: what was said, in any case; `*` for what is not known.
        tokenizer: of the model.
        frame_seconds: time between two frames.
        unknown: what becomes of words that the alphabet cannot spell: an error, or stars.
        star: see `viterbi`.
        beam: see `viterbi`.

    Raises:
        AlignmentError: no word, a word that cannot be spelled, or more letters than the frames can hold.
    """
    return lay(log_probs, spell(text, tokenizer, unknown), tokenizer, frame_seconds, star=star, beam=beam)


def lay(
    log_probs: Tensor,
    spellings: Sequence[Spelling],
    tokenizer: Tokenizer,
    frame_seconds: float,
    *,
    star: StarScore = "best",
    beam: float = BEAM,
) -> Alignment:
    """The times of words that are spelled already; arguments as of `align`.

    Raises:
        AlignmentError: more letters than the frames can hold.
    """
    tokens, firsts = joined_tokens(spellings, tokenizer)
    if frames_needed(tokens) > len(log_probs):
        raise AlignmentError(
            f"`text` must fit {len(log_probs) * frame_seconds:.2f} s of audio, but its {len(tokens)} letters and word "
            f"boundaries need at least {frames_needed(tokens) * frame_seconds:.2f} s instead; is it the text of this "
            "recording?"
        )
    path = viterbi(log_probs, tokens, blank=tokenizer.blank, star=star, beam=beam)
    places = np.arange(len(tokens)) * 2 + 1
    begins = np.searchsorted(path.states, places)  # first frame of each token
    ends = np.searchsorted(path.states, places, side="right")  # the frame after its last
    peaks = _peaks(log_probs, tokens, begins, ends)
    spans = [
        Word("", begin * frame_seconds, end * frame_seconds, peak)
        for begin, end, peak in zip(begins.tolist(), ends.tolist(), peaks, strict=True)
    ]
    words = [
        _word(spelling, spans[first : first + len(spelling.tokens)], tokenizer)
        for spelling, first in zip(spellings, firsts, strict=True)
    ]
    return Alignment(words, path.score)


def widened(
    words: Sequence[AlignedWord], lead_seconds: float, trail_seconds: float, seconds: float
) -> list[AlignedWord]:
    """Words that begin earlier and end later, for the letters of CTC are spikes within the sounds they stand for.

    Where two words are too close, they share what lies between them in proportion. Letters stay where they are.

    Args:
        words: in the order of time.
        lead_seconds: how much earlier a word begins than its first letter.
        trail_seconds: how much later it ends than its last.
        seconds: length of the recording.
    """
    starts, ends = [word.start for word in words], [word.end for word in words]
    for at, (end, start) in enumerate(zip([0.0, *ends], [*starts, max([seconds, *ends])], strict=True)):
        wanted = (trail_seconds if at else 0.0) + (lead_seconds if at < len(words) else 0.0)
        share = min(1.0, (start - end) / wanted) if wanted else 0.0
        if at:
            ends[at - 1] += share * trail_seconds
        if at < len(words):
            starts[at] -= share * lead_seconds
    return [replace(word, start=start, end=end) for word, start, end in zip(words, starts, ends, strict=True)]


def spell(text: str, tokenizer: Tokenizer, unknown: Unknown = "error") -> list[Spelling]:
    """The words of a text in tokens; what is punctuation alone is left out.

    Raises:
        AlignmentError: no word, or one that the alphabet cannot spell.
    """
    normaliser = fitting(tokenizer.symbols)
    spellings = spellings_of(text, tokenizer)
    if not spellings:
        raise AlignmentError("`text` must hold a word, but holds none; write what was said")
    strange = [spelling.text for spelling in spellings if spelling.is_star and spelling.text != STAR_TEXT]
    if strange and unknown == "error":
        letters = "".join(symbol for symbol in tokenizer.symbols if len(symbol) == 1)
        more = f" (and {len(strange) - 1} more)" if len(strange) > 1 else ""
        raise AlignmentError(
            f"`text` must be spelled in {letters}, but '{strange[0]}'{more} cannot be{_named(strange, normaliser)}; "
            "spell it out, write * in its place, or let unknown words be stars"
        )
    known = " ".join(spelling.text for spelling in spellings if not spelling.is_star)
    if respelled := normaliser.respelled(known):
        logger.warning("the model lacks letters that are aligned as others in their place: %s", said(respelled))
    return spellings


def spellings_of(text: str, tokenizer: Tokenizer) -> list[Spelling]:
    """The words of a text in tokens, stars where the alphabet cannot spell them; punctuation alone is left out."""
    normaliser = fitting(tokenizer.symbols)
    text = TAG.sub(lambda tag: tag[0] if tag[0] == UNKNOWN else " ", text)
    words = [word for word in text.split() if word == STAR_TEXT or any(map(str.isalnum, word))]
    return [Spelling(word, _tokens(word, tokenizer, normaliser)) for word in words]


def _named(words: Sequence[str], normaliser: Normaliser) -> str:
    """The letters and digits of words that a model lacks, for an error."""
    lost = Counter(each for each in normaliser.lost(" ".join(words)).elements() if each.isalnum())
    return f": it lacks {said(lost)}" if lost else ""


def _tokens(word: str, tokenizer: Tokenizer, normaliser: Normaliser) -> list[int]:
    """Ids of a word, or a star if a letter or digit of it has none."""
    spelled = normaliser(word)
    known = set(tokenizer.symbols) - {BLANK}
    lost = UNKNOWN in word or any(map(str.isalnum, normaliser.lost(word)))
    if not spelled or lost or not known.issuperset(spelled.replace(" ", "")):
        return [STAR]
    return tokenizer.encode(spelled)


def joined_tokens(spellings: Sequence[Spelling], tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """All tokens, boundaries between words but not beside stars nor before what says itself that a word begins; and
    where each word begins among them."""
    tokens: list[int] = []
    firsts: list[int] = []
    for spelling in spellings:
        first = spelling.tokens[0]
        if tokens and STAR not in (tokens[-1], first) and not tokenizer.begins[first]:
            tokens.append(tokenizer.boundary)
        firsts.append(len(tokens))
        tokens.extend(spelling.tokens)
    return tokens, firsts


def _peaks(log_probs: Tensor, tokens: Sequence[int], begins: NDArray[np.int64], ends: NDArray[np.int64]) -> list[float]:
    """Probability of each token in the frame of its span where it is most probable; 0 of stars. (L,)"""
    rows = log_probs.detach().cpu().float().numpy()
    return [
        0.0 if token == STAR else min(float(np.exp(rows[begin:end, token].max())), 1.0)
        for token, begin, end in zip(tokens, begins.tolist(), ends.tolist(), strict=True)
    ]


def _word(spelling: Spelling, spans: Sequence[Word], tokenizer: Tokenizer) -> AlignedWord:
    """A word from the spans of its tokens."""
    if spelling.is_star:
        return AlignedWord(spelling.text, spans[0].start, spans[-1].end, 0.0)
    characters = [
        Word(tokenizer.symbols[token].removeprefix(BOUNDARY), span.start, span.end, span.confidence)
        for token, span in zip(spelling.tokens, spans, strict=True)
        if token != tokenizer.boundary
    ]
    confidence = min(each.confidence for each in characters)
    return AlignedWord(spelling.text, characters[0].start, characters[-1].end, confidence, characters)
