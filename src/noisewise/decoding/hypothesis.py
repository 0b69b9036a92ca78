"""What a decoder returns: a text, its tokens, and its words with times and confidences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby

from noisewise.text.tokenizer import Tokenizer


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
    """Confidence of the model, 0 to 1."""


@dataclass(frozen=True)
class Segment:
    """A stretch of a transcript whose times are known, where those of its words may not be."""

    text: str
    """Its words."""
    start: float
    """When it begins, in seconds from the beginning of the recording."""
    end: float
    """When it ends, in seconds."""


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis of the transcript of an utterance."""

    text: str
    """Words joined by single spaces."""
    tokens: list[int]
    """Token ids after the CTC collapse, word boundaries included."""
    words: list[Word] = field(default_factory=list)
    """The words with times and confidences."""
    score: float = 0.0
    """What hypotheses are ranked by: of greedy decoding, the natural logarithm of the probability of its path; of a
    beam search, that of the tokens given the recording, plus the scores of language models and hotwords."""
    ctc_score: float = 0.0
    """Of a beam search: ln P(tokens | recording) alone, summed over the alignments that the search has kept."""
    attention_score: float = 0.0
    """ln P(tokens | recording) by an attention decoder, where one takes part."""
    fusion_score: float = 0.0
    """Score that language models, lexicon and hotwords add, where attention takes part."""


@dataclass(frozen=True)
class Run:
    """Consecutive frames of one token."""

    token: int
    """Token id."""
    first: int
    """First frame."""
    frames: int
    """Number of frames."""
    confidence: float
    """Largest posterior of the token among these frames."""


def assemble(
    runs: Sequence[Run],
    score: float,
    tokenizer: Tokenizer,
    frame_seconds: float,
    *,
    ctc_score: float = 0.0,
) -> Hypothesis:
    """Group the runs of an alignment into words, each from one symbol that begins a word to the next; see `greedy` for
    times and confidences.

    Args:
        runs: of tokens, without blanks, in the order of time.
        score: of the hypothesis.
        tokenizer: maps ids to text, and knows the boundary between words.
        frame_seconds: time between two frames.
        ctc_score: ln P(tokens | recording).
    """
    numbers = accumulate(tokenizer.begins[run.token] for run in runs)
    groups = groupby(zip(numbers, runs, strict=True), key=lambda pair: pair[0])
    spoken = [[run for _, run in group if run.token != tokenizer.boundary] for _, group in groups]
    words = [word for letters in spoken if letters and (word := _word(letters, tokenizer, frame_seconds)).text]
    return Hypothesis(" ".join(word.text for word in words), [run.token for run in runs], words, score, ctc_score)


def _word(letters: list[Run], tokenizer: Tokenizer, frame_seconds: float) -> Word:
    """One word from the runs of its letters."""
    last = letters[-1]
    return Word(
        text=tokenizer.decode([letter.token for letter in letters]).strip(),
        start=letters[0].first * frame_seconds,
        end=(last.first + last.frames) * frame_seconds,
        confidence=min(letter.confidence for letter in letters),
    )


def collapse(ids: Iterable[int], blank: int = 0) -> list[int]:
    """Map a CTC path to its tokens: merge repeats, then drop blanks.

    Graves et al. (2006), "Connectionist temporal classification", section 3.1, the map B.

    Args:
        ids: token id of each frame.
        blank: id of the blank.
    """
    return [token for token, _ in groupby(ids) if token != blank]
