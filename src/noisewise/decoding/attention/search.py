"""What decoding knows of an attention decoder: a step function; and what it makes of whole recordings.

Legend: B utterances, K hypotheses of each, F frames, E width of the encoder, V tokens, L tokens of a hypothesis.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from noisewise.decoding.attention.segmentation import joined, pieces
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.text.tokenizer import Tokenizer

END = 0
"""Start and end of a text, to the decoder."""
MOST_FRAMES = 8_000
"""Frames that are decoded together, padding included."""


class Steps(Protocol):
    """A decoder and the utterances it looks at; each has as many hypotheses as the others."""

    def step(self, tokens: Tensor) -> Tensor:
        """Put a token behind each hypothesis, 0 at first. (B * K,) -> ln P(next token), 0 is the end (B * K, V)"""
        ...

    def reorder(self, rows: Tensor) -> None:
        """Go on from other hypotheses of the same utterances. (B * K',)"""
        ...

    def keep(self, utterances: Tensor) -> None:
        """Go on with these utterances alone; `reorder` has left their hypotheses. (B',)"""
        ...


Begin = Callable[[Tensor, Tensor], Steps]
"""Makes the step function of frames (B, F, E) and their lengths (B,)."""


class PieceSearch(Protocol):
    """A search that an attention decoder takes part in."""

    def decode(self, steps: Steps, log_probs: Tensor, lengths: Tensor, frame_seconds: float) -> list[list[Hypothesis]]:
        """The likeliest hypotheses of each utterance, best first. (B, F, V), (B,)"""
        ...


class AttentionSearch:
    """Recordings of any length, cut at their pauses, many pieces at a time.

    Args:
        search: of pieces.
        begin: makes the step function.
        tokenizer: knows the blank and the boundary between words.
        piece_seconds: no piece is longer.
        nbest: hypotheses of a recording.
    """

    def __init__(self, search: PieceSearch, begin: Begin, tokenizer: Tokenizer, piece_seconds: float, nbest: int = 1):
        self.search, self.begin, self.tokenizer = search, begin, tokenizer
        self.piece_seconds, self.nbest = piece_seconds, nbest

    @torch.inference_mode()
    def decode(
        self, log_probs: Sequence[Tensor], frames: Sequence[Tensor], frame_seconds: float
    ) -> list[list[Hypothesis]]:
        """The likeliest hypotheses of each recording, best first.

        Args:
            log_probs: by CTC. (F, V) each
            frames: of the encoder. (F, E) each
            frame_seconds: time between two frames.
        """
        longest = max(1, round(self.piece_seconds / frame_seconds))
        cuts = [pieces(each, longest, (self.tokenizer.blank, self.tokenizer.boundary)) for each in log_probs]
        places = [(at, start, end) for at, found in enumerate(cuts) for start, end in found]
        decoded: dict[tuple[int, int], list[Hypothesis]] = {}
        for together in _batches(sorted(places, key=lambda place: place[2] - place[1])):
            lengths = torch.tensor([end - start for _, start, end in together])
            steps = self.begin(_padded([frames[at][start:end] for at, start, end in together]), lengths)
            padded = _padded([log_probs[at][start:end] for at, start, end in together])
            found = self.search.decode(steps, padded, lengths, frame_seconds)
            decoded.update(((at, start), each) for (at, start, _), each in zip(together, found, strict=True))
        return [
            joined([(start * frame_seconds, decoded[at, start]) for start, _ in found], self.tokenizer, self.nbest)
            for at, found in enumerate(cuts)
        ]


def attention_scores(steps: Steps, hypotheses: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
    """ln P_att of texts that are known, the end included.

    Args:
        steps: the decoder, before its first step.
        hypotheses: tokens of some hypotheses of each utterance.

    Returns:
        One number for each hypothesis.
    """
    width = max(map(len, hypotheses), default=0)
    rows = [list(tokens) for each in hypotheses for tokens in (*each, *[()] * (width - len(each)))]
    longest = max(map(len, rows), default=-1)
    said = torch.tensor([[*row, *[END] * (longest - len(row) + 1)] for row in rows], dtype=torch.long)  # (B * K, L + 1)
    scores, token = torch.zeros(len(rows), dtype=torch.float64), torch.full((len(rows),), END)
    lengths = torch.tensor([len(row) for row in rows])
    for at in range(longest + 1):
        following = steps.step(token).to("cpu", torch.float64)
        token = said[:, at]
        scores += following.gather(1, token[:, None])[:, 0].where(at <= lengths, 0.0)
    found = iter(scores.tolist())
    scored = [[next(found) for _ in range(width)] for _ in hypotheses]
    return [numbers[: len(each)] for numbers, each in zip(scored, hypotheses, strict=True)]


def _batches(places: Sequence[tuple[int, int, int]]) -> Iterator[list[tuple[int, int, int]]]:
    """Pieces from the shortest to the longest, as many together as fit."""
    together: list[tuple[int, int, int]] = []
    for place in places:
        if together and (len(together) + 1) * (place[2] - place[1]) > MOST_FRAMES:
            yield together
            together = []
        together.append(place)
    if together:
        yield together


def _padded(parts: list[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
