"""The search of the papers, and the fast one: the same prefixes, the same scores."""

import math

import pytest
import torch

from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.ctc.reference import prefix_beam_search
from noisewise.text.tokenizer import CharacterTokenizer
from tests.decoding.exhaustive import every_transcript, random_log_probs

TOKENIZER = CharacterTokenizer()


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_sums_over_every_alignment(seed: int) -> None:
    log_probs = random_log_probs(5, 3, seed=seed)
    expected = {tokens: total for tokens, (total, *_) in every_transcript(log_probs).items() if total > -math.inf}
    found = dict(prefix_beam_search(log_probs.tolist(), beam=10_000))
    assert found.keys() == expected.keys()
    assert all(found[tokens] == pytest.approx(expected[tokens], abs=1e-9) for tokens in found)


@pytest.mark.parametrize("beam", [1, 2, 5, 20])
@pytest.mark.parametrize("seed", range(4))
def test_the_fast_search_keeps_the_same_prefixes(seed: int, beam: int) -> None:
    log_probs = random_log_probs(2, 12, len(TOKENIZER), seed=seed, sharpness=3.0)
    config = BeamConfig(beam=beam, nbest=beam, beam_threshold=None, token_log_prob=None)
    fast = PrefixBeam(TOKENIZER, config).decode(log_probs, torch.tensor([12, 7]), 0.02)
    for frames, hypotheses, length in zip(log_probs, fast, (12, 7), strict=True):
        expected = prefix_beam_search(frames[:length].tolist(), beam, TOKENIZER.blank)
        assert [tuple(each.tokens) for each in hypotheses] == [prefix for prefix, _ in expected]
        assert [each.ctc_score for each in hypotheses] == pytest.approx([score for _, score in expected], abs=1e-9)


def test_a_repeated_token_needs_a_blank_between() -> None:
    certain = [[-9.0, 0.0], [-9.0, 0.0], [0.0, -9.0], [-9.0, 0.0]]
    assert prefix_beam_search(certain, beam=3)[0][0] == (1, 1)
    assert prefix_beam_search([], beam=3) == [((), 0.0)]
