"""Fusion in the search against fusion on finished transcripts, counted one by one."""

import math

import pytest
import torch
from torch import Tensor

from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.fusion.fusion import Fusion, Scorer
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.text.tokenizer import CharacterTokenizer
from tests.decoding.exhaustive import every_transcript

SMALL = CharacterTokenizer(("<blank>", "|", "A", "B"))
OPEN = BeamConfig(beam=2000, nbest=2000, beam_threshold=None, token_log_prob=None)
FRAME = 0.04


def decode(log_probs: Tensor, scorers: list[Scorer], config: BeamConfig = OPEN) -> list[Hypothesis]:
    decoder = PrefixBeam(SMALL, config, Fusion(scorers, len(SMALL)))
    return decoder.decode(log_probs[None], torch.tensor([len(log_probs)]), FRAME)[0]


def spelled(tokens: tuple[int, ...]) -> str:
    return "".join(SMALL.symbols[token] for token in tokens)


def check(log_probs: Tensor, scorers: list[Scorer], bonus) -> list[Hypothesis]:  # type: ignore[no-untyped-def]
    """Every transcript that the bonus allows is found, with ln P(Y | X) plus the bonus."""
    expected = {
        tokens: score + bonus(spelled(tokens))
        for tokens, (score, _, _) in every_transcript(log_probs).items()
        if bonus(spelled(tokens)) > -math.inf
    }
    found = decode(log_probs, scorers)
    assert {tuple(each.tokens) for each in found} == set(expected)
    for each in found:
        assert each.score == pytest.approx(expected[tuple(each.tokens)], abs=1e-6)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    return found
