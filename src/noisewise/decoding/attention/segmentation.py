"""Long recordings cut where nobody speaks, and what was said in the pieces put together again."""

from collections.abc import Sequence
from dataclasses import replace
from heapq import nlargest
from itertools import accumulate, groupby, product

import torch
from torch import Tensor

from noisewise.decoding.hypothesis import Hypothesis
from noisewise.text.tokenizer import Tokenizer


def pieces(log_probs: Tensor, longest: int, blanks: Sequence[int]) -> list[tuple[int, int]]:
    """Stretches of a recording, cut in the middle of its longest pauses.

    Args:
        log_probs: of the whole recording. (F, V)
        longest: frames of a stretch at most; a pause is looked for in the second half.
        blanks: ids that are no letters: the blank, and the boundary between words.

    Returns:
        First frame, and the frame after the last, of each.
    """
    silent = torch.isin(log_probs.argmax(dim=1), torch.tensor(blanks, device=log_probs.device)).tolist()
    found, start = [], 0
    while len(silent) - start > longest:
        low, high = start + max(longest // 2, 1), start + longest
        runs = [(len(list(group)), is_silent) for is_silent, group in groupby(silent[low:high])]
        firsts = [low, *(low + total for total in accumulate(length for length, _ in runs))]
        pauses = [(count, -first) for (count, is_silent), first in zip(runs, firsts, strict=False) if is_silent]
        length, first = max(pauses, default=(0, 0))
        cut = -first + length // 2 if length else high
        found.append((start, cut))
        start = cut
    return [*found, (start, len(silent))]


def joined(
    parts: Sequence[tuple[float, Sequence[Hypothesis]]], tokenizer: Tokenizer | None, nbest: int = 1
) -> list[Hypothesis]:
    """The likeliest hypotheses of a recording from those of its pieces.

    Args:
        parts: when a piece begins, in seconds, and its hypotheses, best first.
        tokenizer: knows the boundary between words; None where a piece begins with a word by itself.
        nbest: hypotheses kept.
    """
    found = [Hypothesis("", [])]
    for seconds, hypotheses in parts:
        later = [_later(each, seconds) for each in hypotheses] or [Hypothesis("", [])]
        pairs = nlargest(nbest, product(found, later), key=lambda pair: pair[0].score + pair[1].score)
        found = [_together(*pair, tokenizer) for pair in pairs]
    return found


def _together(one: Hypothesis, other: Hypothesis, tokenizer: Tokenizer | None) -> Hypothesis:
    words, between = [*one.words, *other.words], list[int]()
    texts = [one.text, other.text] if tokenizer is None else [word.text for word in words]
    if tokenizer is not None and one.tokens and other.tokens and not tokenizer.begins[other.tokens[0]]:
        between = [tokenizer.boundary]
    return Hypothesis(
        " ".join(filter(None, texts)),
        [*one.tokens, *between, *other.tokens],
        words,
        one.score + other.score,
        one.ctc_score + other.ctc_score,
        one.attention_score + other.attention_score,
        one.fusion_score + other.fusion_score,
    )


def _later(hypothesis: Hypothesis, seconds: float) -> Hypothesis:
    words = [replace(word, start=word.start + seconds, end=word.end + seconds) for word in hypothesis.words]
    return replace(hypothesis, words=words)
