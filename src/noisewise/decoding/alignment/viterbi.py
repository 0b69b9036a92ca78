"""The likeliest alignment of tokens with frames: Viterbi over the topology of CTC, exact and in bounded memory.

Between, before and after the L tokens stand blanks: states s = 0 .. 2L, where token i is state 2i + 1 (Graves et al.
2006, section 4.1; max instead of +):

    delta_t(s) = ln p(y'_s | t) + max(delta_{t-1}(s), delta_{t-1}(s-1),
                                      delta_{t-1}(s-2) if y'_s is a token and y'_s != y'_{s-2})

Time and memory stay small because states that cannot matter are dropped, at both ends of those alive:

1. A first pass keeps states within `beam` nats of the best of their frame. Its score is that of some path.
2. A second pass drops a state if even the likeliest token of the transcript in every later frame would not bring it up
   to that score. No best path is lost by that, whatever the beam. States that are too late to reach the end go as well.
3. Only every sqrt(F)-th column is kept; the choices between two of them are computed again while tracing back.

Legend: F frames, V tokens of the vocabulary, L tokens of the transcript, S = 2L + 1 states, W states alive at once.
Time is O(F W), memory O(sqrt(F) W) beside the log-probabilities. W is a few hundred where text and sound agree, and at
most S.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from noisewise.errors import AlignmentError

STAR = -1
"""Stands among the tokens for any stretch of speech or silence."""
BEAM = 300.0
"""Nats; how far the first pass looks."""
SMALL = 200_000
"""Frames times states up to which nothing is gained by a first pass."""

StarScore = Literal["best", "one"]
Floats = NDArray[np.float64]
Column = tuple[int, Floats]
"""First state alive, and delta of the states from there on. (W,)"""
Bound = Callable[[int, Floats], float]
"""Frame and delta of the states alive to the least delta that is kept."""


@dataclass(frozen=True)
class Path:
    """The best path."""

    states: NDArray[np.int64]
    """Of each frame: 2i + 1 for token i, even numbers for blanks; never falls. (F,)"""
    score: float
    """ln p(path | X)."""


def viterbi(
    log_probs: Tensor,
    tokens: Sequence[int],
    *,
    blank: int = 0,
    star: StarScore = "best",
    beam: float = BEAM,
) -> Path:
    """The likeliest path that collapses to the tokens.

    Args:
        log_probs: natural logarithms of token probabilities. (F, V)
        tokens: ids without blanks; `STAR` stands for any stretch of one frame or more. (L,)
        blank: id of the blank.
        star: how probable a star is in a frame: as the best token, the blank included, or 1.
        beam: of the first pass, in nats; changes the time that is needed, never the path's score.

    Raises:
        AlignmentError: too few frames, or no path with a probability above 0.
    """
    trellis = _Trellis(_emissions(log_probs, star), tokens, blank)
    if len(trellis.emissions) * trellis.states <= SMALL:
        return trellis.trace(lambda frame, scores: -np.inf)
    floor = trellis.end(deque(trellis.columns(lambda frame, scores: float(scores.max()) - beam), maxlen=1)[0])[1]
    bounds = (floor - 1e-6 - 1e-9 * abs(floor) - trellis.future).tolist() if floor > -np.inf else None
    return trellis.trace(lambda frame, scores: bounds[frame] if bounds else -np.inf)


def frames_needed(tokens: Sequence[int]) -> int:
    """Frames of the shortest path: one a token, and a blank between two that are equal."""
    return len(tokens) + sum(a == b != STAR for a, b in pairwise(tokens))


def _emissions(log_probs: Tensor, star: StarScore) -> Floats:
    """Log-probabilities with the star's as the last column. (F, V) -> (F, V + 1)"""
    rows = log_probs.detach().cpu().double().numpy()
    if np.isnan(rows).any() or (rows == np.inf).any():
        raise AlignmentError("`log_probs` must be logarithms, but hold NaN or infinity instead; check the model")
    stars = rows.max(axis=1, keepdims=True) if star == "best" else np.zeros((len(rows), 1))
    return np.ascontiguousarray(np.concatenate([rows, stars], axis=1))


