"""The recursions of the prefix beam search, on tensors of all prefixes of all utterances of a batch.

With b(l) and e(l) for the probability of prefix l ending in a blank and in its last token, as in
docs/papers/beam_search.md.

Legend: B utterances, S steps, K prefixes, V tokens, C candidates of a step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.decoding.ctc.frame_pruning import SearchSteps
from noisewise.decoding.ctc.prefixes import DEAD, NOWHERE, PrefixTrie
from noisewise.decoding.fusion.fusion import Fusion

BLANK_SUM, BLANK_BEST, TOKEN_SUM, TOKEN_BEST, BONUS = range(5)
"""Rows of `BeamState.scores`: ln b(l) summed over alignments and of the best one, ln e(l) likewise, and the bonus that
fusion has added to the prefix."""
OF_BLANK, OF_TOKEN, OF_CTC = slice(BLANK_SUM, TOKEN_SUM), slice(TOKEN_SUM, BONUS), slice(BLANK_SUM, BONUS)
"""Sum and best alignment that end in a blank, those that end in the token, and all four."""
LAST, NODE, PARENT, FUSED = range(4)
"""Rows of `BeamState.links`: last token, node in the trie of prefixes, node of the parent, state of the fusion."""


@dataclass
class BeamState:
    """A search between two chunks: the beam of each utterance, and the way to it."""

    scores: Tensor
    """Natural logarithms of each prefix, in rows `BLANK_SUM` to `BONUS`. (5, B, K)"""
    links: Tensor
    """Numbers that each prefix is known by, in rows `LAST` to `FUSED`. (4, B, K)"""
    prefixes: PrefixTrie
    """Trie of all prefixes."""
    frames: list[int]
    """Number of frames of each utterance so far."""
    paths: list[list[NDArray[np.int16]]]
    """Predecessors of the best alignments of each utterance and step; see `_trace`. (2, K) each"""
    times: list[list[NDArray[np.int64]]]
    """First frame of each step, for each utterance and chunk. (S,) each"""
    log_probs: list[list[Tensor]]
    """Log-probabilities of the steps, for each utterance and chunk. (S, V) each"""
    fusion: Fusion | None = None
    """Table that numbers the states in `links`."""


class ChunkSearch:
    """The walk over one chunk; rows are sorted by length, so that those still going are the first ones.

    Few and large operations: on a small batch, the time goes into calling them.

    Args:
        state: the search so far; it is changed.
        steps: the next steps.
        add: how two alignments of a prefix add up: `torch.logaddexp` or `torch.maximum`.
        beam: prefixes that are kept.
        threshold: prefixes so far below the best are dropped.
    """

    def __init__(
        self, state: BeamState, steps: SearchSteps, add: Callable[..., Tensor], beam: int, threshold: float | None
    ):
        self.fusion, self.add, self.beam, self.threshold = state.fusion, add, beam, threshold
        self.state, self.device = state, state.scores.device
        self.order = sorted(range(len(steps.lengths)), key=lambda row: -steps.lengths[row])
        self.lengths = [steps.lengths[row] for row in self.order]
        order = torch.tensor(self.order, dtype=torch.long, device=self.device)
        self.scores, self.links = state.scores[:, order], state.links[:, order]
        by_step = (steps.log_probs, steps.candidates, steps.values, steps.places)
        self.frames, self.candidates, self.values, self.places = (part[order].transpose(0, 1) for part in by_step)
        self.blanks = self.frames[..., steps.blank, None]  # (S, B, 1)
        self.counts = steps.counts[order]
        self.done: list[tuple[Tensor, Tensor]] = []
        self.codes: dict[tuple[int, int, int], _Codes] = {}

    def run(self) -> None:
        """Take all steps and put the beams back into the state."""
        rows = len(self.lengths)
        widest = self.counts.cummax(dim=0).values.tolist() if rows else []  # candidates of the first n rows
        for step in range(self.lengths[0] if rows else 0):
            while self.lengths[rows - 1] <= step:
                rows -= 1
            if rows < self.scores.shape[1]:
                self.done.append((self.scores[:, rows:], self.links[:, rows:]))
                self.scores, self.links = self.scores[:, :rows].contiguous(), self.links[:, :rows].contiguous()
            paths = self._step(step, rows, widest[rows - 1][step] + 1).cpu().numpy()
            for row in range(rows):
                self.state.paths[self.order[row]].append(paths[:, row])
        self._put_back()

    def _step(self, step: int, rows: int, width: int) -> Tensor:
        """One frame of the first rows, with so many candidates, the last of which may not be taken.

        Returns:
            Where the best alignments come from; see `_trace`. (2, B, K) int16
        """
        now = self._now(step, rows, width)
        stays, comes = self._stay(now)
        grown, table = self._grow(now)
        choice = self._choose(now, stays, grown)
        path = self._paths(now, comes, choice)
        self._move(now, stays, table, choice)
        return path

    def _now(self, step: int, rows: int, width: int) -> "_Now":
        """The beam before a frame, and the frame."""
        blank_sum, blank_best, end_sum, end_best, bonus = self.scores.unbind()
        last, node, parent, fused = self.links.unbind()
        codes = self._codes(rows, last.shape[1], width)
        total, best = self.add(blank_sum, end_sum), torch.maximum(blank_best, end_best)
        ends = codes.slot.add(end_best > blank_best, alpha=2)
        at = self.state.prefixes.find(node, parent)  # (B, K) counted over all rows
        unknown = at < 0
        return _Now(
            codes=codes,
            size=last.numel(),
            tokens=self.candidates[step, :rows, :width],
            values=self.values[step, :rows, :width],
            repeated=self.frames[step, :rows].gather(1, last),
            blanks=self.blanks[step, :rows],
            places=self.places[step, :rows].gather(1, last).clamp_(max=width - 1).masked_fill_(unknown, width - 1),
            last=last,
            fused=fused,
            bonus=bonus,
            total=total,
            blank_sum=blank_sum,
            before=torch.stack((total, blank_sum, best, blank_best)).view(2, -1),
            ends=ends,
            origin=torch.stack((ends, codes.slot)).view(-1),
            at=at.clamp_(min=0),
            unknown=unknown,
        )

    def _stay(self, now: "_Now") -> tuple[Tensor, Tensor]:
        """A prefix stays: by a blank, its last token again, or that token after its parent if that is in the beam.

        Returns:
            Sum and best alignment that end in a blank, and in the token (4, B, K); the path of the latter (B, K).
        """
        shape = now.last.shape
        from_parent = now.at.add(now.last.take(now.at) == now.last, alpha=now.size)
        entry = now.before.index_select(1, from_parent.view(-1)).view(2, *shape)
        entry.add_(now.repeated).masked_fill_(now.unknown, -torch.inf)
        own = self.scores[OF_TOKEN] + now.repeated
        stays = torch.empty(4, *shape, dtype=own.dtype, device=self.device)
        torch.add(now.before.view(2, 2, *shape)[:, 0], now.blanks, out=stays[OF_BLANK])
        self.add(own[0], entry[0], out=stays[TOKEN_SUM])
        torch.maximum(own[1], entry[1], out=stays[TOKEN_BEST])
        return stays, torch.where(entry[1] > own[1], now.origin.take(from_parent).add_(1), now.codes.slot + 2)

    def _grow(self, now: "_Now") -> tuple[Tensor, Tensor | None]:
        """A prefix grows by each candidate, unless that gives a prefix of the beam, where `_stay` has counted it.

        Returns:
            ln P of each with the bonus (B, K, C); the table of bonuses, if there is fusion.
        """
        repeats = now.tokens[:, None] == now.last[..., None]
        grown = torch.where(repeats, now.blank_sum[..., None], now.total[..., None])
        grown += now.values[:, None]
        taken = now.places.add(now.at, alpha=grown.shape[2])
        grown.view(-1).index_fill_(0, taken.view(-1), -torch.inf)
        if self.fusion is None:
            return grown, None
        table = self.fusion.table(self.device, grown.dtype)
        grown += table.take(torch.add(now.tokens[:, None], now.fused[..., None], alpha=self.fusion.vocabulary))
        grown += now.bonus[..., None]
        return grown, table

    def _choose(self, now: "_Now", stays: Tensor, grown: Tensor) -> "_Choice":
        """The best of those that stay and those that grow, best first."""
        kept = self.add(stays[BLANK_SUM], stays[TOKEN_SUM])
        if self.fusion is not None:
            kept += now.bonus
        ranked, chosen = torch.cat((kept, grown.flatten(1)), dim=1).topk(min(self.beam, len(now.codes.source)))
        alive = ranked > -torch.inf
        if self.threshold is not None:
            alive &= ranked >= ranked[:, :1] - self.threshold
        most = int(alive.sum(dim=1).max())
        count = max(1, most)
        ranked, chosen, alive = ranked[:, :count], chosen[:, :count], alive[:, :count]
        stay = chosen < kept.shape[1]
        source = now.codes.source.take(chosen).add_(now.codes.offset)
        column = now.codes.column.take(chosen)
        added = now.tokens.gather(1, column).masked_fill_(stay, -1)
        return _Choice(
            ranked=ranked,
            alive=alive,
            some_are_dead=len(alive) > 1 or not most,
            stay=stay,
            source=source,
            added=added,
            value=now.values.gather(1, column),
            grown_from=source.add(added == now.last.take(source), alpha=now.size),
        )

    def _paths(self, now: "_Now", comes: Tensor, choice: "_Choice") -> Tensor:
        """Where the best alignments of the chosen come from. (2, B, K) int16"""
        begins = now.origin.take(choice.grown_from).add_(1)
        in_token = torch.where(choice.stay, comes.take(choice.source), begins)
        return torch.stack((now.ends.take(choice.source), in_token)).to(torch.int16)

    def _move(self, now: "_Now", stays: Tensor, table: Tensor | None, choice: "_Choice") -> None:
        """Make the chosen the beam."""
        stay, shape, flat = choice.stay, choice.stay.shape, choice.source.view(-1)
        links = self.links.view(4, -1).index_select(1, flat).view(4, *shape)
        scores = torch.empty(5, *shape, dtype=stays.dtype, device=self.device)
        torch.index_select(stays.view(4, -1), 1, flat, out=scores[OF_CTC].view(4, -1))
        scores[OF_BLANK].masked_fill_(~stay, -torch.inf)
        bonus = scores[BONUS] = now.bonus.take(choice.source)
        links[LAST] = torch.where(stay, links[LAST], choice.added)
        if self.fusion is not None and table is not None:
            gain = table.take(torch.add(links[LAST], links[FUSED], alpha=self.fusion.vocabulary))
            bonus = scores[BONUS].add_(gain.masked_fill_(stay, 0.0))
        scores[TOKEN_SUM] = torch.where(stay, scores[TOKEN_SUM], choice.ranked - bonus)
        best = now.before[1].take(choice.grown_from).add_(choice.value)
        scores[TOKEN_BEST] = torch.where(stay, scores[TOKEN_BEST], best)
        links[PARENT] = torch.where(stay, links[PARENT], links[NODE])
        if choice.some_are_dead:
            dead = ~choice.alive
            scores[OF_CTC].masked_fill_(dead, -torch.inf)
            links[NODE].masked_fill_(dead, DEAD)
            links[PARENT].masked_fill_(dead, NOWHERE)
        self._name(links, (choice.alive & ~stay).view(-1).nonzero().view(-1))
        self.scores, self.links = scores, links

    def _codes(self, rows: int, kept: int, width: int) -> "_Codes":
        if (rows, kept, width) not in self.codes:
            self.codes[rows, kept, width] = _Codes(rows, kept, width, self.device)
        return self.codes[rows, kept, width]

    def _name(self, links: Tensor, where: Tensor) -> None:
        """Give nodes, and states of the fusion, to the prefixes that are new."""
        flat = links.view(4, -1)
        tokens, _, parents, states = flat.index_select(1, where)
        flat[NODE].index_copy_(0, where, self.state.prefixes.extend(parents, tokens))
        if self.fusion is not None:
            flat[FUSED].index_copy_(0, where, self.fusion.advance(states, tokens))

    def _put_back(self) -> None:
        """Beams of all rows, in their own order, with dead prefixes where one is narrower."""
        parts = [(self.scores, self.links), *reversed(self.done)]
        width = max(scores.shape[2] for scores, _ in parts)
        back = torch.tensor(self.order, dtype=torch.long, device=self.device).argsort()
        scores = [_widened(scores, width, -torch.inf) for scores, _ in parts]
        links = [_widened(links, width, NOWHERE) for _, links in parts]
        self.state.scores = torch.cat(scores, dim=1)[:, back]
        self.state.links = torch.cat(links, dim=1)[:, back]
        self.state.links[NODE].masked_fill_(self.state.links[NODE] == NOWHERE, DEAD)


@dataclass(frozen=True, slots=True)
class _Now:
    """The beam before a frame, and the frame."""

    codes: "_Codes"
    size: int
    """B * K"""
    tokens: Tensor
    """Candidates. (B, C)"""
    values: Tensor
    """Their log-probabilities. (B, C)"""
    repeated: Tensor
    """Log-probability of the last token of each prefix. (B, K)"""
    blanks: Tensor
    """Log-probability of the blank. (B, 1)"""
    places: Tensor
    """Which candidate the last token is; the last candidate if it is none or the parent is unknown. (B, K)"""
    last: Tensor
    """Last token. (B, K)"""
    fused: Tensor
    """State of the fusion. (B, K)"""
    bonus: Tensor
    """Bonus that fusion has added. (B, K)"""
    total: Tensor
    """ln (b + e). (B, K)"""
    blank_sum: Tensor
    """ln b. (B, K)"""
    before: Tensor
    """Sums and best alignments to go on from: of any end, then of an end in a blank, for a double. (2, 2 * B * K)"""
    ends: Tensor
    """End of the best alignment, as paths encode it. (B, K)"""
    origin: Tensor
    """The same in the order of `before`. (2 * B * K,)"""
    at: Tensor
    """Where the parent stands, counted over all rows. (B, K)"""
    unknown: Tensor
    """The parent is not in the beam. (B, K)"""


@dataclass(frozen=True, slots=True)
class _Choice:
    """The prefixes of the next beam, by what they come from."""

    ranked: Tensor
    """Score that they are ranked by. (B, K)"""
    alive: Tensor
    """Not beyond the threshold. (B, K)"""
    some_are_dead: bool
    stay: Tensor
    """They are in the beam already. (B, K)"""
    source: Tensor
    """Where they, or their parents, stand, counted over all rows. (B, K)"""
    added: Tensor
    """Their new token, -1 for those that stay. (B, K)"""
    value: Tensor
    """Its log-probability. (B, K)"""
    grown_from: Tensor
    """Where to go on from in `_Now.before`. (B, K)"""


class _Codes:
    """Numbers that depend on sizes alone: of n utterances, K prefixes and C candidates.

    A choice is one of K + K * C: the prefixes as they are, then each with each candidate.
    """

    def __init__(self, rows: int, kept: int, width: int, device: torch.device):
        slots = torch.arange(kept, device=device)
        self.source = torch.cat((slots, slots.repeat_interleave(width)))
        """Prefix of each choice."""
        self.column = torch.cat((torch.zeros_like(slots), torch.arange(width, device=device).repeat(kept)))
        """Candidate of each choice."""
        self.offset = torch.arange(rows, device=device)[:, None] * kept
        """First prefix of each utterance, counted over all. (n, 1)"""
        self.slot = (slots * 4).repeat(rows, 1)
        """Four times the place of each prefix. (n, K)"""


def _widened(values: Tensor, width: int, fill: float) -> Tensor:
    return torch.nn.functional.pad(values, (0, width - values.shape[2]), value=fill)
