"""Language models, lexicons and hotwords in a search over subwords.

The scorers are asked in pieces with `|` between words, as in a search over letters. A subword is one or two of these:
its piece, and `|` before it where it begins a word. So the score of a word is known when the next one begins.

Legend: V subwords, P pieces.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisewise.decoding.fusion.fusion import PrefetchingScorer, Scorer
from noisewise.text.subword import Pieces


class SubwordScorers:
    """Several scorers over pieces as one over subwords.

    Args:
        scorers: over pieces; what the first forbid, the others need not score.
        pieces: of the tokenizer.
    """

    def __init__(self, scorers: Sequence[Scorer], pieces: Pieces):
        self.scorers, self.pieces = list(scorers), pieces
        self._prefetching = [(at, each) for at, each in enumerate(scorers) if isinstance(each, PrefetchingScorer)]
        self._of = np.array(pieces.of)  # (V,)
        self._bare = self._of == pieces.boundary
        self._begins = np.array(pieces.subwords.begins) & ~self._bare

    def start(self) -> Hashable:
        """State of the empty prefix."""
        return tuple(scorer.start() for scorer in self.scorers)

    def step(self, state: Any, token: int) -> Hashable:
        """State after one more subword."""
        if self._begins[token]:
            state = self._step(state, self.pieces.boundary)
        return self._step(state, self.pieces.of[token])

    def add(self, state: Any, row: NDArray[np.float64]) -> None:
        """The bonus of each next subword: of its piece, or of `|` and then of its piece. (V,)"""
        here = self._row(state)
        row += np.where(self._begins, here[self.pieces.boundary], here[self._of])
        if here[self.pieces.boundary] > -np.inf:
            after = self._row(self._step(state, self.pieces.boundary))
            row[self._begins] += after[self._of[self._begins]]

    def final(self, state: Any) -> float:
        """Bonus of ending here."""
        return sum(scorer.final(part) for scorer, part in zip(self.scorers, state, strict=True))

    def prefetch(self, states: Sequence[Any], ends: bool = False) -> None:
        """`add` will come for these states; with `ends`, `final`."""
        for at, scorer in self._prefetching:
            scorer.prefetch([state[at] for state in states], ends)
        if self._prefetching and not ends:
            after = [self._step(state, self.pieces.boundary) for state in states]
            for at, scorer in self._prefetching:
                scorer.prefetch([state[at] for state in after], ends)

    def _step(self, state: Any, piece: int) -> tuple[Hashable, ...]:
        return tuple([scorer.step(part, piece) for scorer, part in zip(self.scorers, state, strict=True)])

    def _row(self, state: Any) -> NDArray[np.float64]:
        """(P,)"""
        row = np.zeros(len(self.pieces))
        for scorer, part in zip(self.scorers, state, strict=True):
            scorer.add(part, row)
        return row
