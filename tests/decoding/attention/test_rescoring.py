"""Attention chooses among what CTC finds: with everything found, the best of all texts."""

from dataclasses import replace

import pytest
import torch

from noisewise.decoding.attention.joint import JointConfig, JointSearch
from noisewise.decoding.attention.rescoring import AttentionRescoring
from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.fusion.fusion import Fusion
from noisewise.decoding.fusion.lm_scorers import CharacterScorer
from tests.decoding.attention.test_joint import WIDE, Likes
from tests.decoding.exhaustive import random_log_probs
from tests.decoding.table import SYMBOLS, TOKENIZER, Table

EVERYTHING = BeamConfig(beam=500, nbest=500, beam_threshold=None, token_log_prob=None)
LENGTHS = torch.tensor([4, 2, 0])
LOG_PROBS = random_log_probs(3, 4, SYMBOLS, seed=2)
CONFIG = replace(WIDE, ctc_weight=0.4, bonus=0.3, length_power=0.5)


def proposed(fusion: Fusion | None = None) -> AttentionRescoring:
    return AttentionRescoring(PrefixBeam(TOKENIZER, EVERYTHING, fusion), CONFIG)


@pytest.mark.parametrize("with_model", [False, True])
def test_two_passes_agree_with_one_where_nothing_is_pruned(with_model: bool) -> None:
    fusion = Fusion([CharacterScorer(Likes(), TOKENIZER, weight=0.7)], SYMBOLS) if with_model else None
    one = JointSearch(TOKENIZER, CONFIG, fusion).decode(Table([0, 1, 2]), LOG_PROBS, LENGTHS, 0.04)
    two = proposed(fusion).decode(Table([0, 1, 2]), LOG_PROBS, LENGTHS, 0.04)
    for a, b in zip(one, two, strict=True):
        assert [each.tokens for each in a] == [each.tokens for each in b]
        assert [each.score for each in a] == pytest.approx([each.score for each in b], abs=1e-4)
        assert [(w.text, w.start, w.end) for w in a[0].words] == [(w.text, w.start, w.end) for w in b[0].words]
    by_ctc = PrefixBeam(TOKENIZER, EVERYTHING, fusion).decode(LOG_PROBS, LENGTHS, 0.04)
    assert [each.tokens for each in by_ctc[0]][:5] != [each.tokens for each in two[0]]


def test_as_many_are_returned_as_are_asked_for() -> None:
    rescoring = AttentionRescoring(PrefixBeam(TOKENIZER, replace(EVERYTHING, nbest=3)), JointConfig(nbest=2))
    (found, _, empty) = rescoring.decode(Table([0, 1, 2]), LOG_PROBS, LENGTHS, 0.04)
    assert len(found) == 2 and found[0].score > found[1].score
    assert [each.text for each in empty] == [""]
