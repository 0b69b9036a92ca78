"""One interface for language models, and the models that other packages read.

A language model scores the tokens of a sentence one after another: words, or characters with `|` between words. All
scores are natural logarithms.
"""

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from noisewise.text.tokenizer import BOUNDARY

Unit = Literal["words", "characters"]

LN_10 = math.log(10)
"""Language model files hold logarithms to the base of 10."""
TOGETHER = 2000
"""Tokens of a text that a model which works in batches computes together, about."""


class LanguageModel(Protocol):
    """P(token | tokens before), with a state that stands for the tokens before."""

    def start(self) -> Hashable:
        """The state at the beginning of a sentence."""
        ...

    def score(self, state: Any, token: str) -> tuple[float, Hashable]:
        """ln P(token | state), and the state after the token."""
        ...

    def end(self, state: Any) -> float:
        """ln P(the sentence ends | state)."""
        ...

    def knows(self, token: str) -> bool:
        """Whether the token is in the vocabulary."""
        ...


@runtime_checkable
class BatchedLanguageModel(LanguageModel, Protocol):
    """A model that is slow alone and fast in batches: it is told beforehand what will be asked."""

    unit: Unit
    """What its tokens are."""

    def advance(self, state: Any, token: str) -> Hashable:
        """The state after a token, without asking for its probability."""
        ...

    def prefetch(self, states: Iterable[Any]) -> None:
        """Compute what `score` and `end` will be asked in these states, all at once."""
        ...


def unit_of(model: LanguageModel, said: Unit) -> Unit:
    """What the tokens of a model are; of one that does not know it, what is said about it."""
    return model.unit if isinstance(model, BatchedLanguageModel) else said


def prefetch(model: LanguageModel, sentences: Iterable[Sequence[str]]) -> None:
    """Let a model that works in batches compute all that whole sentences will ask."""
    if isinstance(model, BatchedLanguageModel):
        model.prefetch({state for sentence in sentences for state in _states(model, sentence)})


def _states(model: BatchedLanguageModel, sentence: Sequence[str]) -> Iterator[Hashable]:
    state = model.start()
    yield state
    for token in sentence:
        state = model.advance(state, token)
        yield state


def sentence_score(model: LanguageModel, tokens: Iterable[str]) -> float:
    """ln P(tokens, end of sentence)."""
    state, total = model.start(), 0.0
    for token in tokens:
        score, state = model.score(state, token)
        total += score
    return total + model.end(state)


@dataclass(frozen=True)
class Perplexity:
    """Perplexity of a text under a model."""

    sentences: int
    tokens: int
    words: int
    """As many as the tokens, or fewer of a model over characters."""
    unknown: int
    """Tokens out of its vocabulary."""
    score: float
    """ln P of the text, ends of sentences included."""
    known_score: float
    """The same without the tokens out of its vocabulary."""

    @property
    def perplexity(self) -> float:
        """Per token, ends of sentences included."""
        return math.exp(min(-self.score / max(self.tokens + self.sentences, 1), 700.0))

    @property
    def word_perplexity(self) -> float:
        """Per word, ends of sentences included: what models over words and over characters share."""
        return math.exp(min(-self.score / max(self.words + self.sentences, 1), 700.0))

    @property
    def known_perplexity(self) -> float:
        """The same without the tokens out of its vocabulary."""
        return math.exp(min(-self.known_score / max(self.tokens - self.unknown + self.sentences, 1), 700.0))


def measure(model: LanguageModel, sentences: Iterable[Sequence[str]], characters: bool = False) -> Perplexity:
    """Score a text, sentence by sentence; of words, or of characters with `|` between words."""
    count = tokens = words = unknown = 0
    total = known = 0.0
    for sentence in _prefetched(model, sentences):
        state = model.start()
        for token in sentence:
            score, state = model.score(state, token)
            is_known = model.knows(token)
            total, known, unknown = total + score, known + score * is_known, unknown + (not is_known)
        end = model.end(state)
        count, tokens, total, known = count + 1, tokens + len(sentence), total + end, known + end
        words += 1 + sentence.count(BOUNDARY) if characters else len(sentence)
    return Perplexity(count, tokens, words, unknown, total, known)


def _prefetched(model: LanguageModel, sentences: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """The same sentences, some of them computed together before they come."""
    waiting: list[Sequence[str]] = []
    for sentence in sentences:
        waiting.append(sentence)
        if sum(map(len, waiting)) >= TOGETHER:
            prefetch(model, waiting)
            yield from waiting
            waiting = []
    prefetch(model, waiting)
    yield from waiting
