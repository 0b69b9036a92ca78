"""Interpolated modified Kneser-Ney n-gram models from text, to an ARPA file, without a compiler.

S. Chen, J. Goodman (1998), "An Empirical Study of Smoothing Techniques for Language Modeling", section 3 (equations
numbered as there); pruning as K. Heafield et al. (2013), "Scalable Modified Kneser-Ney Language Model Estimation".

Legend: n n-grams of one order, k the order.
"""

import gzip
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import DecodingError
from noisewise.lm.ngram import BEGIN, END, UNKNOWN

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where there is too little text to estimate them, as lmplz has them."""
NEVER_LOG10 = -99.0
"""Of `<s>`, which is never predicted."""


@dataclass(frozen=True)
class Level:
    """The n-grams of one order."""

    tokens: NDArray[np.int32]
    """(n, k)"""
    log10: Floats
    """(n,)"""
    backoff_log10: Floats
    """(n,)"""
    discounts: tuple[float, float, float]
    """D1, D2 and D3+."""
    is_estimated: bool
    """The discounts come from the text."""


@dataclass(frozen=True)
class Estimate:
    """A trained model."""

    vocabulary: list[str]
    levels: list[Level]

    def save(self, path: str | Path) -> None:
        """Write an ARPA file, packed when its name ends in .gz."""
        opened = gzip.open if str(path).endswith(".gz") else open
        with opened(path, "wt", encoding="utf-8") as file:
            file.write("\\data\\\n")
            file.writelines(f"ngram {k}={len(level.log10)}\n" for k, level in enumerate(self.levels, start=1))
            for k, level in enumerate(self.levels, start=1):
                file.write(f"\n\\{k}-grams:\n")
                file.writelines(self._lines(level, k == len(self.levels)))
            file.write("\n\\end\\\n")

    def _lines(self, level: Level, is_last: bool) -> Iterable[str]:
        words = self.vocabulary
        for tokens, score, backoff in zip(level.tokens.tolist(), level.log10, level.backoff_log10, strict=True):
            text = " ".join([words[token] for token in tokens])
            yield f"{score:.7f}\t{text}\n" if is_last else f"{score:.7f}\t{text}\t{backoff:.7f}\n"


@dataclass(frozen=True)
class _Counts:
    """The n-grams of one order with what they are made of."""

    raw: Integers
    history: Integers
    """Index of the first k - 1 tokens among the n-grams of the order below."""
    last: Integers
    shorter: Integers
    """Index of the last k - 1 tokens among the n-grams of the order below."""
    from_begin: NDArray[np.bool_]
    """The first token is `<s>`."""


def train(
    sentences: Iterable[Sequence[str]],
    order: int = 3,
    *,
    prune: Sequence[int] = (),
    vocabulary: int | None = None,
) -> Estimate:
    """Estimate a model.

    Args:
        sentences: tokens of each sentence, without `<s>` and `</s>`.
        order: longest n-gram.
        prune: for the orders from 1 on, drop n-grams that occur so often or less; the last number holds for the orders
            beyond. Unigrams are never dropped.
        vocabulary: keep so many tokens, the most frequent; the others become `<unk>`.

    Raises:
        DecodingError: no text, tokens that mean something else in ARPA files, or numbers that make no model.
    """
    thresholds = _thresholds(prune, order)
    words, stream, places = _encode(sentences, vocabulary)
    counts = _count(stream, places, len(words), order)
    levels: list[Level] = []
    lower = np.full(len(words), 1.0 / (len(words) - 1))  # uniform over all but <s>
    kept_below = np.arange(len(words))
    tokens = np.arange(len(words), dtype=np.int32)[:, None]  # (n, k)
    for k, count in enumerate(counts, start=1):
        adjusted = _adjusted(count, counts[k] if k < order else None)
        if k == 1:
            adjusted[words.index(BEGIN)] = 0
        kept = count.raw > thresholds[k - 1] if k > 1 else np.ones(len(count.raw), bool)
        discounts, is_estimated = _discounts(adjusted)
        base, histories = (lower, 1) if k == 1 else (lower[count.shorter], len(lower))
        probability, gamma = _interpolate(count, adjusted, kept, discounts, base, histories)
        if k > 1:
            levels[-1].backoff_log10[:] = np.maximum(np.log10(gamma[kept_below]), NEVER_LOG10)
            tokens = np.column_stack((tokens[count.history], count.last)).astype(np.int32)
        log10 = np.log10(probability[kept])
        if k == 1:
            log10[words.index(BEGIN)] = NEVER_LOG10
        levels.append(Level(tokens[kept], log10, np.zeros(int(kept.sum())), discounts, is_estimated))
        lower, kept_below = probability, kept.nonzero()[0]
    return Estimate(words, levels)


def _thresholds(prune: Sequence[int], order: int) -> list[int]:
    if order < 1:
        raise DecodingError(f"`order` must be 1 or more, but is {order} instead")
    if len(prune) > order:
        raise DecodingError(f"`prune` must have at most {order} numbers, but has {len(prune)}; leave some out")
    thresholds = [*prune, *([prune[-1] if prune else 0] * (order - len(prune)))]
    if thresholds[0] < 0 or thresholds != sorted(thresholds):
        raise DecodingError(
            f"`prune` must be numbers that do not fall, from 0 on, but is {list(prune)} instead; no n-gram may begin "
            "with a pruned one"
        )
    return thresholds


def _encode(sentences: Iterable[Sequence[str]], limit: int | None) -> tuple[list[str], Integers, Integers]:
    """Vocabulary, tokens of all sentences in a row, and the place of each in its sentence."""
    numbers: dict[str, int] = {UNKNOWN: 0, BEGIN: 1, END: 2}
    pieces: list[int] = []
    places: list[int] = []
    for sentence in sentences:
        if any(token in (UNKNOWN, BEGIN, END) or len(token.split()) != 1 for token in sentence):
            raise DecodingError("tokens must be words without blanks, and not <s>, </s> or <unk>; normalise the text")
        if sentence:
            pieces += [1, *(numbers.setdefault(token, len(numbers)) for token in sentence), 2]
            places += range(len(sentence) + 2)
    if not pieces:
        raise DecodingError("the text must hold words, but holds none; check that it is text in English letters")
    stream, words = np.array(pieces, dtype=np.int64), list(numbers)
    if limit is not None:
        if limit < 1:
            raise DecodingError(f"`vocabulary` must be 1 or more, but is {limit} instead")
        often = Counter(dict(zip(words, np.bincount(stream, minlength=len(words)).tolist(), strict=True)))
        chosen = sorted(words[3:], key=lambda word: (-often[word], word))[:limit]
        renumbered = {word: index for index, word in enumerate([*words[:3], *chosen])}
        stream, words = np.array([renumbered.get(word, 0) for word in words])[stream], list(renumbered)
    return words, stream, np.array(places, dtype=np.int64)


def _count(stream: Integers, places: Integers, size: int, order: int) -> list[_Counts]:
    """The n-grams of each order; one is known by its number, and built from that of its history and its last token."""
    whole = np.arange(size)
    raw = np.bincount(stream, minlength=size)
    counts = [_Counts(raw, np.zeros(size, np.int64), whole, np.zeros(size, np.int64), whole == 1)]
    grams = stream  # number of the n-gram that ends at each place of the stream, if one does
    for k in range(2, order + 1):
        ends = (places >= k - 1).nonzero()[0]
        keys, inverse, raw = np.unique(grams[ends - 1] * size + stream[ends], return_inverse=True, return_counts=True)
        shorter, from_begin = np.empty(len(keys), np.int64), np.zeros(len(keys), bool)
        shorter[inverse] = grams[ends]
        from_begin[inverse] = places[ends] == k - 1
        counts.append(_Counts(raw, keys // size, keys % size, shorter, from_begin))
        grams = np.zeros_like(stream)
        grams[ends] = inverse
    return counts


def _adjusted(count: _Counts, longer: _Counts | None) -> Integers:
    """How many different tokens an n-gram follows; how often it occurs, at the highest order and after `<s>`."""
    if longer is None:
        return count.raw.copy()
    continuations = np.bincount(longer.shorter, minlength=len(count.raw))
    return np.where(count.from_begin, count.raw, continuations)


def _discounts(adjusted: Integers) -> tuple[tuple[float, float, float], bool]:
    """D1, D2, D3+ of one order (eq. 26), and whether the text was enough to estimate them."""
    n1, n2, n3, n4 = (int((adjusted == value).sum()) for value in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return FALLBACK, False
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    fit = all(0 <= discount <= value for value, discount in enumerate(found, start=1))
    return (found, True) if fit else (FALLBACK, False)


def _interpolate(
    count: _Counts,
    adjusted: Integers,
    kept: NDArray[np.bool_],
    discounts: tuple[float, float, float],
    base: Floats,
    histories: int,
) -> tuple[Floats, Floats]:
    """Probabilities of the n-grams, and the weight gamma that each history leaves to the order below (eqs. 21 to 24).

    A pruned n-gram leaves its whole count.

    Args:
        count: the n-grams.
        adjusted: their counts. (n,)
        kept: those that are not pruned. (n,)
        discounts: D1, D2, D3+.
        base: their probability in the order below. (n,)
        histories: how many there are, those without n-grams included.
    """
    discounted = np.array((0.0, *discounts))[np.minimum(adjusted, 3)]
    taken = np.where(kept, discounted, adjusted)
    total = np.bincount(count.history, adjusted, minlength=histories)
    left = np.bincount(count.history, taken, minlength=histories)
    gamma = np.divide(left, total, out=np.ones(histories), where=total > 0)
    return (adjusted - taken) / total[count.history] + gamma[count.history] * base, gamma
