"""CTC prefix beam search: the likeliest transcripts, each summed over its alignments.

A. Graves (2012), "Supervised Sequence Labelling with Recurrent Neural Networks", section 7.5; A. Hannun et al. (2014),
"First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent DNNs", algorithm 1.

Legend: B utterances, F frames, K prefixes, V tokens, C candidates of a frame.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.config import NoisewiseError, config
from noisewise.decoding.frames import Steps, prepare
from noisewise.decoding.fusion import Fusion
from noisewise.decoding.hypothesis import Hypothesis, Run, assemble
from noisewise.decoding.prefixes import DEAD, FIRST, NOWHERE, Prefixes
from noisewise.text.tokenizer import CharacterTokenizer

MOST = 8191
"""Largest beam: places in it are kept in 13 bits."""


class BeamError(NoisewiseError):
    """Log-probabilities or options that a beam search cannot use."""


@config
class BeamConfig:
    """How far and wide the search looks."""

    beam: int = 50
    """Prefixes kept after each frame."""
    nbest: int = 1
    """Hypotheses returned, best first."""
    beam_threshold: float | None = 15.0
    """A prefix whose logarithm lies so far below the best one's is dropped; none for no such limit."""
    tokens: int | None = None
    """At most so many tokens of a frame extend prefixes, the likeliest; none for all."""
    token_log_prob: float | None = -10.0
    """Tokens below this logarithm extend no prefix (they still prolong one that ends in them)."""
    sure_blank: float | None = None
    """Neighbouring frames whose blank is at least this probable become one step that can only be blank: faster, and
    exact as it goes to 1. None: every frame is searched."""
    sum_alignments: bool = True
    """Add the probabilities of all alignments of a prefix; else take the largest, as some decoders do."""

    def __post_init__(self) -> None:
        for name in ("beam", "nbest", "tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BeamError(f"`{name}` must be 1 or more, but is {value} instead")
        if self.beam > MOST:
            raise BeamError(f"`beam` must be at most {MOST}, but is {self.beam} instead")
        if self.nbest > self.beam:
            raise BeamError(f"`nbest` must be at most `beam` ({self.beam}), but is {self.nbest} instead")
        if self.beam_threshold is not None and not self.beam_threshold > 0:
            raise BeamError(f"`beam_threshold` must be more than 0, but is {self.beam_threshold} instead")
        if self.sure_blank is not None and not 0.5 < self.sure_blank <= 1:
            raise BeamError(f"`sure_blank` must be above 0.5 and at most 1, but is {self.sure_blank} instead")


@dataclass
class BeamState:
    """A search between two chunks: the beam of each utterance, and the way to it."""

    scores: Tensor
    """ln P of the prefix ending in a blank: sum, best alignment; ending in its last token: sum, best alignment; and
    what fusion has added. (5, B, K)"""
    links: Tensor
    """Last token, node, node of the parent, state of the fusion. (4, B, K)"""
    prefixes: Prefixes
    frames: list[int]
    """Frames of each utterance so far."""
    paths: list[list[NDArray[np.int16]]]
    """Of each utterance and step, where the best alignments of (2, K) states come from; see `_trace`."""
    times: list[list[NDArray[np.int64]]]
    """Of each utterance and chunk, the first frame of each step."""
    heard: list[list[Tensor]]
    """Of each utterance and chunk, log-probabilities (S, V) of the steps."""
    fusion: Fusion | None = None
    """Numbers the states in `links`."""
    slots: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    """Scratch: where in the beam a node stands. (nodes,)"""


class PrefixBeam:
    """The decoder: log-probabilities in, the likeliest hypotheses out.

    Args:
        tokenizer: maps ids to text, and knows the blank and the boundary between words.
        config: size of the search.
        fusion: language models, lexicon, hotwords; none for the acoustics alone.
        dtype: of the search; float64 by default, float32 where a device has nothing else.
    """

    def __init__(
        self,
        tokenizer: CharacterTokenizer,
        config: BeamConfig | None = None,
        fusion: Fusion | None = None,
        dtype: torch.dtype = torch.float64,
    ):
        self.tokenizer = tokenizer
        self.config = config or BeamConfig()
        self.fusion = fusion
        self.dtype = dtype
        self._add: Callable[..., Tensor] = torch.logaddexp if self.config.sum_alignments else torch.maximum
        if fusion is not None and fusion.vocabulary != len(tokenizer):
            raise BeamError(
                f"`fusion` must be made for the {len(tokenizer)} tokens of the tokenizer, but is for "
                f"{fusion.vocabulary} instead; build it with the same tokenizer"
            )

    def decode(self, log_probs: Tensor, lengths: Tensor, frame_seconds: float) -> list[list[Hypothesis]]:
        """The likeliest hypotheses of each utterance, best first.

        Args:
            log_probs: natural logarithms of token probabilities. (B, F, V)
            lengths: valid frames of each utterance. (B,)
            frame_seconds: time between two frames.

        Raises:
            BeamError: shapes or values that cannot be log-probabilities of the tokenizer's tokens.
        """
        state = self.start(len(log_probs), log_probs.device)
        self.feed(state, log_probs, lengths)
        return self.hypotheses(state, frame_seconds)

    def start(self, utterances: int, device: torch.device | str = "cpu") -> BeamState:
        """A search that has heard nothing."""
        scores = torch.zeros(5, utterances, 1, dtype=self.dtype, device=device)
        scores[2:4] = -torch.inf
        links = torch.zeros(4, utterances, 1, dtype=torch.long, device=device)
        links[0] = self.tokenizer.blank
        links[1, :, 0] = torch.arange(FIRST, FIRST + utterances, device=device)
        links[2] = NOWHERE
        if self.fusion is not None and self.fusion.is_full:
            self.fusion = self.fusion.fresh()  # searches that are under way keep theirs
        links[3] = self.fusion.start if self.fusion is not None else 0
        return BeamState(
            scores,
            links,
            Prefixes(utterances, len(self.tokenizer)),
            frames=[0] * utterances,
            paths=[[] for _ in range(utterances)],
            times=[[] for _ in range(utterances)],
            heard=[[] for _ in range(utterances)],
            fusion=self.fusion,
        )

    @torch.inference_mode()
    def feed(self, state: BeamState, log_probs: Tensor, lengths: Tensor) -> None:
        """Go on with the next frames of each utterance; the same as if all had come at once.

        Args:
            state: the search; it is changed.
            log_probs: the next frames. (B, F, V)
            lengths: how many of them are valid. (B,)
        """
        lengths = lengths.to(log_probs.device)
        _must_fit(log_probs, lengths, len(self.tokenizer), state.scores.shape[1])
        chosen = self.config
        steps = prepare(
            log_probs.to(self.dtype),
            lengths,
            blank=self.tokenizer.blank,
            tokens=chosen.tokens,
            token_log_prob=chosen.token_log_prob,
            sure_blank=chosen.sure_blank,
        )
        _Search(self, state, steps).run()
        for row, count in enumerate(steps.lengths):
            state.heard[row].append(steps.log_probs[row, :count].float().cpu())
            state.times[row].append((steps.frames[row, :count] + state.frames[row]).cpu().numpy())
            state.frames[row] += int(lengths[row])
        state.prefixes.forget(state.links[1:3].flatten().tolist())
        if state.fusion is not None and state.fusion.is_full:
            old, state.fusion = state.fusion, state.fusion.fresh()
            living = state.fusion.adopt(old, state.links[3].flatten().tolist())
            state.links[3] = torch.tensor(living, device=state.links.device).view_as(state.links[3])

    @torch.inference_mode()
    def hypotheses(self, state: BeamState, frame_seconds: float) -> list[list[Hypothesis]]:
        """The likeliest hypotheses of each utterance if it ended here, best first; the search can still go on."""
        sums = self._add(state.scores[0], state.scores[2]).cpu()
        totals = sums + state.scores[4].cpu()  # (B, K)
        endings = torch.zeros_like(totals)
        if state.fusion is not None:
            finals = [state.fusion.final(at) for at in state.links[3].flatten().tolist()]
            endings = torch.tensor(finals, dtype=totals.dtype).view_as(totals)
        found = []
        for row in range(totals.shape[0]):
            alive = totals[row].isfinite()
            complete = alive & endings[row].isfinite()  # a lexicon forbids to end within a word, unless all do
            ranked = (totals[row] + endings[row] if complete.any() else totals[row]).where(alive, -torch.inf)
            order = ranked.argsort(descending=True, stable=True)[: self.config.nbest].tolist()
            scored = [
                (slot, float(ranked[slot]), float(sums[row, slot])) for slot in order if ranked[slot] > -torch.inf
            ]
            heard = torch.cat(state.heard[row]).numpy() if state.heard[row] else np.empty((0, 0), np.float32)
            times = np.concatenate(state.times[row]) if state.times[row] else np.empty(0, np.int64)
            best = []
            for slot, score, ctc_score in scored:
                runs = _runs(state, row, slot, heard, times)
                best.append(assemble(runs, score, self.tokenizer, frame_seconds, ctc_score=ctc_score))
            found.append(best or [Hypothesis("", [], score=-math.inf, ctc_score=-math.inf)])
        return found


def _runs(state: BeamState, row: int, slot: int, heard: NDArray[np.float32], times: NDArray[np.int64]) -> list[Run]:
    """The tokens of a prefix where its best alignment has them.

    Args:
        state: the search.
        row: utterance.
        slot: place in its beam.
        heard: log-probabilities of all steps. (S, V)
        times: first frame of each step. (S,)
    """
    tokens = state.prefixes.spell(int(state.links[1, row, slot]))
    ends_in_token = bool(state.scores[3, row, slot] > state.scores[1, row, slot])
    spans = _trace(state.paths[row], slot, ends_in_token)
    assert len(spans) == len(tokens), "an alignment must hold each token of its prefix once"
    runs = []
    for token, (first, last) in zip(tokens, spans, strict=True):
        peak = min(float(np.exp(heard[first : last + 1, token].max())), 1.0)
        runs.append(Run(token, int(times[first]), last + 1 - first, peak))
    return runs


class _Search:
    """The walk over one chunk; rows are sorted by length, so that those still going are the first ones.

    Few and large operations: on a small batch, the time goes into calling them.
    """

    def __init__(self, decoder: PrefixBeam, state: BeamState, steps: Steps):
        self.fusion, self.add = state.fusion, decoder._add
        self.beam, self.threshold = decoder.config.beam, decoder.config.beam_threshold
        self.state, self.device = state, state.scores.device
        self.order = sorted(range(len(steps.lengths)), key=lambda row: -steps.lengths[row])
        self.lengths = [steps.lengths[row] for row in self.order]
        order = torch.tensor(self.order, dtype=torch.long, device=self.device)
        self.scores, self.links = state.scores[:, order], state.links[:, order]
        by_step = (steps.log_probs, steps.candidates, steps.values, steps.places)
        self.frames, self.candidates, self.values, self.places = (part[order].transpose(0, 1) for part in by_step)
        self.blanks = self.frames[..., decoder.tokenizer.blank, None]  # (S, B, 1)
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
        tokens, values = self.candidates[step, :rows, :width], self.values[step, :rows, :width]  # (B, C)
        scores, links = self.scores, self.links
        kept = links.shape[2]
        codes = self._codes(rows, kept, width)
        blank_sum, blank_best, end_sum, end_best, bonus = scores.unbind()
        last, node, parent, fused = links.unbind()
        total, best = self.add(blank_sum, end_sum), torch.maximum(blank_best, end_best)
        before = torch.stack((total, blank_sum, best, blank_best)).view(2, -1)  # of any end; of a blank before a double
        ends = codes.slot.add(end_best > blank_best, alpha=2)  # (B, K) where the best alignment is: slot and its end
        origin = torch.stack((ends, codes.slot)).view(-1)

        # A prefix stays: a blank, its last token again, or that token after its parent, if the parent is in the beam.
        at = self._find(node, parent, codes)  # (B, K) flat
        unknown = at < 0
        at.clamp_(min=0)
        entry_at = at.add(last.take(at) == last, alpha=rows * kept).view(-1)
        said = self.frames[step, :rows].gather(1, last)  # (B, K)
        entry = before.index_select(1, entry_at).view(2, rows, kept).add_(said).masked_fill_(unknown, -torch.inf)
        stays = torch.empty(4, rows, kept, dtype=scores.dtype, device=self.device)
        torch.add(before.view(2, 2, rows, kept)[:, 0], self.blanks[step, :rows], out=stays[:2])
        own = scores[2:4] + said
        entered = entry[1] > own[1]
        self.add(own[0], entry[0], out=stays[2])
        torch.maximum(own[1], entry[1], out=stays[3])

        # A prefix grows by each candidate, unless that is a prefix of the beam, which has it already.
        grown = torch.where(tokens[:, None] == last[..., None], blank_sum[..., None], total[..., None])
        grown += values[:, None]  # (B, K, C)
        taken = self.places[step, :rows].gather(1, last).clamp_(max=width - 1).masked_fill_(unknown, width - 1)
        grown.view(-1).index_fill_(0, taken.add_(at, alpha=width).view(-1), -torch.inf)
        kept_total = self.add(stays[0], stays[2])
        if self.fusion is not None:
            table = self.fusion.table(self.device, scores.dtype)
            grown += table.take(torch.add(tokens[:, None], fused[..., None], alpha=self.fusion.vocabulary))
            grown += bonus[..., None]
            kept_total += bonus

        # The best of both, best first.
        ranked, chosen = torch.cat((kept_total, grown.flatten(1)), dim=1).topk(min(self.beam, kept * (width + 1)))
        alive = ranked > -torch.inf
        if self.threshold is not None:
            alive &= ranked >= ranked[:, :1] - self.threshold
        most = int(alive.sum(dim=1).max())
        count = max(1, most)
        ranked, chosen, alive = ranked[:, :count], chosen[:, :count], alive[:, :count]
        stay = chosen < kept
        source = codes.source.take(chosen).add_(codes.offset)
        column = codes.column.take(chosen)
        flat = source.view(-1)
        moved = links.view(4, -1).index_select(1, flat).view(4, rows, count)
        doubled = tokens.gather(1, column).masked_fill_(stay, -1)  # (B, K) the new token, or -1
        token = torch.where(stay, moved[0], doubled)
        grown_at = source.add(doubled == moved[0], alpha=rows * kept)

        new = torch.empty(5, rows, count, dtype=scores.dtype, device=self.device)
        torch.index_select(stays.view(4, -1), 1, flat, out=new[:4].view(4, -1))
        new[:2].masked_fill_(~stay, -torch.inf)
        added = new[4] = bonus.take(source)
        if self.fusion is not None:
            gain = table.take(torch.add(token, moved[3], alpha=self.fusion.vocabulary))
            added = new[4].add_(gain.masked_fill_(stay, 0.0))
        new[2] = torch.where(stay, new[2], ranked - added)
        new[3] = torch.where(stay, new[3], before[1].take(grown_at).add_(values.gather(1, column)))

        entered_from = torch.where(entered, origin.take(entry_at.view(rows, kept)).add_(1), codes.slot + 2)
        path = torch.stack(
            (ends.take(source), torch.where(stay, entered_from.take(source), origin.take(grown_at).add_(1)))
        )

        moved[2] = torch.where(stay, moved[2], moved[1])
        moved[0] = token
        if rows > 1 or not most:  # else all are alive
            dead = ~alive
            new[:4].masked_fill_(dead, -torch.inf)
            moved[1].masked_fill_(dead, DEAD)
            moved[2].masked_fill_(dead, NOWHERE)
        self._grow(moved, (alive & ~stay).view(-1).nonzero().view(-1))
        self.scores, self.links = new, moved
        return path.to(torch.int16)

    def _codes(self, rows: int, kept: int, width: int) -> "_Codes":
        if (rows, kept, width) not in self.codes:
            self.codes[rows, kept, width] = _Codes(rows, kept, width, self.device)
        return self.codes[rows, kept, width]

    def _find(self, node: Tensor, parent: Tensor, codes: "_Codes") -> Tensor:
        """Where in the beam, counted over all rows, the parent of each prefix stands; -1 for nowhere. (B, K)"""
        slots = self.state.slots
        if len(slots) < self.state.prefixes.size:
            slots = torch.full((2 * self.state.prefixes.size,), -1, dtype=torch.long, device=self.device)
            self.state.slots = slots
        flat = node.reshape(-1)
        slots.index_copy_(0, flat, codes.all)
        found = slots.take(parent)
        slots.index_fill_(0, flat, -1)
        return found

    def _grow(self, links: Tensor, where: Tensor) -> None:
        """Give nodes, and states of the fusion, to the prefixes that are new."""
        flat = links.view(4, -1)
        tokens, _, parents, states = flat.index_select(1, where).tolist()
        nodes = self.state.prefixes.extend(parents, tokens)
        flat[1].index_copy_(0, where, torch.tensor(nodes, dtype=torch.long, device=self.device))
        if self.fusion is not None:
            states = self.fusion.advance(states, tokens)
            flat[3].index_copy_(0, where, torch.tensor(states, dtype=torch.long, device=self.device))

    def _put_back(self) -> None:
        """Beams of all rows, in their own order, with dead prefixes where one is narrower."""
        parts = [(self.scores, self.links), *reversed(self.done)]
        width = max(scores.shape[2] for scores, _ in parts)
        back = torch.tensor(self.order, dtype=torch.long, device=self.device).argsort()
        scores = [_widened(scores, width, -torch.inf) for scores, _ in parts]
        links = [_widened(links, width, NOWHERE) for _, links in parts]
        self.state.scores = torch.cat(scores, dim=1)[:, back]
        self.state.links = torch.cat(links, dim=1)[:, back]
        self.state.links[1].masked_fill_(self.state.links[1] == NOWHERE, DEAD)


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
        self.all = torch.arange(rows * kept, device=device)


def _widened(values: Tensor, width: int, fill: float) -> Tensor:
    return torch.nn.functional.pad(values, (0, width - values.shape[2]), value=fill)


def _trace(path: list[NDArray[np.int16]], slot: int, ends_in_token: bool) -> list[tuple[int, int]]:
    """First and last step of each token on the best alignment that ends in a slot.

    A path says of each place of the beam, for an end in a blank and in its token, where its best alignment was one
    step before: 4 * place + 2 * (it ended in its token) + (the token begins with this step).
    """
    spans: list[tuple[int, int]] = []
    state, last = int(ends_in_token), -1
    for step in range(len(path) - 1, -1, -1):
        came = int(path[step][state, slot])
        if state and last < 0:
            last = step
        slot, before, begins = came >> 2, came >> 1 & 1, came & 1
        if state and begins:
            spans.append((step, last))
            last = -1
        state = before
    return spans[::-1]


def _must_fit(log_probs: Tensor, lengths: Tensor, size: int, utterances: int) -> None:
    """Refuse what cannot be log-probabilities of the tokens."""
    if log_probs.ndim != 3 or log_probs.shape[2] != size or log_probs.shape[0] != utterances:
        raise BeamError(
            f"`log_probs` must be ({utterances} utterances, frames, {size} tokens), but is "
            f"{tuple(log_probs.shape)} instead; use the tokenizer of the model that made them"
        )
    frames = log_probs.shape[1]
    if lengths.shape != (utterances,) or bool(((lengths < 0) | (lengths > frames)).any()):
        raise BeamError(f"`lengths` must be {utterances} numbers from 0 to {frames}, but is {lengths.tolist()} instead")
    valid = torch.arange(frames, device=log_probs.device) < lengths[:, None]  # (B, F)
    highest = log_probs.amax(dim=2).where(valid, 0.0) if size and frames else log_probs.new_zeros(1)
    if not bool((highest < 1e-3).all()) or bool(log_probs.isnan().any(dim=2).where(valid, False).any()):
        raise BeamError(
            "`log_probs` must be natural logarithms of probabilities (0 or less), but holds NaN or larger numbers; "
            "apply log_softmax first"
        )
