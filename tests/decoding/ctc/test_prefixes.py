"""The trie of prefixes: one number for one sequence, room when needed, dropped when not."""

import itertools

import pytest
import torch

from noisewise.decoding.ctc import prefixes
from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from tests.decoding.ctc.test_beam import FRAME, SMALL, decode
from tests.decoding.exhaustive import random_log_probs


def test_a_prefix_that_comes_back_merges_with_what_grew_from_it() -> None:
    """With a narrow beam prefixes fall out and return; no two hypotheses may hold the same tokens."""
    for seed in range(30):
        log_probs = random_log_probs(30, len(SMALL), seed=seed, sharpness=1.0)
        found = decode(log_probs, BeamConfig(beam=12, nbest=12, beam_threshold=None))
        assert len({tuple(each.tokens) for each in found}) == len(found)


def test_forgetting_prefixes_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    log_probs, lengths = random_log_probs(2, 60, len(SMALL), sharpness=1.0), torch.tensor([60, 60])
    decoder = PrefixBeam(SMALL, BeamConfig(beam=8, nbest=8))
    expected = decoder.decode(log_probs, lengths, FRAME)
    monkeypatch.setattr(prefixes, "ROOM", -200)
    state = decoder.start(2)
    sizes = []
    for at in range(0, 60, 2):
        decoder.feed(state, log_probs[:, at : at + 2], torch.tensor([2, 2]))
        sizes.append(state.prefixes.size)
    assert decoder.hypotheses(state, FRAME) == expected
    assert any(after < before for before, after in itertools.pairwise(sizes))


def test_many_prefixes_find_room() -> None:
    trie = prefixes.PrefixTrie(1, 3)
    nodes = torch.tensor([prefixes.FIRST])
    for _ in range(11):
        parents = nodes.repeat(2)
        nodes = trie.extend(parents, torch.tensor([1, 2]).repeat_interleave(len(nodes)))
    assert trie.size == prefixes.FIRST + 1 + sum(2**depth for depth in range(1, 12))
    assert len({tuple(trie.tokens_of(node)) for node in nodes.tolist()}) == 2**11
    again = trie.extend(parents, torch.tensor([1, 2]).repeat_interleave(len(parents) // 2))
    assert again.equal(nodes)