class _Trellis:
    """All states of a transcript over the frames of a recording."""

    def __init__(self, emissions: Floats, tokens: Sequence[int], blank: int):
        known = emissions.shape[1] - 1
        if not all(token == STAR or (0 <= token < known and token != blank) for token in tokens):
            raise AlignmentError(f"`tokens` must be ids below {known} and no blanks, but are {list(tokens)} instead")
        if frames_needed(tokens) > len(emissions) or not len(emissions):
            raise AlignmentError(
                f"`tokens` must fit {len(emissions)} frames, but {len(tokens)} of them need at least "
                f"{frames_needed(tokens)} instead; is this the text of this recording?"
            )
        self.emissions = emissions  # (F, V + 1)
        self.states = 2 * len(tokens) + 1
        self.labels = np.full(self.states, blank)
        self.labels[1::2] = [known if token == STAR else token for token in tokens]
        equal = (self.labels[3::2] == self.labels[1:-2:2]) & (self.labels[3::2] != known)  # (L - 1,)
        self.skip = np.full(self.states, -np.inf)  # what stepping over a blank costs
        self.skip[3::2] = np.where(equal, -np.inf, 0.0)
        self.first = self._first_states(equal)
        best = emissions[:, np.unique(self.labels)].max(axis=1)  # (F,)
        self.future = np.append(np.cumsum(best[::-1])[::-1][1:], 0.0)  # (F,) at most this follows a frame

    def _first_states(self, equal: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The first state in each frame from which the end can still be reached. (F,)"""
        needed = np.zeros(self.states, np.int64)  # frames that a state still needs after its own; never rises
        if self.states > 1:
            later = np.append(np.cumsum(equal[::-1])[::-1], 0)  # (L,) blanks that must follow each token
            after = np.arange(len(later))[::-1] + later
            needed[1::2], needed[:-1:2] = after, after + 1
        left = np.arange(len(self.emissions))[::-1]
        return np.searchsorted(-needed, -left)

    def start(self) -> Column:
        """Frame 0: the first blank or the first token."""
        return 0, self.emissions[0, self.labels[:2]].copy()

    def step(self, frame: int, column: Column) -> tuple[Column, NDArray[np.uint8]]:
        """delta of the next frame, and how many states each has come forward. (W,), (W,)"""
        low, scores = column
        high = min(low + len(scores) + 2, self.states)
        before = np.full(high - low + 2, -np.inf)  # from state low - 2 on
        before[2 : 2 + len(scores)] = scores
        best, one, two = before[2:].copy(), before[1:-1], before[:-2] + self.skip[low:high]
        moves = (one > best).view(np.uint8)
        np.maximum(best, one, out=best)
        moves[two > best] = 2
        np.maximum(best, two, out=best)
        best += self.emissions[frame].take(self.labels[low:high])
        return (low, best), moves

    def trimmed(self, frame: int, column: Column, bound: Bound) -> Column:
        """Without the states at both ends that are too late to reach the end, or below the bound."""
        low, scores = column
        late = max(int(self.first[frame]) - low, 0)
        low, scores = low + late, scores[late:]
        alive = scores >= bound(frame, scores)
        begin, end = int(alive.argmax()), len(alive) - int(alive[::-1].argmax())
        return low + begin, scores[begin:end]

    def columns(self, bound: Bound) -> Iterator[Column]:
        """delta of one frame after the other."""
        column = self.trimmed(0, self.start(), bound)
        yield column
        for frame in range(1, len(self.emissions)):
            column = self.trimmed(frame, self.step(frame, column)[0], bound)
            yield column

    def end(self, column: Column) -> tuple[int, float]:
        """The better end of the last frame, after the last token or after the blank behind it; its score."""
        low, scores = column
        return low + int(scores.argmax()), float(scores.max(initial=-np.inf))

    def trace(self, bound: Bound) -> Path:
        """The best path, found from its end: columns are kept now and then, moves made again between them."""
        frames = len(self.emissions)
        stride = isqrt(frames) + 1
        kept: list[Column] = []
        for frame, column in enumerate(self.columns(bound)):
            if frame % stride == 0:
                kept.append(column)
        state, score = self.end(column)
        if score == -np.inf:
            raise AlignmentError("`tokens` must be possible, but have a probability of 0 in this recording instead")
        states = np.empty(frames, np.int64)
        for first in reversed(range(0, frames, stride)):
            moves = list(self.moves(range(first + 1, min(first + stride, frames - 1) + 1), kept.pop(), bound))
            for frame in reversed(range(first + 1, first + 1 + len(moves))):
                states[frame] = state
                low, forward = moves[frame - first - 1]
                state -= int(forward[state - low])
        states[0] = state
        return Path(states, score)

    def moves(self, span: range, column: Column, bound: Bound) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Of the frames of a span: the first state, and how far each state has come. (W,) each"""
        for frame in span:
            (low, scores), forward = self.step(frame, column)
            yield low, forward
            column = self.trimmed(frame, (low, scores), bound)
