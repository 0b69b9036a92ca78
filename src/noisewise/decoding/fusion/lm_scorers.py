"""Language models in the beam: what a model adds to a prefix, symbol by symbol or word by word.

A. Hannun et al. (2014), "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent
DNNs", section 2.2: Q(Y) = ln P_CTC(Y | X) + alpha ln P_LM(Y) + beta |Y|, |Y| counting what the model counts.
"""

from collections.abc import Collection, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisewise.lm.protocol import BatchedLanguageModel, LanguageModel
from noisewise.text.tokenizer import Tokenizer

UNKNOWN_FLOOR = -20.0
"""Lowest ln P of a word out of the vocabulary; models without `<unk>` would forbid it."""

FULL_PENALTY = 0.05
"""Weight from which the OOV penalty holds in full; below, it falls with the weight, to nothing at 0."""
REMEMBERED = 200_000
"""Scores of words that are kept."""


class WordScorer:
    """A model over words, asked at the boundary after each word and at the end.

    Args:
        model: over words.
        tokenizer: spells them.
        weight: alpha.
        bonus: beta, per word.
        unknown_penalty: taken off for each word out of the model's vocabulary; less below a weight of `FULL_PENALTY`.
        spared: words that are never punished as unknown, such as hotwords.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        weight: float = 1.0,
        bonus: float = 0.0,
        unknown_penalty: float = 0.0,
        spared: Collection[str] = (),
    ):
        self.model, self.weight, self.bonus = model, weight, bonus
        self.unknown_penalty = unknown_penalty * min(max(weight / FULL_PENALTY, 0.0), 1.0)
        self.spared = frozenset(spared)
        self.boundary = tokenizer.boundary
        self._batched = model if isinstance(model, BatchedLanguageModel) else None
        self._letters = [tokenizer.decode([token]) for token in range(len(tokenizer))]
        self._scored: dict[tuple[Hashable, str], tuple[float, Hashable]] = {}

    def start(self) -> Hashable:
        """The state of the model, and the letters of the word that has begun."""
        return self.model.start(), ""

    def step(self, state: Any, token: int) -> Hashable:
        """State after one more token."""
        before, word = state
        if token != self.boundary:
            return before, word + self._letters[token]
        return (self._score(before, word)[1], "") if word else state

    def prefetch(self, states: Sequence[Any], ends: bool = False) -> None:
        """The model is asked after the words before a word that has begun, and at the end after that word too."""
        if self._batched is None:
            return
        asked = {before for before, word in states if word or ends}
        if ends:
            asked |= {self._batched.advance(before, word) for before, word in states if word}
        self._batched.prefetch(asked)

    def add(self, state: Any, row: NDArray[np.float64]) -> None:
        """The score of the word for the boundary after it. (V,)"""
        before, word = state
        if word and row[self.boundary] > -np.inf:  # a lexicon before this one may forbid the word
            row[self.boundary] += self._score(before, word)[0]

    def final(self, state: Any) -> float:
        """The score of the last word, and of the end."""
        before, word = state
        score, after = self._score(before, word) if word else (0.0, before)
        return score + self.weight * self.model.end(after)

    def _score(self, state: Hashable, word: str) -> tuple[float, Hashable]:
        key = (state, word)
        found = self._scored.get(key)
        if found is None:
            if len(self._scored) > REMEMBERED:
                self._scored.clear()
            score, after = self.model.score(state, word)
            penalty = 0.0
            if not self.model.knows(word):
                score, penalty = max(score, UNKNOWN_FLOOR), self.unknown_penalty * (word not in self.spared)
            found = self._scored[key] = (self.weight * score + self.bonus - penalty, after)
        return found


class CharacterScorer:
    """A model over the symbols of the tokenizer, `|` between words, asked for each symbol and at the end.

    Args:
        model: over symbols.
        tokenizer: names them.
        weight: alpha.
        bonus: beta, per symbol.
    """

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, weight: float = 1.0, bonus: float = 0.0):
        self.model, self.weight, self.bonus = model, weight, bonus
        self._batched = model if isinstance(model, BatchedLanguageModel) else None
        self.symbols = tokenizer.symbols
        self.blank = tokenizer.blank

    def start(self) -> Hashable:
        """The state of the model."""
        return self.model.start()

    def step(self, state: Any, token: int) -> Hashable:
        """State after one more token."""
        return self.model.score(state, self.symbols[token])[1]

    def prefetch(self, states: Sequence[Any], ends: bool = False) -> None:
        """The model is asked in every state."""
        if self._batched is not None:
            self._batched.prefetch(states)

    def add(self, state: Any, row: NDArray[np.float64]) -> None:
        """The score of each next symbol. (V,)"""
        scores = [max(self.model.score(state, symbol)[0], UNKNOWN_FLOOR) for symbol in self.symbols]
        scores[self.blank] = 0.0
        row += self.weight * np.array(scores) + self.bonus

    def final(self, state: Any) -> float:
        """The score of the end."""
        return self.weight * self.model.end(state)
