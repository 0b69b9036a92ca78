"""Shallow fusion: what language models, a lexicon and hotwords add to the score of a prefix.

A `Scorer` is an automaton over tokens: in each state it has a row of bonuses, one for each next token. `Fusion` runs
several side by side and numbers their joint states, so that the search handles integers and looks bonuses up in a
table; equal states of different prefixes, frames and utterances share one row.

Legend: V tokens, N states seen so far.
"""

from collections.abc import Hashable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LIMIT = 50_000
"""States after which a search goes on with a fresh table; a row has V numbers."""


class Scorer(Protocol):
    """One source of bonuses, in natural logarithms; -inf forbids."""

    def start(self) -> Hashable:
        """State of the empty prefix."""
        ...

    def step(self, state: Any, token: int) -> Hashable:
        """State after one more token."""
        ...

    def add(self, state: Any, row: NDArray[np.float64]) -> None:
        """Add the bonus of each next token to a row. (V,)"""
        ...

    def final(self, state: Any) -> float:
        """Bonus of ending here."""
        ...


@runtime_checkable
class PrefetchingScorer(Scorer, Protocol):
    """A scorer that is faster when it is told beforehand which states will be scored."""

    def prefetch(self, states: Sequence[Any], ends: bool = False) -> None:
        """`add` will come for these states; with `ends`, `final`."""
        ...


class Fusion:
    """Several scorers as one automaton with numbered states.

    Args:
        scorers: whose bonuses are added up; what the first forbid, the others need not score.
        vocabulary: tokens of the tokenizer, V.
    """

    def __init__(self, scorers: Sequence[Scorer], vocabulary: int):
        self.scorers = list(scorers)
        self.vocabulary = vocabulary
        self._prefetching = [(at, each) for at, each in enumerate(scorers) if isinstance(each, PrefetchingScorer)]
        self._rows = np.zeros((1024, vocabulary))  # (N, V) and room for more
        self._next = np.full((1024, vocabulary), -1)  # (N, V)
        self._numbers: dict[tuple[Hashable, ...], int] = {}
        self._states: list[tuple[Hashable, ...]] = []
        self._table: Tensor | None = None
        self._finals: dict[int, float] = {}
        self._successor: Fusion | None = None
        start = tuple(scorer.start() for scorer in self.scorers)
        self._prefetch([start])
        self.start = self._number(start)
        """State of the empty prefix."""

    @property
    def is_full(self) -> bool:
        """So many states are known that a fresh table is better."""
        return len(self._states) > LIMIT

    def with_room(self) -> "Fusion":
        """The table for a new search: this one, or, once it is full, a later one that such searches share."""
        if not self.is_full:
            return self
        if self._successor is None or self._successor.is_full:
            self._successor = self.fresh()  # searches that are under way keep theirs
        return self._successor

    def fresh(self) -> "Fusion":
        """The same scorers with an empty table."""
        return Fusion(self.scorers, self.vocabulary)

    def adopt(self, other: "Fusion", states: Sequence[int]) -> list[int]:
        """Numbers here of states that another table with these scorers has numbered."""
        self._prefetch([parts for state in set(states) if (parts := other._states[state]) not in self._numbers])
        return [self._number(other._states[state]) for state in states]

    def table(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Bonuses of all states so far. (N, V)"""
        if device.type == "cpu" and dtype == torch.float64:
            return torch.from_numpy(self._rows)
        if self._table is None or self._table.device != device or self._table.dtype != dtype:
            self._table = torch.from_numpy(self._rows).to(device, dtype)
        return self._table

    def advance(self, states: Tensor, tokens: Tensor) -> Tensor:
        """States after one more token each. (n,), (n,) -> (n,)"""
        before, said = states.cpu().numpy(), tokens.cpu().numpy()
        after = self._next[before, said]
        places = (after < 0).nonzero()[0].tolist()
        reached = [self._step(int(before[at]), int(said[at])) for at in places]
        if self._prefetching:
            self._prefetch([parts for parts in reached if parts not in self._numbers])
        for at, parts in zip(places, reached, strict=True):
            after[at] = self._next[before[at], said[at]] = self._number(parts)
        return torch.from_numpy(after).to(states.device)

    def finals(self, states: Sequence[int]) -> list[float]:
        """Bonuses of ending in these states."""
        if self._prefetching:
            self._prefetch([self._states[state] for state in set(states) if state not in self._finals], ends=True)
        return [self.final(state) for state in states]

    def final(self, state: int) -> float:
        """Bonus of ending in a state."""
        if state not in self._finals:
            parts = zip(self.scorers, self._states[state], strict=True)
            self._finals[state] = sum(scorer.final(part) for scorer, part in parts)
        return self._finals[state]

    def _step(self, state: int, token: int) -> tuple[Hashable, ...]:
        """The joint state after one more token."""
        parts = zip(self.scorers, self._states[state], strict=True)
        return tuple([scorer.step(part, token) for scorer, part in parts])

    def _prefetch(self, states: Sequence[tuple[Hashable, ...]], ends: bool = False) -> None:
        """Tell the scorers that want to know it what comes."""
        for at, scorer in self._prefetching if states else ():
            scorer.prefetch([parts[at] for parts in states], ends)

    def _number(self, parts: tuple[Hashable, ...]) -> int:
        """The number of a joint state; a new one gets its row."""
        number = self._numbers.get(parts)
        if number is None:
            number = self._numbers[parts] = len(self._states)
            self._states.append(parts)
            if number == len(self._rows):
                self._rows = np.concatenate((self._rows, np.zeros_like(self._rows)))
                self._next = np.concatenate((self._next, np.full_like(self._next, -1)))
            row = self._rows[number]
            for scorer, part in zip(self.scorers, parts, strict=True):
                scorer.add(part, row)
            self._table = None
        return number
