"""An attention decoder that is a table of random numbers: what it says can be counted by hand."""

import torch
from torch import Tensor

from noisewise.text.tokenizer import BLANK, BOUNDARY, CharacterTokenizer

TOKENIZER = CharacterTokenizer((BLANK, BOUNDARY, "A", "B"))
SYMBOLS = 4


class Table:
    """A decoder that draws its probabilities from what was said before, and from the utterance."""

    def __init__(self, seeds: list[int]):
        self.said: list[tuple[tuple[int], tuple[int, ...]]] = [((seed,), ()) for seed in seeds]
        self.begun = False

    def step(self, tokens: Tensor) -> Tensor:
        if not self.begun:  # as many hypotheses of each utterance as are scored for
            self.said = [each for each in self.said for _ in range(len(tokens) // len(self.said))]
        if self.begun:
            self.said = [(seed, (*past, token)) for (seed, past), token in zip(self.said, tokens.tolist(), strict=True)]
        self.begun = True
        return torch.stack([next_log_probs(seed[0], past) for seed, past in self.said])

    def reorder(self, rows: Tensor) -> None:
        self.said = [self.said[row] for row in rows.tolist()]

    def keep(self, utterances: Tensor) -> None:
        """Each hypothesis knows its utterance."""


def next_log_probs(seed: int, past: tuple[int, ...]) -> Tensor:
    number = seed + sum(token * 5**at for at, token in enumerate(past, start=1))
    return torch.randn(SYMBOLS, generator=torch.Generator().manual_seed(number)).mul(1.5).log_softmax(dim=-1)


def attention_score(seed: int, tokens: tuple[int, ...]) -> float:
    return sum(float(next_log_probs(seed, tokens[:at])[token]) for at, token in enumerate((*tokens, 0)))
