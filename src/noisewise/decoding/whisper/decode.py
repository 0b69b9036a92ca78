"""From the frames of a Whisper to hypotheses: the decoder searches, and a CTC head judges beside it.

    score(Y) = (1 - w) ln P_att(Y, end | prompt, X) + w ln P_ctc(letters of Y | X) + what hotwords earn

over the hypotheses in which the search of the decoder has ended, and those with hotwords that the search by CTC
proposes. Without a head, hypotheses are ranked by the decoder alone; hotwords then stand before the text in the prompt,
as if they had just been said, which makes them likelier without a weight.

Legend: B utterances, F frames, D width, C letters.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from noisewise.decoding.hypothesis import Hypothesis, Word
from noisewise.decoding.whisper.config import Pieces, WhisperSearchConfig
from noisewise.decoding.whisper.hotwords import ProposedHotwords
from noisewise.decoding.whisper.letters import ctc_scores, text_of, words_by_length, words_by_letters
from noisewise.decoding.whisper.search import DecoderSearch, Found, Said, WhisperSteps, scored, without_doubtful
from noisewise.errors import DecodingError
from noisewise.text.tokenizer import Tokenizer

Begin = Callable[[Tensor, Tensor], WhisperSteps]
"""Makes the step function of frames (B, F, D) and their lengths (B,)."""


@dataclass(frozen=True)
class Utterances:
    """What a Whisper makes of a batch of utterances."""

    frames: Tensor
    """Of the encoder, silence behind the utterances included. (B, F, D)"""
    lengths: Tensor
    """Valid frames. (B,)"""
    seconds: Sequence[float]
    """How long each utterance lasts."""
    log_probs: Sequence[Tensor] = field(default_factory=tuple)
    """Natural logarithms of letter probabilities, without the silence behind; none without a head. (F, C) each"""


class WhisperSearch:
    """The decoding of a model.

    Args:
        search: by the decoder.
        pieces: the tokenizer of Whisper.
        begin: makes the step function of its decoder.
        letters: the tokenizer of the CTC head; None without a head.
        frame_seconds: time between two frames.
        hotwords: those that letters propose; None for none.
    """

    def __init__(
        self,
        search: DecoderSearch,
        pieces: Pieces,
        begin: Begin,
        letters: Tokenizer | None,
        frame_seconds: float,
        hotwords: ProposedHotwords | None = None,
    ):
        self.search, self.pieces, self.begin, self.letters = search, pieces, begin, letters
        self.frame_seconds, self.hotwords = frame_seconds, hotwords

    @property
    def config(self) -> WhisperSearchConfig:
        """The rules of the search."""
        return self.search.config

    @torch.inference_mode()
    def decode(self, utterances: Utterances) -> list[list[Hypothesis]]:
        """The likeliest hypotheses of each utterance, best first; its neighbours in the batch do not change them."""
        steps = self.begin(utterances.frames, utterances.lengths)
        found = [without_doubtful(each, self.config) for each in self.search.search(steps, utterances.seconds)]
        if not utterances.log_probs:
            return [self._by_decoder(each, length) for each, length in zip(found, utterances.seconds, strict=True)]
        proposed = self._proposed(utterances)
        return [self._jointly(utterances, row, each, proposed[row]) for row, each in enumerate(found)]

    def _by_decoder(self, found: Found, seconds: float) -> list[Hypothesis]:
        return [
            Hypothesis(
                text_of(said, self.pieces),
                said.tokens,
                words_by_length(said, self.pieces, seconds),
                said.rank(self.config.length_power),
                attention_score=said.score,
            )
            for said in found.said[: self.config.nbest]
        ]

    def _proposed(self, utterances: Utterances) -> list[list[Hypothesis]]:
        """What the search by CTC with hotwords finds in each utterance."""
        if self.hotwords is None:
            return [[] for _ in utterances.log_probs]
        padded = torch.nn.utils.rnn.pad_sequence(list(utterances.log_probs), batch_first=True)
        lengths = torch.tensor([len(each) for each in utterances.log_probs])
        return self.hotwords.proposer.decode(padded, lengths, self.frame_seconds)

    def _jointly(
        self, utterances: Utterances, row: int, found: Found, proposed: Sequence[Hypothesis]
    ) -> list[Hypothesis]:
        """Hypotheses of one utterance by both scores."""
        said, log_probs, weight = list(found.said), utterances.log_probs[row], self.config.ctc_weight
        if self.hotwords is not None and said[0].tokens:
            texts = self.hotwords.texts(self._words(log_probs, said[0]), proposed)
            said += self._judged(utterances, row, found.prompt, texts)
        texts = [text_of(each, self.pieces) for each in said]
        by_letters = ctc_scores(log_probs, texts, self._letters)
        bonus = [self.hotwords.bonus(text) if self.hotwords is not None else 0.0 for text in texts]
        total = [
            _weighted(1 - weight, each.score) + _weighted(weight, ctc) + added
            for each, ctc, added in zip(said, by_letters, bonus, strict=True)
        ]
        best = sorted(range(len(said)), key=lambda at: -total[at])[: self.config.nbest]
        return [
            Hypothesis(
                texts[at],
                said[at].tokens,
                self._words(log_probs, said[at]),
                total[at],
                ctc_score=by_letters[at],
                attention_score=said[at].score,
                fusion_score=bonus[at],
            )
            for at in best
        ]

    def _judged(self, utterances: Utterances, row: int, prompt: Sequence[int], texts: Sequence[str]) -> list[Said]:
        """Texts with the scores of the decoder."""
        if not texts:
            return []
        steps = self.begin(utterances.frames[row : row + 1], utterances.lengths[row : row + 1])
        room = self.search.positions - len(prompt)
        tokens = [list(self.pieces.encode(" " + text)) for text in texts]
        return scored(steps, prompt, [each for each in tokens if len(each) <= room], self.pieces.end)

    def _words(self, log_probs: Tensor, said: Said) -> list[Word]:
        return words_by_letters(log_probs, said, self.pieces, self._letters, self.frame_seconds)

    @property
    def _letters(self) -> Tokenizer:
        assert self.letters is not None
        return self.letters


def prompted(pieces: Pieces, hotwords: Mapping[str, float | None], positions: int) -> list[int]:
    """Hotwords as tokens of a text that came before, for a decoder without a CTC head.

    Raises:
        DecodingError: they fill more than half of what the decoder can hold.
    """
    tokens = list(pieces.encode(" " + ", ".join(hotwords))) if hotwords else []
    if len(tokens) > positions // 2 - 8:
        raise DecodingError(
            f"`hotwords` must have {positions // 2 - 8} tokens at most for a Whisper without a CTC head, whose prompt "
            f"they fill, but have {len(tokens)} instead; leave some out"
        )
    return tokens


def _weighted(weight: float, score: float) -> float:
    """Nothing is forbidden by what has no weight: 0 times -inf is 0."""
    return weight * score if weight and score > -math.inf else (-math.inf if weight else 0.0)
