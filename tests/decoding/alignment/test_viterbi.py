"""The best path against every path counted one by one, and against plain Viterbi without anything dropped."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from noisewise.decoding.alignment import viterbi as module
from noisewise.decoding.alignment.viterbi import STAR, Path, frames_needed, viterbi
from noisewise.decoding.hypothesis import collapse
from noisewise.errors import AlignmentError
from tests.decoding.exhaustive import every_transcript, random_log_probs


def said(path: Path, tokens: list[int]) -> list[int]:
    """The symbol of each frame, blanks as 0."""
    return [tokens[state // 2] if state % 2 else 0 for state in path.states.tolist()]


def plain(log_probs: Tensor, tokens: list[int]) -> float:
    """Score of the best path by the recursion as the paper has it, a state at a time; no stars."""
    labels = [0, *itertools.chain.from_iterable((token, 0) for token in tokens)]
    rows = log_probs.tolist()
    delta = [rows[0][label] if state < 2 else -math.inf for state, label in enumerate(labels)]
    for row in rows[1:]:
        before = delta
        delta = []
        for state, label in enumerate(labels):
            from_where = before[max(state - 1, 0) : state + 1]
            if state > 1 and label != 0 and label != labels[state - 2]:
                from_where.append(before[state - 2])
            delta.append(row[label] + max(from_where))
    return max(delta[-2:])


def similar_log_probs(frames: int, vocabulary: int, tokens: list[int], seed: int, boost: float) -> Tensor:
    """Log-probabilities in which the tokens are said at random times, by `boost` nats. (F, V)"""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(frames, vocabulary, generator=generator, dtype=torch.float64)
    where = torch.randperm(frames, generator=generator)[: len(tokens)].sort().values
    logits[:, 0] += boost / 2
    logits[where, torch.tensor(tokens, dtype=torch.long)] += boost
    return logits.log_softmax(-1)


@pytest.mark.parametrize("seed", range(6))
def test_the_best_path_of_every_transcript_is_that_of_all_paths(seed: int) -> None:
    log_probs = random_log_probs(5, 3, seed=seed)
    for tokens, (_, best, path) in every_transcript(log_probs).items():
        found = viterbi(log_probs, tokens)
        assert found.score == pytest.approx(best)
        assert said(found, list(tokens)) == path
        assert collapse(said(found, list(tokens))) == list(tokens)


@given(
    frames=st.integers(1, 60),
    tokens=st.lists(st.integers(1, 3), max_size=20),
    seed=st.integers(0, 999),
    boost=st.floats(0, 12),
    beam=st.sampled_from([0.0, 0.5, 5.0, 300.0]),
)
def test_what_is_dropped_never_changes_the_score(
    frames: int, tokens: list[int], seed: int, boost: float, beam: float
) -> None:
    frames = max(frames, frames_needed(tokens))
    log_probs = similar_log_probs(frames, 4, tokens, seed, boost)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SMALL", 0)
        found = viterbi(log_probs, tokens, beam=beam)
    symbols = said(found, tokens)
    assert found.score == pytest.approx(plain(log_probs, tokens), rel=1e-9)
    assert collapse(symbols) == tokens
    assert sum(log_probs[frame, symbol].item() for frame, symbol in enumerate(symbols)) == pytest.approx(found.score)
    assert set(np.diff(found.states).tolist()) <= {0, 1, 2}


def test_states_are_really_dropped_and_columns_are_really_few(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = torch.randint(1, 30, (400,), generator=torch.Generator().manual_seed(0)).tolist()
    log_probs = similar_log_probs(1600, 30, tokens, 0, 12.0)
    widths: list[int] = []
    step = module._Trellis.step

    def counting(trellis: module._Trellis, frame: int, column: module.Column) -> tuple[module.Column, object]:
        widths.append(len(column[1]))
        return step(trellis, frame, column)

    monkeypatch.setattr(module._Trellis, "step", counting)
    found = viterbi(log_probs, tokens)
    assert np.mean(widths) < 200  # of 801
    assert 2 * 1600 < len(widths) <= 3 * 1600
    assert found.score == pytest.approx(plain(log_probs, tokens))


def test_repeats_need_a_blank_and_the_shortest_recording_leaves_no_choice() -> None:
    log_probs = random_log_probs(5, 3, seed=1)
    assert frames_needed([1, 1, 2, 2]) == 6
    assert said(viterbi(log_probs, [1, 1, 2]), [1, 1, 2])[-1] in (0, 2)
    assert said(viterbi(log_probs[:4], [1, 1, 2]), [1, 1, 2]) == [1, 0, 1, 2]
    with pytest.raises(AlignmentError, match="must fit 5 frames, but 4 of them need at least 6"):
        viterbi(log_probs, [1, 1, 2, 2])


def test_no_tokens_is_all_blanks() -> None:
    log_probs = random_log_probs(4, 3, seed=2)
    found = viterbi(log_probs, [])
    assert found.states.tolist() == [0, 0, 0, 0]
    assert found.score == pytest.approx(log_probs[:, 0].sum().item())


def test_a_star_is_any_stretch() -> None:
    log_probs = random_log_probs(6, 4, seed=3)
    best = log_probs.max(dim=1).values
    assert viterbi(log_probs, [STAR]).score == pytest.approx(
        max(
            best[begin:end].sum().item() + log_probs[:begin, 0].sum().item() + log_probs[end:, 0].sum().item()
            for begin, end in itertools.combinations(range(7), 2)
        )
    )
    # a star beside a token: the best of all paths whose tokens begin with it, or of those that end in it
    for tokens, chosen in (([2, STAR], slice(None, 1)), ([STAR, 2], slice(-1, None))):
        scores = [score for said, (_, score, _) in every_transcript(log_probs).items() if said[chosen] == (2,)]
        assert viterbi(log_probs, tokens).score == pytest.approx(max(scores))


def test_two_stars_are_told_apart_without_a_blank_and_one_may_cost_nothing() -> None:
    log_probs = torch.tensor([[0.01, 0.99], [0.01, 0.99]]).log()
    assert frames_needed([STAR, STAR]) == 2
    assert viterbi(log_probs, [STAR, STAR]).states.tolist() == [1, 3]
    assert viterbi(log_probs, [STAR], star="one").score == pytest.approx(0.0)


def test_what_is_impossible_or_no_logarithm_is_named() -> None:
    impossible = torch.tensor([[0.0, -torch.inf], [0.0, -torch.inf]])
    with pytest.raises(AlignmentError, match="probability of 0"):
        viterbi(impossible, [1])
    with pytest.raises(AlignmentError, match="NaN or infinity"):
        viterbi(impossible * torch.nan, [1])
    for tokens in ([0], [2], [-2]):
        with pytest.raises(AlignmentError, match="must be ids below 2 and no blanks"):
            viterbi(impossible, tokens)
    with pytest.raises(AlignmentError, match="must fit 0 frames"):
        viterbi(impossible[:0], [])


def test_zero_probabilities_elsewhere_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", 0)
    log_probs = random_log_probs(6, 3, seed=4)
    log_probs[2, 1], log_probs[3, 0] = -torch.inf, -torch.inf
    for tokens, (_, best, _) in every_transcript(log_probs).items():
        if best > -math.inf:
            assert viterbi(log_probs, tokens).score == pytest.approx(best)
