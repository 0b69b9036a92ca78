"""Beam search by the decoder of Whisper: token by token, with a cache, several utterances at a time.

Of the 2 K best continuations of an utterance by ln P_att, those that end and are among the first K have ended, and
the first K of the others grow on. The search is over when K or more have ended and the best of those that grow, ranked
at its length now, is no better than the K-th of them; or when the text is as long as it may be. What has ended is
ranked by

    rank(Y) = ln P_att(Y, end | prompt, X) / (|Y| + 1) ** power,    power = `length_power`, 1 for the mean.

With K = 1 this is greedy. These are the rules of `generate` of transformers with early_stopping=False, but for two: a
text that is as long as it may be counts only where none has ended, and a loop ends behind the first of its phrases.

Legend: B utterances that are not over, K hypotheses of each, L tokens so far, V tokens, D width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from noisewise.decoding.whisper.config import Pieces, WhisperSearchConfig
from noisewise.decoding.whisper.repetition import loop_start
from noisewise.errors import DecodingError

START, LANGUAGE, TASK = "<|startoftranscript|>", "<|{}|>", "<|{}|>"
EXTRA_TOKENS = 8
"""What a text may have beyond its share for each second."""


class WhisperSteps(Protocol):
    """The decoder over some utterances; see `noisewise.models.whisper.whisper.WhisperSteps`."""

    def step(self, tokens: Tensor) -> Tensor:
        """Put a token behind each hypothesis. (B * K,) -> ln P(next token) (B * K, V)"""
        ...

    def push(self, tokens: Tensor) -> Tensor:
        """The same, where nobody asks what is next. (B * K,)"""
        ...

    def reorder(self, rows: Tensor) -> None:
        """Go on from other hypotheses of the same utterances. (B * K',)"""
        ...

    def keep(self, utterances: Tensor) -> None:
        """Go on with these utterances alone. (B',)"""
        ...


@dataclass(frozen=True)
class Said:
    """What the decoder may have written for an utterance."""

    tokens: list[int]
    log_probs: list[float]
    """ln P of each token, and of the end where the text was not cut off."""

    @property
    def score(self) -> float:
        """ln P_att."""
        return math.fsum(self.log_probs)

    def rank(self, power: float) -> float:
        """What hypotheses are ranked by without CTC."""
        return self.score / float(max(1, len(self.log_probs)) ** power)


@dataclass(frozen=True)
class Found:
    """The result of the search for one utterance."""

    said: list[Said]
    """Best first, at least one."""
    no_speech: float
    """P(no speech) where the text begins; 0 for a vocabulary without that token."""
    prompt: list[int]
    """What the decoder was given before the text."""


@dataclass
class _Beam:
    """Hypotheses that still grow, of the utterances that are not over."""

    utterances: list[int]
    """Which they are. (B,)"""
    tokens: Tensor
    """(B, K, L)"""
    each: Tensor
    """ln P of each token. (B, K, L)"""
    score: Tensor
    """(B, K) float32"""

    def choose(self, parents: Tensor, tokens: Tensor, said: Tensor, score: Tensor) -> None:
        """Put tokens behind hypotheses. (B, K') each"""
        history = parents[..., None].expand(-1, -1, self.tokens.shape[2])
        self.tokens = torch.cat((self.tokens.gather(1, history), tokens[..., None]), dim=2)
        self.each = torch.cat((self.each.gather(1, history), said[..., None]), dim=2)
        self.score = score

    def keep(self, rows: Tensor) -> None:
        """Go on with some utterances. (B',)"""
        self.utterances = [self.utterances[row] for row in rows.tolist()]
        self.tokens, self.each, self.score = self.tokens[rows], self.each[rows], self.score[rows]


class DecoderSearch:
    """The search.

    Args:
        pieces: the tokenizer of Whisper.
        tokens: of the vocabulary of the decoder (V).
        positions: most tokens of the decoder.
        config: its size and rules.
        before: tokens of a text that came before, such as hotwords; none if left out.
    """

    def __init__(
        self,
        pieces: Pieces,
        tokens: int,
        positions: int,
        config: WhisperSearchConfig | None = None,
        before: Sequence[int] = (),
    ):
        self.pieces, self.tokens, self.positions = pieces, tokens, positions
        self.config = config or WhisperSearchConfig()
        self.before = [pieces.special["<|startofprev|>"], *before] if before else []
        chosen = self.config
        never = [*pieces.steering, *range(pieces.timestamps, tokens), *(pieces.non_speech * chosen.suppress_symbols)]
        self._never = torch.zeros(tokens).index_fill(0, _within(never, tokens), -torch.inf)  # (V,)
        first = [] if chosen.may_be_empty else [*pieces.encode(" "), pieces.end]
        self._first = self._never.index_fill(0, _within(first, tokens), -torch.inf)
        if chosen.language is not None:
            pieces.prompt(chosen.language, chosen.task)  # refuses a language that the model does not know

    @torch.inference_mode()
    def search(self, steps: WhisperSteps, seconds: Sequence[float]) -> list[Found]:
        """The likeliest texts of each utterance; its neighbours in the batch do not change them.

        Args:
            steps: the decoder before its first token.
            seconds: how long each utterance lasts, which bounds its text.
        """
        prompts, no_speech = self._begin(steps, len(seconds))
        width = len(prompts[0]) if prompts else 0
        room = self.positions - width
        if room < 1:
            raise DecodingError(f"`hotwords` must leave room for a text, but fill {width} of {self.positions} tokens")
        most = [min(room, math.ceil(self.config.tokens_per_second * each) + EXTRA_TOKENS) for each in seconds]
        ended: list[list[Said]] = [[] for _ in seconds]
        last = torch.tensor([prompt[-1] for prompt in prompts])
        count = len(prompts)
        empty = torch.zeros(count, 1, 0)
        beam = _Beam(list(range(count)), empty.long(), empty, torch.zeros(count, 1))
        while beam.utterances:
            grown = self._grown(steps, beam, last)
            rows = self._chosen(beam, grown, ended)
            going = self._going(beam, ended, most)
            kept = torch.tensor(going, dtype=torch.long)
            last = beam.tokens[kept, :, -1].flatten()
            rows = rows[kept].flatten()
            if not torch.equal(rows, torch.arange(grown.shape[0] * grown.shape[1])):
                steps.reorder(rows)
            if len(going) < len(beam.utterances):
                beam.keep(kept)
                steps.keep(kept)
        ranked = [sorted(each, key=lambda said: -said.rank(self.config.length_power)) for each in ended]
        return [Found(*each) for each in zip(ranked, no_speech, prompts, strict=True)]

    def _begin(self, steps: WhisperSteps, count: int) -> tuple[list[list[int]], list[float]]:
        """Give the decoder all of the prompt but its last token.

        Returns:
            The prompt and P(no speech) of each utterance.
        """
        for token in self.before:
            steps.push(torch.full((count,), token))
        prompts, no_speech = [list(self.before) for _ in range(count)], [0.0] * count
        start = self.pieces.special[START]
        said = steps.step(torch.full((count,), start)).float().cpu() if count else torch.zeros(0, self.tokens)
        if self.pieces.no_speech is not None:
            no_speech = said[:, self.pieces.no_speech].exp().tolist()
        own = [self.pieces.prompt(language, self.config.task) for language in self._languages(said)]
        for place in range(1, max(map(len, own), default=1) - 1):
            steps.push(torch.tensor([prompt[place] for prompt in own]))
        return [[*before, *prompt] for before, prompt in zip(prompts, own, strict=True)], no_speech

    def _languages(self, said: Tensor) -> list[str | None]:
        """The language of each utterance: that which is chosen, or the likeliest behind the start. (B, V)"""
        if self.config.language is not None or not self.pieces.languages:
            return [self.config.language] * len(said)
        names, ids = zip(*self.pieces.languages.items(), strict=True)
        return [names[place] for place in said[:, list(ids)].argmax(dim=1).tolist()]

    def _grown(self, steps: WhisperSteps, beam: _Beam, last: Tensor) -> Tensor:
        """ln P of each token behind each hypothesis, -inf of what is forbidden. (B, K, V)"""
        said = steps.step(last)
        never = self._never if beam.tokens.shape[2] else self._first
        return (said + never.to(said.device)).view(*beam.score.shape, -1)

    def _chosen(self, beam: _Beam, grown: Tensor, ended: list[list[Said]]) -> Tensor:
        """Keep what has ended, and make the best that have not the beam.

        Returns:
            The hypotheses that they come from, counted over all utterances. (B, K)
        """
        utterances, width, vocabulary = grown.shape
        size, end = self.config.beam, self.pieces.end
        totals = (beam.score.to(grown.device)[..., None] + grown).flatten(1)  # (B, K * V)
        best, places = (each.cpu() for each in totals.topk(min(2 * size, totals.shape[1]), dim=1))  # (B, 2 K)
        said = grown.flatten(1).gather(1, places.to(grown.device)).cpu()
        parents, tokens = places // vocabulary, places % vocabulary
        ends = tokens == end
        for row, place in ends[:, :size].nonzero().tolist():
            if best[row, place] > -torch.inf:
                parent = int(parents[row, place])
                own = [*beam.each[row, parent].tolist(), float(said[row, place])]
                ended[beam.utterances[row]].append(Said(beam.tokens[row, parent].tolist(), own))
        order = ends.int().argsort(dim=1, stable=True)[:, :size]  # what has not ended, best first
        parents, tokens, said, best = (each.gather(1, order) for each in (parents, tokens, said, best))
        beam.choose(parents, tokens, said, best.masked_fill(tokens == end, -torch.inf))
        return parents + torch.arange(utterances)[:, None] * width

    def _going(self, beam: _Beam, ended: list[list[Said]], most: Sequence[int]) -> list[int]:
        """Places of the utterances that are not over; loops and texts that are too long end here."""
        self._end_loops(beam, ended)
        length, going = beam.tokens.shape[2], list[int]()
        for place, (at, best) in enumerate(zip(beam.utterances, beam.score.amax(dim=1).tolist(), strict=True)):
            if length < most[at] and not self._is_over(ended[at], best, length):
                going.append(place)
            elif not ended[at]:
                ended[at] = [Said(beam.tokens[place, 0].tolist(), beam.each[place, 0].tolist())]
        return going

    def _is_over(self, ended: Sequence[Said], best: float, length: int) -> bool:
        """Whether what still grows cannot, or hardly, become better than what has ended."""
        if best == -math.inf:
            return True
        if len(ended) < self.config.beam:
            return False
        ranks = sorted((each.rank(self.config.length_power) for each in ended), reverse=True)
        return best / float(max(1, length) ** self.config.length_power) <= ranks[self.config.beam - 1]

    def _end_loops(self, beam: _Beam, ended: list[list[Said]]) -> None:
        """End hypotheses that say a phrase again and again, cut behind its first time."""
        if beam.tokens.shape[2] < 12 or beam.tokens.shape[2] % 4:
            return
        for row, at in enumerate(beam.utterances):
            for place, tokens in enumerate(beam.tokens[row].tolist()):
                cut = loop_start(tokens)
                if cut is not None and beam.score[row, place] > -torch.inf:
                    ended[at].append(Said(tokens[:cut], beam.each[row, place, :cut].tolist()))
                    beam.score[row, place] = -torch.inf


def scored(steps: WhisperSteps, prompt: Sequence[int], texts: Sequence[Sequence[int]], end: int) -> list[Said]:
    """Texts that are known, with ln P_att of each token and of the end.

    Args:
        steps: the decoder over one utterance, before its first token.
        prompt: what comes before the text.
        texts: tokens of each.
        end: token of the end.
    """
    count, longest = len(texts), max(map(len, texts), default=0)
    for token in prompt[:-1]:
        steps.push(torch.full((count,), token))
    last, each = torch.full((count,), prompt[-1]), list[Tensor]()
    following = torch.tensor([[*text, *[end] * (longest - len(text) + 1)] for text in texts])  # (N, L + 1)
    for at in range(longest + 1):
        each.append(steps.step(last).cpu().gather(1, following[:, at : at + 1])[:, 0])
        last = following[:, at]
    found = torch.stack(each, dim=1).tolist()
    return [Said(list(text), row[: len(text) + 1]) for text, row in zip(texts, found, strict=True)]


def without_doubtful(found: Found, config: WhisperSearchConfig) -> Found:
    """Nothing, where nobody seems to speak and the text is unsure (Radford et al. 2022, Sec. 4.5)."""
    if found.no_speech > config.no_speech and found.said[0].rank(1.0) < config.least_log_prob:
        return replace(found, said=[Said([], [])])
    return found


def _within(ids: Sequence[int], size: int) -> Tensor:
    return torch.tensor(sorted({index for index in ids if index < size}), dtype=torch.long)
