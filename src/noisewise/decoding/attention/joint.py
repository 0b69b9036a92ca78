"""One-pass beam search by attention and CTC together (Watanabe et al. 2017, Sec. III-B, algorithm 1).

    score(Y) = ((1 - w) ln P_att(Y | X) + w ln P_ctc(Y | X) + bonus |Y| + what fusion adds) / (|Y| + 1) ** power

Hypotheses grow token by token. One that still grows is scored by ln psi, the CTC score of all transcripts that begin
like it; one that has ended by ln P_ctc itself. CTC forbids what attention likes to do wrong: to skip, to repeat, to
stop early. Language models, lexicons and hotwords come in by `Fusion`, as in the search by CTC alone.

Hypotheses that grow are all of one length, so the power decides among those that have ended alone.

Legend: B utterances, K hypotheses of each, F frames, V tokens, L tokens so far.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from noisewise.config import config
from noisewise.decoding.alignment.viterbi import viterbi
from noisewise.decoding.attention.prefix_score import Prefixes, PrefixScores
from noisewise.decoding.attention.search import END, Steps
from noisewise.decoding.fusion.fusion import Fusion
from noisewise.decoding.hypothesis import Hypothesis, Run, assemble
from noisewise.errors import AlignmentError, DecodingError
from noisewise.text.tokenizer import Tokenizer


@config
class JointConfig:
    """How attention and CTC search together."""

    mode: Literal["one_pass", "rescoring"] = "one_pass"
    """Both search side by side; or CTC searches, and attention chooses among what it finds."""
    beam: int = 8
    """Hypotheses of each utterance that grow side by side; or that attention chooses from."""
    nbest: int = 1
    """Hypotheses returned, best first."""
    ctc_weight: float = 0.3
    """w: share of CTC; 0 for attention alone, 1 for CTC alone."""
    bonus: float = 0.0
    """Added for each token; long texts are improbable, and the more so, the surer the decoder is of itself."""
    length_power: float = 0.0
    """What has ended is ranked by its score divided by its length, the end included, to this power; 0 for the score
    itself, 1 for the mean of its tokens."""
    tokens_per_frame: float = 1.0
    """No text is longer than so many tokens for each frame."""
    end_threshold: float = 10.0
    """The search ends when what still grows lies so far, in nats, below the best that has ended."""
    piece_seconds: float = 30.0
    """Longer recordings are decoded in pieces, cut at pauses; best no longer than what the decoder was taught on."""

    def __post_init__(self) -> None:
        if not 1 <= self.nbest <= self.beam:
            raise DecodingError(f"`nbest` must be 1 to `beam` ({self.beam}), but is {self.nbest} instead")
        if not 0 <= self.ctc_weight <= 1:
            raise DecodingError(f"`ctc_weight` must be 0 to 1, but is {self.ctc_weight} instead")
        if not self.length_power >= 0:
            raise DecodingError(f"`length_power` must be 0 or more, but is {self.length_power} instead")
        for name in ("tokens_per_frame", "end_threshold", "piece_seconds"):
            if not getattr(self, name) > 0:
                raise DecodingError(f"`{name}` must be more than 0, but is {getattr(self, name)} instead")


@dataclass(frozen=True)
class _Ended:
    """A hypothesis that has ended."""

    score: float
    """What it is ranked by."""
    total: float
    """The same, not divided by its length."""
    tokens: list[int]
    ctc_score: float
    attention_score: float
    fusion_score: float


@dataclass
class _Beam:
    """Hypotheses that still grow, of the utterances that are not over."""

    utterances: list[int]
    """Which they are. (B,)"""
    tokens: Tensor
    """(B, K, L)"""
    attention: Tensor
    """ln P_att. (B, K)"""
    bonus: Tensor
    """What fusion and length have added. (B, K)"""
    score: Tensor
    """All together. (B, K)"""
    fused: Tensor
    """State of the fusion. (B, K)"""
    prefixes: Prefixes | None
    """State of CTC; None for attention alone."""
    fusion: Fusion | None
    """Table that numbers the states in `fused`; None without fusion."""

    def keep(self, rows: Tensor) -> None:
        """Go on with some utterances alone. (B',)"""
        self.utterances = [self.utterances[row] for row in rows.tolist()]
        self.tokens, self.attention, self.bonus = self.tokens[rows], self.attention[rows], self.bonus[rows]
        self.score, self.fused = self.score[rows], self.fused[rows]
        self.prefixes = None if self.prefixes is None else self.prefixes.keep(rows)


@dataclass(frozen=True)
class _Grown:
    """Each hypothesis with each token behind it, or at its end in column 0. (B, K, V) each"""

    score: Tensor
    attention: Tensor
    ctc: Tensor
    bonus: Tensor


class JointSearch:
    """The decoder: a step function and log-probabilities in, the likeliest hypotheses out.

    Args:
        tokenizer: maps ids to text, and knows the blank and the boundary between words.
        config: size and weights of the search.
        fusion: language models, lexicon, hotwords; none for the acoustics alone.
    """

    def __init__(self, tokenizer: Tokenizer, config: JointConfig | None = None, fusion: Fusion | None = None):
        self.tokenizer = tokenizer
        self.config = config or JointConfig()
        self.fusion = fusion

    @torch.inference_mode()
    def decode(self, steps: Steps, log_probs: Tensor, lengths: Tensor, frame_seconds: float) -> list[list[Hypothesis]]:
        """The likeliest hypotheses of each utterance, best first; its neighbours in the batch do not change them.

        Args:
            steps: the decoder; it is asked for one token after the other, and not at all if CTC has all the weight.
            log_probs: natural logarithms of token probabilities by CTC. (B, F, V)
            lengths: valid frames of each utterance. (B,)
            frame_seconds: time between two frames.
        """
        log_probs, lengths = log_probs.cpu(), lengths.cpu()
        ended = self._search(steps, log_probs, lengths)
        return [
            [self._hypothesis(each, row[:count], frame_seconds) for each in found]
            for row, count, found in zip(log_probs, lengths.tolist(), ended, strict=True)
        ]

    def _search(self, steps: Steps, log_probs: Tensor, lengths: Tensor) -> list[list[_Ended]]:
        """What has ended, best first, of each utterance. (B, F, V), (B,)"""
        most = (lengths * self.config.tokens_per_frame).ceil().long().tolist()
        scorer = PrefixScores(log_probs, lengths, self.tokenizer.blank) if self.config.ctc_weight > 0 else None
        ended: list[list[_Ended]] = [[] for _ in most]
        beam = self._start(len(most), scorer)
        for length in range(max(most, default=-1) + 1):
            grown = self._grow(steps, beam, scorer, log_probs.shape[2])
            self._end(beam, grown, ended, length)
            rows = self._choose(beam, grown, scorer)
            going = [
                place
                for place, at in enumerate(beam.utterances)
                if length < most[at] and not self._is_over(ended[at], float(beam.score[place].max()), length, most[at])
            ]
            if not going:
                break
            kept = torch.tensor(going)
            if self.config.ctc_weight < 1:
                steps.reorder(rows[kept].flatten())
            if len(going) < len(beam.utterances):
                beam.keep(kept)
                if scorer is not None:
                    scorer.keep(kept)
                if self.config.ctc_weight < 1:
                    steps.keep(kept)
        return ended

    def _start(self, utterances: int, scorer: PrefixScores | None) -> _Beam:
        """One empty hypothesis of each utterance."""
        fusion = None if self.fusion is None else self.fusion.with_room()
        zeros = torch.zeros(utterances, 1, dtype=torch.float64)
        return _Beam(
            utterances=list(range(utterances)),
            tokens=torch.empty(utterances, 1, 0, dtype=torch.long),
            attention=zeros,
            bonus=zeros,
            score=zeros,
            fused=torch.full((utterances, 1), 0 if fusion is None else fusion.start),
            fusion=fusion,
            prefixes=None if scorer is None else scorer.start(),
        )

    def _grow(self, steps: Steps, beam: _Beam, scorer: PrefixScores | None, vocabulary: int) -> _Grown:
        """Ask the decoder, CTC and fusion for the next token of each hypothesis."""
        weight, attention = self.config.ctc_weight, beam.attention[..., None].expand(-1, -1, vocabulary)
        if weight < 1:
            last = beam.tokens[..., -1] if beam.tokens.shape[2] else torch.full_like(beam.fused, END)
            said = steps.step(last.flatten()).to("cpu", torch.float64)
            attention = attention + said.view(attention.shape)
        ctc = torch.zeros_like(attention) if scorer is None or beam.prefixes is None else scorer.scores(beam.prefixes)
        bonus = beam.bonus[..., None] + self._added(beam, vocabulary)
        score = _weighted(1 - weight, attention) + _weighted(weight, ctc) + bonus
        dead = beam.score == -torch.inf
        return _Grown(score.masked_fill(dead[..., None], -torch.inf), attention, ctc, bonus)

    def _added(self, beam: _Beam, vocabulary: int) -> Tensor:
        """Bonus of length and fusion for each token, or for the end. (B, K, V)"""
        fused, fusion = beam.fused, beam.fusion
        added = torch.full((*fused.shape, vocabulary), self.config.bonus, dtype=torch.float64)
        if fusion is not None:
            added += fusion.table(added.device, added.dtype)[fused]
            finals = fusion.finals(fused.flatten().tolist())
            added[..., END] = torch.tensor(finals, dtype=added.dtype).view_as(fused)
        else:
            added[..., END] = 0.0
        return added

    def _end(self, beam: _Beam, grown: _Grown, ended: list[list[_Ended]], length: int) -> None:
        """Keep the best of those that have ended."""
        share = (length + 1) ** self.config.length_power
        added = grown.bonus[..., END] - self.config.bonus * length
        parts = torch.stack((grown.ctc[..., END], grown.attention[..., END], added), dim=2).tolist()  # (B, K, 3)
        for row, (at, scores) in enumerate(zip(beam.utterances, grown.score[..., END].tolist(), strict=True)):
            new = [
                _Ended(score / share, score, beam.tokens[row, place].tolist(), *parts[row][place])
                for place, score in enumerate(scores)
                if score > -math.inf
            ]
            ended[at] = sorted(ended[at] + new, key=lambda each: -each.score)[: self.config.nbest]

    def _choose(self, beam: _Beam, grown: _Grown, scorer: PrefixScores | None) -> Tensor:
        """Make the best that have grown the beam.

        Returns:
            The hypotheses that they come from, counted over all utterances. (B, K)
        """
        utterances, width, vocabulary = grown.score.shape
        scores = grown.score.clone()
        scores[..., END] = -torch.inf
        count = min(self.config.beam, width * (vocabulary - 1))
        beam.score, chosen = scores.flatten(1).topk(count)  # (B, K')
        parents, tokens = chosen // vocabulary, chosen % vocabulary
        history = beam.tokens.gather(1, parents[..., None].expand(-1, -1, beam.tokens.shape[2]))
        beam.tokens = torch.cat((history, tokens[..., None]), dim=2)
        beam.attention = grown.attention.flatten(1).gather(1, chosen)
        beam.bonus = grown.bonus.flatten(1).gather(1, chosen)
        if scorer is not None and beam.prefixes is not None:
            beam.prefixes = scorer.extend(beam.prefixes, parents, tokens)
        if beam.fusion is not None:
            states = beam.fused.gather(1, parents)
            beam.fused = beam.fusion.advance(states.flatten(), tokens.flatten()).view_as(states)
        return parents + torch.arange(utterances)[:, None] * width

    def _is_over(self, ended: Sequence[_Ended], best: float, length: int, most: int) -> bool:
        """Whether what still grows cannot, or hardly, become better than what has ended.

        Scores only fall but for bonuses, so without fusion the second test loses nothing.

        Args:
            ended: of the utterance, best first.
            best: score of the best that grows.
            length: tokens before its last.
            most: tokens that it may have.
        """
        if best == -math.inf or (ended and best < max(each.total for each in ended) - self.config.end_threshold):
            return True
        if self.fusion is not None or len(ended) < self.config.nbest:
            return False
        reachable = best + max(self.config.bonus, 0.0) * (most - length)
        longest = most + 1 if reachable < 0 else length + 2
        share: float = longest**self.config.length_power
        return reachable / share < ended[-1].score

    def _hypothesis(self, ended: _Ended, log_probs: Tensor, frame_seconds: float) -> Hypothesis:
        """Tokens with times of their best CTC path. (F, V)"""
        try:
            runs = runs_of(log_probs, ended.tokens, self.tokenizer.blank)
        except AlignmentError:  # attention alone may find what CTC forbids
            runs = even_runs(len(log_probs), ended.tokens)
        found = assemble(runs, ended.score, self.tokenizer, frame_seconds, ctc_score=ended.ctc_score)
        return replace(
            found, tokens=ended.tokens, attention_score=ended.attention_score, fusion_score=ended.fusion_score
        )


def runs_of(log_probs: Tensor, tokens: Sequence[int], blank: int = 0) -> list[Run]:
    """The frames of each token on the best CTC path that says all of them. (F, V)

    Raises:
        AlignmentError: there is no such path.
    """
    if not tokens:
        return []
    states = viterbi(log_probs, tokens, blank=blank).states
    places = np.arange(len(tokens)) * 2 + 1
    begins, ends = np.searchsorted(states, places).tolist(), np.searchsorted(states, places, side="right").tolist()
    return [
        Run(token, begin, end - begin, min(float(log_probs[begin:end, token].max().exp()), 1.0))
        for token, begin, end in zip(tokens, begins, ends, strict=True)
    ]


def even_runs(frames: int, tokens: Sequence[int]) -> list[Run]:
    """All frames shared out evenly, with no confidence: nothing is known of when the tokens were said."""
    places = [frames * at // len(tokens) for at in range(len(tokens) + 1)] if tokens else []
    return [Run(token, places[at], places[at + 1] - places[at], 0.0) for at, token in enumerate(tokens)]


def _weighted(weight: float, scores: Tensor) -> Tensor:
    """Nothing is forbidden by what has no weight: 0 times -inf is 0."""
    return scores * weight if weight else torch.zeros_like(scores)
