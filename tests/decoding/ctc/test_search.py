"""The state of a search, row by row: sums and best alignments that end in a blank and in a token."""

import math

import pytest
import torch

from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.ctc.search import BLANK_BEST, BLANK_SUM, BONUS, FUSED, LAST, NODE, TOKEN_BEST, TOKEN_SUM
from noisewise.decoding.fusion.fusion import Fusion
from noisewise.decoding.fusion.hotwords import Hotwords
from noisewise.text.tokenizer import CharacterTokenizer
from tests.decoding.exhaustive import random_log_probs

SMALL = CharacterTokenizer(("<blank>", "|", "A", "B"))
OPEN = BeamConfig(beam=200, beam_threshold=None, token_log_prob=None)


def after(frames: torch.Tensor, fusion: Fusion | None = None) -> dict[tuple[int, ...], tuple[list[float], list[int]]]:
    """Prefix to its rows, after all frames. (F, V)"""
    decoder = PrefixBeam(SMALL, OPEN, fusion)
    state = decoder.start(1)
    decoder.feed(state, frames[None], torch.tensor([len(frames)]))
    alive = [slot for slot in range(state.scores.shape[2]) if state.scores[:BONUS, 0, slot].max() > -math.inf]
    return {
        tuple(state.prefixes.tokens_of(int(state.links[NODE, 0, slot]))): (
            state.scores[:, 0, slot].tolist(),
            state.links[:, 0, slot].tolist(),
        )
        for slot in alive
    }


def test_rows_are_the_sums_of_the_recursion_by_hand() -> None:
    first, second = torch.tensor([0.5, 0.1, 0.3, 0.1]), torch.tensor([0.2, 0.1, 0.6, 0.1])
    found = after(torch.stack((first, second)).log())
    scores, links = found[(2,)]
    assert math.exp(scores[BLANK_SUM]) == pytest.approx(0.3 * 0.2)  # A _
    assert math.exp(scores[TOKEN_SUM]) == pytest.approx(0.5 * 0.6 + 0.3 * 0.6)  # _ A and A A
    assert math.exp(scores[TOKEN_BEST]) == pytest.approx(0.5 * 0.6)
    assert scores[BLANK_BEST] == pytest.approx(scores[BLANK_SUM])
    assert links[LAST] == 2 and scores[BONUS] == 0.0
    assert math.exp(found[()][0][BLANK_SUM]) == pytest.approx(0.5 * 0.2) and found[()][0][TOKEN_SUM] == -math.inf
    assert (2, 2) not in found, "a repeated token needs a blank between"


def test_the_bonus_of_fusion_stands_apart_from_ctc() -> None:
    frames = random_log_probs(4, len(SMALL), sharpness=1.0)
    fusion = Fusion([Hotwords(["AB"], SMALL, boost=1.5)], len(SMALL))
    plain, boosted = after(frames), after(frames, fusion)
    assert plain.keys() == boosted.keys()
    for prefix, (scores, links) in boosted.items():
        assert scores[:BONUS] == pytest.approx(plain[prefix][0][:BONUS], abs=1e-9)
        state, bonus = fusion.start, 0.0
        for token in prefix:
            bonus += float(fusion.table(torch.device("cpu"), torch.float64)[state, token])
            state = int(fusion.advance(torch.tensor([state]), torch.tensor([token])))
        assert scores[BONUS] == pytest.approx(bonus) and links[FUSED] == state


def test_no_prefix_is_in_the_beam_twice() -> None:
    decoder = PrefixBeam(SMALL, BeamConfig(beam=9, beam_threshold=None))
    state = decoder.start(3)
    for seed in range(6):
        decoder.feed(state, random_log_probs(3, 5, len(SMALL), seed=seed, sharpness=1.0), torch.tensor([5, 3, 5]))
        for row in range(3):
            nodes = state.links[NODE, row].tolist()
            assert len(set(nodes)) == len(nodes)
