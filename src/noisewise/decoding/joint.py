"""One-pass beam search by attention and CTC together (Watanabe et al. 2017, Sec. III-B, algorithm 1).

    score(Y) = (1 - w) ln P_att(Y | X) + w ln P_ctc(Y | X) + bonus |Y| + what fusion adds

Hypotheses grow token by token. One that still grows is scored by ln psi, the CTC score of all transcripts that begin
like it; one that has ended by ln P_ctc itself. CTC forbids what attention likes to do wrong: to skip, to repeat, to
stop early. Language models, lexicons and hotwords come in by `Fusion`, as in the search by CTC alone.

The search knows the decoder as a step function alone, whose id 0 is start and end of a text.

Legend: B utterances, K hypotheses of each, F frames, V tokens, L tokens so far.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from noisewise.config import NoisewiseError, config
from noisewise.decoding.fusion import Fusion
from noisewise.decoding.hypothesis import Hypothesis, Run, assemble
from noisewise.decoding.prefix_score import Prefixes, PrefixScores
from noisewise.decoding.viterbi import AlignmentError, viterbi
from noisewise.text.tokenizer import CharacterTokenizer

END = 0
"""Start and end of a text, to the decoder."""


class JointError(NoisewiseError):
    """Options that a joint search cannot use."""


@config
class JointConfig:
    """How attention and CTC search together."""

    beam: int = 8
    """Hypotheses of each utterance that grow side by side."""
    nbest: int = 1
    """Hypotheses returned, best first."""
    ctc_weight: float = 0.3
    """w: share of CTC; 0 for attention alone, 1 for CTC alone."""
    bonus: float = 0.0
    """Added for each token; long texts are improbable, and the more so, the surer the decoder is of itself."""
    tokens_per_frame: float = 1.0
    """No text is longer than so many tokens for each frame."""
    end_threshold: float = 10.0
    """The search ends when what still grows lies so far, in nats, below the best that has ended."""
    piece_seconds: float = 30.0
    """Longer recordings are decoded in pieces, cut at pauses; best no longer than what the decoder was taught on."""

    def __post_init__(self) -> None:
        if not 1 <= self.nbest <= self.beam:
            raise JointError(f"`nbest` must be 1 to `beam` ({self.beam}), but is {self.nbest} instead")
        if not 0 <= self.ctc_weight <= 1:
            raise JointError(f"`ctc_weight` must be 0 to 1, but is {self.ctc_weight} instead")
        for name in ("tokens_per_frame", "end_threshold", "piece_seconds"):
            if not getattr(self, name) > 0:
                raise JointError(f"`{name}` must be more than 0, but is {getattr(self, name)} instead")


class Steps(Protocol):
    """A decoder and the recordings it looks at."""

    def step(self, tokens: Tensor) -> Tensor:
        """Put a token behind each hypothesis, 0 at first. (B * K,) -> ln P(next token), 0 is the end (B * K, V)"""
        ...

    def reorder(self, rows: Tensor) -> None:
        """Go on from other hypotheses of the same utterances. (B * K',)"""
        ...


@dataclass(frozen=True)
class _Ended:
    """A hypothesis that has ended."""

    score: float
    tokens: list[int]
    ctc_score: float


@dataclass
class _Beam:
    """Hypotheses that still grow."""

    tokens: Tensor
    """(B, K, L)"""
    attention: Tensor
    """ln P_att. (B, K)"""
    bonus: Tensor
    """What fusion and length have added. (B, K)"""
    score: Tensor
    """All together; -inf of those that are dead. (B, K)"""
    fused: Tensor
    """State of the fusion. (B, K)"""
    prefixes: Prefixes | None
    """State of CTC; none for attention alone."""
    ended: list[list[_Ended]] = field(default_factory=list)
    """Of each utterance, best first."""


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

    def __init__(self, tokenizer: CharacterTokenizer, config: JointConfig | None = None, fusion: Fusion | None = None):
        self.tokenizer = tokenizer
        self.config = config or JointConfig()
        self.fusion = fusion

    @torch.inference_mode()
    def decode(self, steps: Steps, log_probs: Tensor, lengths: Tensor, frame_seconds: float) -> list[list[Hypothesis]]:
        """The likeliest hypotheses of each utterance, best first.

        Args:
            steps: the decoder; it is asked for one token after the other.
            log_probs: natural logarithms of token probabilities by CTC. (B, F, V)
            lengths: valid frames of each utterance. (B,)
            frame_seconds: time between two frames.
        """
        log_probs, lengths = log_probs.cpu(), lengths.cpu()
        most = (lengths * self.config.tokens_per_frame).ceil().long().tolist()
        scorer = PrefixScores(log_probs, lengths, self.tokenizer.blank) if self.config.ctc_weight > 0 else None
        beam = self._start(len(log_probs), scorer)
        for length in range(max(most, default=-1) + 1):
            grown = self._grow(steps, beam, scorer, log_probs.shape[2])
            self._end(beam, grown)
            rows = self._choose(beam, grown, scorer)
            over = [length >= count or self._is_over(beam, row, count - length) for row, count in enumerate(most)]
            beam.score = beam.score.masked_fill(torch.tensor(over)[:, None], -torch.inf)
            if all(over):
                break
            steps.reorder(rows)
        return [
            [self._hypothesis(each, row[:count], frame_seconds) for each in ended]
            for row, count, ended in zip(log_probs, lengths.tolist(), beam.ended, strict=True)
        ]

    def _start(self, utterances: int, scorer: PrefixScores | None) -> _Beam:
        """One empty hypothesis of each utterance."""
        if self.fusion is not None and self.fusion.is_full:
            self.fusion = self.fusion.fresh()
        zeros = torch.zeros(utterances, 1, dtype=torch.float64)
        return _Beam(
            tokens=torch.empty(utterances, 1, 0, dtype=torch.long),
            attention=zeros,
            bonus=zeros,
            score=zeros,
            fused=torch.full((utterances, 1), self.fusion.start if self.fusion is not None else 0),
            prefixes=None if scorer is None else scorer.start(),
            ended=[[] for _ in range(utterances)],
        )

    def _grow(self, steps: Steps, beam: _Beam, scorer: PrefixScores | None, vocabulary: int) -> _Grown:
        """Ask the decoder, CTC and fusion for the next token of each hypothesis."""
        last = beam.tokens[..., -1] if beam.tokens.shape[2] else torch.full_like(beam.fused, END)
        said = steps.step(last.flatten()).to("cpu", torch.float64).view(*last.shape, vocabulary)
        attention = beam.attention[..., None] + said
        ctc = torch.zeros_like(said) if scorer is None or beam.prefixes is None else scorer.scores(beam.prefixes)
        bonus = beam.bonus[..., None] + self._added(beam.fused, vocabulary)
        weight = self.config.ctc_weight
        score = _weighted(1 - weight, attention) + _weighted(weight, ctc) + bonus
        dead = beam.score == -torch.inf
        return _Grown(score.masked_fill(dead[..., None], -torch.inf), attention, ctc, bonus)

    def _added(self, fused: Tensor, vocabulary: int) -> Tensor:
        """What length and fusion add for each token, or for the end. (B, K, V)"""
        added = torch.full((*fused.shape, vocabulary), self.config.bonus, dtype=torch.float64)
        if self.fusion is not None:
            added += self.fusion.table(added.device, added.dtype)[fused]
            finals = [self.fusion.final(state) for state in fused.flatten().tolist()]
            added[..., END] = torch.tensor(finals, dtype=added.dtype).view_as(fused)
        else:
            added[..., END] = 0.0
        return added

    def _end(self, beam: _Beam, grown: _Grown) -> None:
        """Keep the best of those that have ended."""
        for row, scores in enumerate(grown.score[..., END].tolist()):
            new = [
                _Ended(score, beam.tokens[row, place].tolist(), float(grown.ctc[row, place, END]))
                for place, score in enumerate(scores)
                if score > -math.inf
            ]
            beam.ended[row] = sorted(beam.ended[row] + new, key=lambda each: -each.score)[: self.config.nbest]

    def _choose(self, beam: _Beam, grown: _Grown, scorer: PrefixScores | None) -> Tensor:
        """Make the best that have grown the beam.

        Returns:
            The hypotheses that they come from, counted over all utterances. (B * K,)
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
        if self.fusion is not None:
            states = beam.fused.gather(1, parents)
            beam.fused = self.fusion.advance(states.flatten(), tokens.flatten()).view_as(states)
        return (parents + torch.arange(utterances)[:, None] * width).flatten()

    def _is_over(self, beam: _Beam, row: int, left: int) -> bool:
        """Whether what still grows cannot, or hardly, become better than what has ended.

        Scores only fall but for bonuses, so without fusion the first test loses nothing.
        """
        ended, best = beam.ended[row], float(beam.score[row].max())
        if best == -math.inf or (ended and best < ended[0].score - self.config.end_threshold):
            return True
        reachable = best + max(self.config.bonus, 0.0) * left
        return self.fusion is None and len(ended) == self.config.nbest and reachable < ended[-1].score

    def _hypothesis(self, ended: _Ended, log_probs: Tensor, frame_seconds: float) -> Hypothesis:
        """Tokens with times of their best CTC path. (F, V)"""
        try:
            runs = runs_of(log_probs, ended.tokens, self.tokenizer.blank)
        except AlignmentError:  # attention alone may find what CTC forbids
            runs = even_runs(len(log_probs), ended.tokens)
        found = assemble(runs, ended.score, self.tokenizer, frame_seconds, ctc_score=ended.ctc_score)
        return replace(found, tokens=ended.tokens)


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


def pieces(log_probs: Tensor, longest: int, blanks: Sequence[int]) -> list[tuple[int, int]]:
    """Stretches of a recording, cut in the middle of its longest pauses.

    Args:
        log_probs: of the whole recording. (F, V)
        longest: frames of a stretch at most; a pause is looked for in the second half.
        blanks: ids that are no letters: the blank, and the boundary between words.

    Returns:
        First frame, and the frame after the last, of each.
    """
    silent = torch.isin(log_probs.argmax(dim=1), torch.tensor(blanks, device=log_probs.device)).tolist()
    found, start = [], 0
    while len(silent) - start > longest:
        low, high = start + max(longest // 2, 1), start + longest
        runs = [(len(list(group)), is_silent) for is_silent, group in groupby(silent[low:high])]
        firsts = [low, *(low + total for total in accumulate(length for length, _ in runs))]
        pauses = [(count, -first) for (count, is_silent), first in zip(runs, firsts, strict=False) if is_silent]
        length, first = max(pauses, default=(0, 0))
        cut = -first + length // 2 if length else high
        found.append((start, cut))
        start = cut
    return [*found, (start, len(silent))]


def decode_long(
    search: JointSearch,
    begin: Callable[[Tensor, Tensor], Steps],
    frames: Tensor,
    log_probs: Tensor,
    frame_seconds: float,
) -> Hypothesis:
    """The best hypothesis of one recording of any length, decoded in pieces.

    Args:
        search: the decoder.
        begin: makes the step function of frames (B, F, E) and their lengths (B,).
        frames: of the encoder, the whole recording. (F, E)
        log_probs: by CTC. (F, V)
        frame_seconds: time between two frames.
    """
    tokenizer = search.tokenizer
    longest = max(1, round(search.config.piece_seconds / frame_seconds))
    found: list[Hypothesis] = []
    for start, end in pieces(log_probs, longest, (tokenizer.blank, tokenizer.boundary)):
        lengths = torch.tensor([end - start])
        steps = begin(frames[None, start:end], lengths)
        (best,) = search.decode(steps, log_probs[None, start:end], lengths, frame_seconds)
        found += [_later(each, start * frame_seconds) for each in best[:1]]
    words = [word for each in found for word in each.words]
    tokens = [token for each in found if each.tokens for token in (tokenizer.boundary, *each.tokens)][1:]
    text = " ".join(word.text for word in words)
    return Hypothesis(text, tokens, words, sum(e.score for e in found), sum(e.ctc_score for e in found))


def _later(hypothesis: Hypothesis, seconds: float) -> Hypothesis:
    words = [replace(word, start=word.start + seconds, end=word.end + seconds) for word in hypothesis.words]
    return replace(hypothesis, words=words)


def _weighted(weight: float, scores: Tensor) -> Tensor:
    """Nothing is forbidden by what has no weight: 0 times -inf is 0."""
    return scores * weight if weight else torch.zeros_like(scores)
