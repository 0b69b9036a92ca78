"""Words that may be said, as a trie of letters: the search stays within them.

The look-ahead spreads the score of a word over its letters: S. Ortmanns, H. Ney, A. Eiden (1996), "Language-Model
Look-Ahead for Large Vocabulary Speech Recognition"; flashlight-text calls it smearing.
"""

import math
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisewise.decoding.fusion.lm_scorers import UNKNOWN_FLOOR
from noisewise.decoding.fusion.spelling import must_be_spelled, spells
from noisewise.errors import DecodingError
from noisewise.lm.protocol import LanguageModel
from noisewise.text.tokenizer import Tokenizer


class Lexicon:
    """A trie of the words' tokens; node 0 is where a word begins.

    Args:
        words: those that may be said; words that the tokenizer cannot spell are left out.
        tokenizer: spells them.
        model: over words; spreads the best score among the words below a node over the way to it.
        weight: of that model, alpha.
    """

    def __init__(
        self,
        words: Iterable[str],
        tokenizer: Tokenizer,
        model: LanguageModel | None = None,
        weight: float = 1.0,
    ):
        self.boundary = tokenizer.boundary
        self.children: list[dict[int, int]] = [{}]
        self.is_word: list[bool] = [False]
        self.left_out = 0
        """Words that the tokenizer cannot spell."""
        self._ahead = [-math.inf]
        words = list(words)
        must_be_spelled(words, tokenizer, "lexicon")
        for word in words:
            tokens = tokenizer.encode(word)
            if self.boundary in tokens or not spells(tokenizer, word):
                self.left_out += 1
            else:
                self._insert(tokens, weight * max(model.score(model.start(), word)[0], UNKNOWN_FLOOR) if model else 0.0)
        if len(self.children) == 1:
            raise DecodingError("`words` must hold a word that the tokenizer can spell, but holds none; check the case")
        self._ahead[0] = 0.0

    def _insert(self, tokens: list[int], score: float) -> None:
        node = 0
        for token in tokens:
            if token not in self.children[node]:
                self.children[node][token] = len(self.children)
                self.children.append({})
                self.is_word.append(False)
                self._ahead.append(-math.inf)
            node = self.children[node][token]
            self._ahead[node] = max(self._ahead[node], score)
        self.is_word[node] = True

    def start(self) -> Hashable:
        """Node of the empty prefix."""
        return 0

    def step(self, state: Any, token: int) -> Hashable:
        """Node after one more token."""
        return 0 if token == self.boundary else self.children[state].get(token, 0)

    def add(self, state: Any, row: NDArray[np.float64]) -> None:
        """-inf for what is not in the lexicon, and the change of the look-ahead. (V,)"""
        ahead, here = self._ahead, self._ahead[state]
        kept = [(token, row[token] + ahead[child] - here) for token, child in self.children[state].items()]
        if self.is_word[state] or state == 0:
            kept.append((self.boundary, row[self.boundary] - here))
        row[:] = -np.inf
        for token, bonus in kept:
            row[token] = bonus

    def final(self, state: Any) -> float:
        """-inf within a word; the look-ahead is given back."""
        return -self._ahead[state] if self.is_word[state] or state == 0 else -math.inf
