"""CTC prefix beam search: the likeliest transcripts, each summed over its alignments.

A. Graves (2012), "Supervised Sequence Labelling with Recurrent Neural Networks", section 7.5; A. Hannun et al. (2014),
"First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent DNNs", algorithm 1.

`reference.py` is the same in forty lines of plain Python.

Legend: B utterances, F frames, K prefixes, V tokens, C candidates of a frame.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.config import config
from noisewise.decoding.ctc.frame_pruning import prepare
from noisewise.decoding.ctc.prefixes import FIRST, NOWHERE, PrefixTrie
from noisewise.decoding.ctc.search import (
    BLANK_BEST,
    BLANK_SUM,
    BONUS,
    FUSED,
    LAST,
    NODE,
    OF_TOKEN,
    PARENT,
    TOKEN_BEST,
    TOKEN_SUM,
    BeamState,
    ChunkSearch,
)
from noisewise.decoding.fusion.fusion import Fusion
from noisewise.decoding.hypothesis import Hypothesis, Run, assemble
from noisewise.errors import DecodingError
from noisewise.text.tokenizer import Tokenizer

MOST = 8191
"""Largest beam: places in it are kept in 13 bits."""


@config
class BeamConfig:
    """Size of a prefix beam search."""

    beam: int = 50
    """Number of prefixes that are kept after each frame."""
    nbest: int = 1
    """Number of hypotheses that are returned, best first."""
    beam_threshold: float | None = 15.0
    """A prefix whose logarithm lies so far below the best one's is dropped; null for no such limit."""
    tokens: int | None = None
    """Number of tokens of a frame that extend prefixes, the likeliest; null for all."""
    token_log_prob: float | None = -10.0
    """Tokens below this logarithm extend no prefix (they still prolong one that ends in them)."""
    sure_blank: float | None = None
    """Blank-skipping threshold: neighbouring frames whose blank is at least this probable become one step that can only
    be blank; faster, and exact as it goes to 1. None to search every frame."""
    sum_alignments: bool = True
    """Add the probabilities of all alignments of a prefix; else take the largest, as some decoders do."""

    def __post_init__(self) -> None:
        for name in ("beam", "nbest", "tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise DecodingError(f"`{name}` must be 1 or more, but is {value} instead")
        if self.beam > MOST:
            raise DecodingError(f"`beam` must be at most {MOST}, but is {self.beam} instead")
        if self.nbest > self.beam:
            raise DecodingError(f"`nbest` must be at most `beam` ({self.beam}), but is {self.nbest} instead")
        if self.beam_threshold is not None and not self.beam_threshold > 0:
            raise DecodingError(f"`beam_threshold` must be more than 0, but is {self.beam_threshold} instead")
        if self.sure_blank is not None and not 0.5 < self.sure_blank <= 1:
            raise DecodingError(f"`sure_blank` must be above 0.5 and at most 1, but is {self.sure_blank} instead")


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
        tokenizer: Tokenizer,
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
            raise DecodingError(
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
            DecodingError: shapes or values that cannot be log-probabilities of the tokenizer's tokens.
        """
        state = self.start(len(log_probs), log_probs.device)
        self.feed(state, log_probs, lengths)
        return self.hypotheses(state, frame_seconds)

    def start(self, utterances: int, device: torch.device | str = "cpu") -> BeamState:
        """A search before the first frame: the empty prefix of each utterance, which ends in a blank."""
        fusion = None if self.fusion is None else self.fusion.with_room()
        scores = torch.zeros(5, utterances, 1, dtype=self.dtype, device=device)
        scores[OF_TOKEN] = -torch.inf
        links = torch.zeros(4, utterances, 1, dtype=torch.long, device=device)
        links[LAST] = self.tokenizer.blank
        links[NODE, :, 0] = torch.arange(FIRST, FIRST + utterances, device=device)
        links[PARENT] = NOWHERE
        links[FUSED] = 0 if fusion is None else fusion.start
        return BeamState(
            scores,
            links,
            PrefixTrie(utterances, len(self.tokenizer), device),
            frames=[0] * utterances,
            paths=[[] for _ in range(utterances)],
            times=[[] for _ in range(utterances)],
            log_probs=[[] for _ in range(utterances)],
            fusion=fusion,
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
        nodes = slice(NODE, FUSED)
        state.links[nodes] = state.prefixes.forget(state.links[nodes])
        chosen = self.config
        steps = prepare(
            log_probs.to(self.dtype),
            lengths,
            blank=self.tokenizer.blank,
            tokens=chosen.tokens,
            token_log_prob=chosen.token_log_prob,
            sure_blank=chosen.sure_blank,
        )
        ChunkSearch(state, steps, self._add, chosen.beam, chosen.beam_threshold).run()
        for row, count in enumerate(steps.lengths):
            state.log_probs[row].append(steps.log_probs[row, :count].to("cpu", torch.float32, copy=True))
            state.times[row].append((steps.frames[row, :count] + state.frames[row]).cpu().numpy())
            state.frames[row] += int(lengths[row])
        if state.fusion is not None and state.fusion.is_full:
            old, state.fusion = state.fusion, state.fusion.fresh()
            living = state.fusion.adopt(old, state.links[FUSED].flatten().tolist())
            state.links[FUSED] = torch.tensor(living, device=state.links.device).view_as(state.links[FUSED])

    @torch.inference_mode()
    def hypotheses(self, state: BeamState, frame_seconds: float) -> list[list[Hypothesis]]:
        """The likeliest hypotheses of each utterance if it ended here, best first; the search can still go on."""
        sums = self._add(state.scores[BLANK_SUM], state.scores[TOKEN_SUM]).cpu()
        totals = sums + state.scores[BONUS].cpu()  # (B, K)
        endings = torch.zeros_like(totals)
        if state.fusion is not None:
            finals = state.fusion.finals(state.links[FUSED].flatten().tolist())
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
            log_probs = (
                torch.cat(state.log_probs[row]).numpy() if state.log_probs[row] else np.empty((0, 0), np.float32)
            )
            times = np.concatenate(state.times[row]) if state.times[row] else np.empty(0, np.int64)
            best = []
            for slot, score, ctc_score in scored:
                runs = _runs(state, row, slot, log_probs, times)
                best.append(assemble(runs, score, self.tokenizer, frame_seconds, ctc_score=ctc_score))
            found.append(best or [Hypothesis("", [], score=-math.inf, ctc_score=-math.inf)])
        return found


def _runs(state: BeamState, row: int, slot: int, log_probs: NDArray[np.float32], times: NDArray[np.int64]) -> list[Run]:
    """The tokens of a prefix where its best alignment has them.

    Args:
        state: the search.
        row: utterance.
        slot: place in its beam.
        log_probs: of all steps. (S, V)
        times: first frame of each step. (S,)
    """
    tokens = state.prefixes.tokens_of(int(state.links[NODE, row, slot]))
    ends_in_token = bool(state.scores[TOKEN_BEST, row, slot] > state.scores[BLANK_BEST, row, slot])
    spans = _trace(state.paths[row], slot, ends_in_token)
    assert len(spans) == len(tokens), "an alignment must hold each token of its prefix once"
    runs = []
    for token, (first, last) in zip(tokens, spans, strict=True):
        peak = min(float(np.exp(log_probs[first : last + 1, token].max())), 1.0)
        runs.append(Run(token, int(times[first]), last + 1 - first, peak))
    return runs


def _trace(path: list[NDArray[np.int16]], slot: int, ends_in_token: bool) -> list[tuple[int, int]]:
    """First and last step of each token on the best alignment that ends in a slot.

    A path holds for each place of the beam, for an end in a blank and in its token, where its best alignment was one
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
        raise DecodingError(
            f"`log_probs` must be ({utterances} utterances, frames, {size} tokens), but is "
            f"{tuple(log_probs.shape)} instead; use the tokenizer of the model that made them"
        )
    frames = log_probs.shape[1]
    if lengths.shape != (utterances,) or bool(((lengths < 0) | (lengths > frames)).any()):
        raise DecodingError(
            f"`lengths` must be {utterances} numbers from 0 to {frames}, but is {lengths.tolist()} instead"
        )
    valid = torch.arange(frames, device=log_probs.device) < lengths[:, None]  # (B, F)
    highest = log_probs.amax(dim=2).where(valid, 0.0) if size and frames else log_probs.new_zeros(1)
    if not bool((highest < 1e-3).all()) or bool(log_probs.isnan().any(dim=2).where(valid, False).any()):
        raise DecodingError(
            "`log_probs` must be natural logarithms of probabilities (0 or less), but holds NaN or larger numbers; "
            "apply log_softmax first"
        )
