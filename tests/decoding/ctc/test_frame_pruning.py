"""Frames below the blank-skipping threshold are folded; unlikely tokens extend no prefix."""

import math

import pytest
import torch

from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.decoding.ctc.frame_pruning import fold, prepare
from tests.decoding.ctc.test_beam import SMALL, decode
from tests.decoding.exhaustive import every_transcript, random_log_probs


def test_folded_blanks_are_the_search_on_changed_log_probs() -> None:
    log_probs = random_log_probs(7, len(SMALL), sharpness=1.0)
    log_probs[[0, 3, 4, 6], 0] += 6
    log_probs = log_probs.log_softmax(-1)
    changed = log_probs.clone()
    changed[[0, 3, 4, 6], 1:] = -math.inf
    expected = every_transcript(changed)
    config = BeamConfig(beam=500, nbest=500, beam_threshold=None, token_log_prob=None, sure_blank=0.9)
    found = decode(log_probs, config)
    possible = {tokens for tokens, (score, _, _) in expected.items() if score > -math.inf}
    assert {tuple(each.tokens) for each in found} == possible
    for each in found:
        assert each.score == pytest.approx(expected[tuple(each.tokens)][0], abs=1e-9)
    one = next(each for each in found if each.text == "A")
    exact = next(each for each in decode(log_probs) if each.text == "A")
    assert (one.words[0].start, one.words[0].end) == (exact.words[0].start, exact.words[0].end)


def test_candidates_are_the_likeliest_tokens_and_never_the_blank() -> None:
    log_probs = torch.tensor([[[0.1, 0.2, 0.3, 0.4], [0.97, 0.01, 0.015, 0.005]]]).log()
    steps = prepare(log_probs, torch.tensor([2]), tokens=2, token_log_prob=math.log(0.012))
    assert steps.candidates[0, :, :2].tolist() == [[3, 2], [2, 1]] and steps.candidates[0, :, 2].tolist() == [0, 0]
    assert steps.counts.tolist() == [[2, 1]]
    assert steps.values[0, 1].tolist() == pytest.approx([math.log(0.015), -math.inf, -math.inf])
    assert steps.places[0, 0].tolist() == [2, 2, 1, 0]


def test_neighbouring_blanks_become_one_step() -> None:
    probs = torch.tensor([[0.95, 0.05], [0.96, 0.04], [0.5, 0.5], [0.99, 0.01]])
    folded, steps, frames = fold(probs.log()[None], torch.tensor([4]), 0, math.log(0.9))
    assert steps.tolist() == [3] and frames[0].tolist() == [0, 2, 3]
    assert folded[0, :, 0].exp().tolist() == pytest.approx([0.95 * 0.96, 0.5, 0.99])
    assert folded[0, :, 1].exp().tolist() == pytest.approx([0.0, 0.5, 0.0])
