"""CTC prefix scores: every path counted one by one."""

import math

import pytest
import torch

from noisewise.decoding.attention.prefix_score import PrefixScores
from tests.decoding.exhaustive import every_transcript, random_log_probs

FRAMES, SYMBOLS = 5, 4


def expected(prefix: tuple[int, ...], exact: bool = False) -> float:
    """ln of the sum over transcripts that begin with, or are, the prefix."""
    found = [
        math.exp(score)
        for tokens, (score, _, _) in every_transcript(random_log_probs(FRAMES, SYMBOLS)).items()
        if (tokens == prefix if exact else tokens[: len(prefix)] == prefix)
    ]
    return math.log(sum(found)) if sum(found) else -math.inf


@pytest.mark.parametrize("prefix", [(), (1,), (2, 1), (3, 3), (1, 2, 1), (2, 2, 2), (1, 2, 3, 1, 2)])
def test_scores_are_the_sums_over_transcripts(prefix: tuple[int, ...]) -> None:
    scores = PrefixScores(random_log_probs(1, FRAMES, SYMBOLS), torch.tensor([FRAMES]))
    state = scores.start()
    for token in prefix:
        state = scores.extend(state, torch.tensor([[0]]), torch.tensor([[token]]))
    found = scores.scores(state)[0, 0].tolist()
    assert found[0] == pytest.approx(expected(prefix, exact=True))
    for token in range(1, SYMBOLS):
        assert found[token] == pytest.approx(expected((*prefix, token)))


def test_tokens_that_do_not_fit_are_impossible() -> None:
    scores = PrefixScores(random_log_probs(1, 3, SYMBOLS), torch.tensor([3]))
    state = scores.start()
    for token in (1, 1):  # needs a blank between: three frames
        state = scores.extend(state, torch.tensor([[0]]), torch.tensor([[token]]))
    found = scores.scores(state)[0, 0].tolist()
    assert math.isfinite(found[0]) and found[1:] == [-math.inf] * 3


def test_padding_and_neighbours_change_nothing() -> None:
    log_probs, lengths = random_log_probs(3, 9, SYMBOLS, seed=3), torch.tensor([9, 4, 1])
    together = PrefixScores(log_probs, lengths)
    parents = [torch.tensor([[0, 0]] * 3), torch.tensor([[1, 0]] * 3)]
    tokens = [torch.tensor([[1, 2]] * 3), torch.tensor([[2, 3]] * 3)]
    states = together.extend(together.extend(together.start(), parents[0], tokens[0]), parents[1], tokens[1])
    for row, length in enumerate(lengths.tolist()):
        alone = PrefixScores(log_probs[row : row + 1, :length], lengths[row : row + 1])
        state = alone.extend(alone.start(), parents[0][:1], tokens[0][:1])
        state = alone.extend(state, parents[1][:1], tokens[1][:1])
        torch.testing.assert_close(together.scores(states)[row], alone.scores(state)[0], atol=1e-6, rtol=0)


def test_hundreds_of_frames_keep_their_precision() -> None:
    log_probs = random_log_probs(1, 700, 30, seed=5, sharpness=6.0)
    scores = PrefixScores(log_probs, torch.tensor([700]))
    state = scores.start()
    tokens = [1 + at % 29 for at in range(200)]
    for token in tokens:
        state = scores.extend(state, torch.tensor([[0]]), torch.tensor([[token]]))
    ours = float(scores.scores(state)[0, 0, 0])
    theirs = -torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1), torch.tensor([tokens]), torch.tensor([700]), torch.tensor([200]), reduction="none"
    )
    assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_a_symbol_of_no_probability_is_impossible() -> None:
    log_probs = random_log_probs(1, FRAMES, SYMBOLS)
    log_probs[..., 2] = -torch.inf
    scores = PrefixScores(log_probs, torch.tensor([FRAMES]))
    found = scores.scores(scores.start())[0, 0]
    assert found[2] == -torch.inf and found[[0, 1, 3]].isfinite().all()
