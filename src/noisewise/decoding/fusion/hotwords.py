"""Hotwords: names and terms that the user expects are made likelier, letter by letter.

A. Aho, M. Corasick (1975), "Efficient String Matching: An Aid to Bibliographic Search": an automaton whose state is the
longest end of the text so far that begins a hotword. As the state grows, each letter earns the boost; what an
unfinished match has earned is given back when it breaks, so that a whole transcript keeps exactly

    sum over occurrences of hotwords of boost * letters.

An unfinished match is ahead of all other hypotheses by what it has earned. Far enough ahead, it drives them out of the
beam and skips the words that would break it, so the boost is bounded: see `LIMIT`.

Hotwords match whole words only, and need not be in any vocabulary; they may hold several words.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisewise.decoding.fusion.spelling import spells
from noisewise.errors import DecodingError
from noisewise.text.tokenizer import Tokenizer

BOOST = 1.5
"""Natural logarithm that each letter of a hotword earns."""
LIMIT = 12.0
"""Most that a whole hotword earns by a boost above `BOOST`; less than the default `beam_threshold` of a search, 15, so
that hypotheses without the hotword stay in the beam beside it."""


class Hotwords:
    """The automaton, with a bonus for each next token.

    Args:
        phrases: normalised words or phrases; with boosts of their own, or all with `boost`.
        tokenizer: spells them.
        boost: per letter, in natural logarithms; above `bounded(boost, letters)` it has no further effect.
    """

    def __init__(self, phrases: Iterable[str] | Mapping[str, float], tokenizer: Tokenizer, boost: float = BOOST):
        boosts = dict(phrases) if isinstance(phrases, Mapping) else dict.fromkeys(phrases, boost)
        self.boundary = tokenizer.boundary
        self._children: list[dict[int, int]] = [{}]
        self._earned = [0.0]  # of each node, by the letters on the way to it
        self._rewards = [0.0]  # of the hotwords that end in it
        for phrase, each in boosts.items():
            self._insert([self.boundary, *_tokens_of(phrase, tokenizer), self.boundary], each, tokenizer.symbols)
        self._next, self._bonus = self._automaton(len(tokenizer))

    def _insert(self, tokens: list[int], boost: float, symbols: Sequence[str]) -> None:
        node, letters = 0, 0
        boost = bounded(boost, sum(len(symbols[token]) for token in tokens if token != self.boundary))
        for token in tokens:
            letters += len(symbols[token]) if token != self.boundary else 0
            if token not in self._children[node]:
                self._children[node][token] = len(self._children)
                self._children.append({})
                self._earned.append(boost * letters)
                self._rewards.append(0.0)
            node = self._children[node][token]
            self._earned[node] = max(self._earned[node], boost * letters)
        self._rewards[node] += boost * letters

    def _automaton(self, size: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Next state and bonus of each state and token. (N, V), (N, V)"""
        after = np.zeros((len(self._children), size), dtype=np.int64)
        shorter = [0] * len(self._children)
        queue = deque([0])
        while queue:
            node = queue.popleft()
            after[node] = after[shorter[node]]  # of the longest end that also begins a hotword
            for token, child in self._children[node].items():
                shorter[child] = int(after[node, token]) if node else 0
                self._rewards[child] += self._rewards[shorter[child]]
                after[node, token] = child
                queue.append(child)
        earned, rewards = np.array(self._earned), np.array(self._rewards)
        return after, earned[after] - earned[:, None] + rewards[after]

    def start(self) -> Hashable:
        """A transcript begins as if after a boundary."""
        return int(self._next[0, self.boundary])

    def step(self, state: Any, token: int) -> Hashable:
        """State after one more token."""
        return int(self._next[state, token])

    def add(self, state: Any, row: NDArray[np.float64]) -> None:
        """What each next token earns or gives back. (V,)"""
        row += self._bonus[state]

    def final(self, state: Any) -> float:
        """The end is a boundary, after which nothing can be finished."""
        return float(self._bonus[state, self.boundary] - self._earned[int(self._next[state, self.boundary])])


def bounded(boost: float, letters: int) -> float:
    """The boost for each letter of a hotword with so many letters: as given, up to `BOOST`, or `LIMIT` in all."""
    return min(boost, max(BOOST, LIMIT / max(letters, 2)))


def _tokens_of(phrase: str, tokenizer: Tokenizer) -> list[int]:
    phrase = " ".join(phrase.split())
    if not spells(tokenizer, phrase):
        raise DecodingError(
            f"hotwords must be words that the tokenizer can spell, but one is {phrase!r} instead; write it in "
            f"letters such as {' '.join(tokenizer.symbols[-3:])}"
        )
    return tokenizer.encode(phrase)
