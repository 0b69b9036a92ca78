"""Word and character error rates, and how sure one can be of them.

Both texts are normalised (`noisewise.text.normalise`; `english` unless another is chosen), aligned by edit distance
(jiwer), and counted. Where a normaliser knows several readings of a hypothesis (`english-spoken`: 1905), the one with
the fewest edits counts; a reference has one reading, so that N is the same for every recogniser and condition:

    WER = (S + D + I) / N

S, D and I are summed over all utterances and N is the number of reference words: the *corpus* rate. The mean
of the rates of single utterances is given as well, because published tables of noisy speech use it; short
utterances weigh more in it.

A reference without words is kept: all words of its hypothesis count as insertions in the corpus rate. It has no
rate of its own, so it is left out of the mean over utterances. A reference of which nothing stays is an error, for it
has words that the normaliser does not know.

Characters are counted with the single spaces between words.

Legend: N utterances, R resamples, G speakers or other groups.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
from numpy.typing import NDArray

from noisewise.errors import EvaluationError
from noisewise.text.normalise import ENGLISH, Normaliser, NormaliserName, choose, said

__all__ = [
    "ENGLISH",
    "Interval",
    "Normaliser",
    "NormaliserName",
    "Score",
    "WordErrors",
    "bootstrap",
    "choose",
    "interval",
    "lost",
    "must_stay",
    "resample",
    "resampled_rates",
    "said",
    "score",
]

Counts = NDArray[np.int64]
Rates = NDArray[np.float64]


@dataclass(frozen=True)
class WordErrors:
    """Edits between a reference and a hypothesis; `+` pools them."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference_words: int = 0
    """Words (or characters) of the reference."""

    @property
    def total(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Edits per reference word; None without a reference word."""
        return self.total / self.reference_words if self.reference_words else None

    def __add__(self, other: "WordErrors") -> "WordErrors":
        return WordErrors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference_words + other.reference_words,
        )


@dataclass(frozen=True)
class Score:
    """What `score` returns."""

    words: WordErrors
    characters: WordErrors
    per_utterance: list[WordErrors]
    """Word errors of each utterance, in the order given."""
    normaliser: str
    """Name of the rules under which the texts were compared."""

    @property
    def wer(self) -> float:
        """Corpus word error rate; 0.1 is 10 %."""
        return self.words.total / self.words.reference_words

    @property
    def cer(self) -> float:
        """Corpus character error rate."""
        return self.characters.total / self.characters.reference_words

    @property
    def mean_utterance_wer(self) -> float:
        """Mean of the word error rates of the utterances that have reference words."""
        return float(np.mean([errors.rate for errors in self.per_utterance if errors.rate is not None]))


def score(
    references: Sequence[str],
    hypotheses: Sequence[str],
    *,
    normaliser: Callable[[str], str] | str = ENGLISH,
    normaliser_name: str | None = None,
) -> Score:
    """Word and character errors of hypotheses.

    Args:
        references: one text per utterance.
        hypotheses: one text per utterance, in the same order.
        normaliser: applied to both: a choice of `noisewise.text.normalise`, also by its name, or your own function.
        normaliser_name: stored with the score; name a function of your own.

    Example:
        >>> found = score(["THE CAT SAT"], ["the cat sat down"])
        >>> found.words
        WordErrors(substitutions=0, deletions=0, insertions=1, reference_words=3)
        >>> round(found.wer, 3)
        0.333

    Raises:
        EvaluationError: the lists differ in length, no reference has a word, or one has only words that the normaliser
            removes.
        ConfigError: there is no normaliser of that name.
    """
    if isinstance(normaliser, str):
        normaliser = choose(normaliser)
    normaliser_name = normaliser_name or str(getattr(normaliser, "name", "own"))
    if len(references) != len(hypotheses):
        raise EvaluationError(
            f"`hypotheses` must be one per reference, {len(references)}, but are {len(hypotheses)} instead; "
            "give an empty text where there is no hypothesis"
        )
    given = [normaliser(text) for text in references]
    found = [_nearest(normaliser, text, reference) for text, reference in zip(hypotheses, given, strict=True)]
    if isinstance(normaliser, Normaliser):
        for reference, text in zip(references, given, strict=True):
            if not text:
                must_stay(reference, normaliser)
    if not any(given):
        raise EvaluationError(f"`references` must hold a word under {normaliser_name}, but hold none; check the texts")
    per_utterance = _errors(jiwer.process_words(given, found))
    characters = _errors(jiwer.process_characters(given, found))
    return Score(sum(per_utterance, WordErrors()), sum(characters, WordErrors()), per_utterance, normaliser_name)


def _nearest(normaliser: Callable[[str], str], text: str, reference: str) -> str:
    """A normalised hypothesis: of several readings the one that is nearest to the normalised reference."""
    return normaliser.nearest(text, reference) if isinstance(normaliser, Normaliser) else normaliser(text)


def must_stay(text: str, normaliser: Normaliser) -> None:
    """Refuse a text that has words, but none that a normaliser leaves.

    Raises:
        EvaluationError: it is such a text.
    """
    if not normaliser(text) and (gone := lost([text], normaliser)):
        raise EvaluationError(
            f"`text` must keep a word under the normaliser {normaliser.name}, but {text[:80]!r} keeps none of "
            f"{said(gone)}; choose another, such as unicode for other scripts, or spell digits out in words"
        )


def lost(texts: Iterable[str], normaliser: Normaliser = ENGLISH) -> Counter[str]:
    """Characters of texts that are spoken and yet removed by a normaliser (digits, other scripts, symbols), and how
    often each occurs; tags, which are no words, are not among them."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update({each: count for each, count in normaliser.lost(text).items() if len(each) == 1})
    return found


def _errors(aligned: "jiwer.WordOutput | jiwer.CharacterOutput") -> list[WordErrors]:
    return [
        _counted(chunks, len(reference))
        for chunks, reference in zip(aligned.alignments, aligned.references, strict=True)
    ]


def _counted(chunks: Sequence["jiwer.AlignmentChunk"], reference_words: int) -> WordErrors:
    counts = {"substitute": 0, "delete": 0, "insert": 0, "equal": 0}
    for chunk in chunks:
        counts[chunk.type] += max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
    return WordErrors(counts["substitute"], counts["delete"], counts["insert"], reference_words)


@dataclass(frozen=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float


def bootstrap(
    per_utterance: Sequence[WordErrors],
    *,
    groups: Sequence[str] | None = None,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the corpus word error rate (Bisani and Ney, ICASSP 2004).

    Args:
        per_utterance: errors of each utterance.
        groups: for instance the speaker of each utterance; whole groups are drawn, which gives the wider and
            more honest interval when errors go with the speaker. Utterances are drawn when left out.
        samples: number of resamples.
        level: share of the resamples inside the interval.
        seed: seed of the draws.
    """
    times = resample(len(per_utterance), groups=groups, samples=samples, seed=seed)
    errors = np.array([one.total for one in per_utterance], dtype=np.int64)
    words = np.array([one.reference_words for one in per_utterance], dtype=np.int64)
    return interval(resampled_rates(times, errors, words), level)


def resample(
    count: int, *, groups: Sequence[str] | None = None, within: bool = False, samples: int = 1000, seed: int = 0
) -> Counts:
    """How often each of `count` utterances is drawn in each resample, (R, N).

    The same draws serve every condition of the same utterances, so that averages over conditions and
    differences between recognisers are resampled in pairs.

    Args:
        count: number of utterances N.
        groups: block of each utterance, such as its speaker; whole blocks are drawn (Liu and Peng 2020,
            arXiv 1912.09508). Utterances are drawn when left out.
        within: draw utterances, with replacement, within each block that was drawn: the hierarchical bootstrap.
        samples: number of resamples R.
        seed: seed of the draws.

    Raises:
        EvaluationError: `groups` does not name one group per utterance, or there is nothing to draw.
    """
    names = list(range(count)) if groups is None else list(groups)
    if len(names) != count or count == 0 or samples < 1:
        raise EvaluationError(
            f"`groups` must name a group for each utterance, and there must be something to draw, "
            f"but there are {len(names)} groups, {count} utterances and {samples} resamples instead"
        )
    _, membership = np.unique(np.asarray(names), return_inverse=True)
    size = int(membership.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=samples)  # (R, G)
    if not within:
        return drawn[:, membership].astype(np.int64)
    return _within(drawn, membership, np.random.default_rng([seed, 1]))


def _within(drawn: Counts, membership: Counts, generator: np.random.Generator) -> Counts:
    """As many utterances of each block as it has, for each time that it was drawn. (R, G), (N,) -> (R, N)"""
    times = np.zeros((len(drawn), len(membership)), dtype=np.int64)
    for block in range(drawn.shape[1]):
        members = np.flatnonzero(membership == block)
        share = np.full(len(members), 1 / len(members))
        times[:, members] = generator.multinomial(drawn[:, block] * len(members), share)
    return times


def resampled_rates(times: Counts, errors: Counts, words: Counts) -> Rates:
    """Corpus error rate in each resample: (R,) for errors (N,), (R, C) for errors (N, C) of C conditions.

    Resamples that drew no reference word are NaN.
    """
    drawn = (times @ words).astype(np.float64)  # (R,)
    drawn[drawn == 0] = np.nan
    return (times @ errors) / (drawn if errors.ndim == 1 else drawn[:, None])


def interval(rates: Rates, level: float = 0.95) -> Interval:
    """The central `level` of resampled rates (R,), by percentiles; NaN ones are left out."""
    low, high = np.nanpercentile(rates, [50 * (1 - level), 50 * (1 + level)])
    return Interval(float(low), float(high))
