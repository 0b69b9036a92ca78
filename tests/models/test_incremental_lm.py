"""The language model asked word by word is the one that reads whole sentences."""

import random

import pytest
import torch

from noisewise.models import incremental_lm
from noisewise.models.incremental_lm import History, IncrementalLM
from noisewise.models.lm import TransformerLM, tiny

TOKENS = ["</s>", "<unk>", *"ABCDEFGHI"]


@pytest.fixture
def model() -> TransformerLM:
    torch.manual_seed(0)
    model = TransformerLM(tiny(len(TOKENS))).eval()
    with torch.no_grad():
        model.embedding.weight.mul_(3)  # surer of itself than chance
    return model


@torch.no_grad()
def whole(model: TransformerLM, history: History) -> torch.Tensor:
    """ln P(next | history), by reading it at once. (V,)"""
    return model(torch.tensor([history]))[0, -1].log_softmax(dim=0)


def histories(count: int, longest: int = 12) -> list[History]:
    drawn = random.Random(3)
    return [(0, *(drawn.randrange(1, 11) for _ in range(drawn.randrange(longest)))) for _ in range(count)]


def test_word_by_word_is_the_whole_sentence(model: TransformerLM) -> None:
    asked, read = IncrementalLM(model, TOKENS), [0]
    state: History = (0,)
    for token in "CABBAGEXCAB":  # X is no token
        expected = whole(model, tuple(read))
        number = TOKENS.index(token) if token in TOKENS else 1
        assert asked.end(state) == pytest.approx(float(expected[0]), abs=1e-5)
        score, after = asked.score(state, token)
        assert score == pytest.approx(float(expected[number]), abs=1e-5)
        assert after == asked.advance(state, token)
        read.append(number)
        state = after
    assert asked.knows("A") and not asked.knows("X")
    assert asked.unit == "characters"


def test_together_is_alone(model: TransformerLM) -> None:
    """Histories of all lengths in one batch, some of whose beginnings nobody has asked for."""
    together, states = IncrementalLM(model, TOKENS), histories(40)
    together.prefetch(states[:3])
    together.prefetch(states)
    for state in states:
        alone = IncrementalLM(model, TOKENS)
        for token in ("A", "I", "X"):
            score, after = together.score(state, token)
            assert score == pytest.approx(alone.score(state, token)[0], abs=1e-5)
            assert after == alone.score(state, token)[1]
        assert together.end(state) == pytest.approx(float(whole(model, state)[0]), abs=1e-5)


def test_what_was_foreseen_is_not_computed_again(model: TransformerLM, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    once = model.next
    monkeypatch.setattr(model, "next", lambda tokens, *rest: (calls.append(len(tokens)), once(tokens, *rest))[1])
    asked, states = IncrementalLM(model, TOKENS), histories(30)
    asked.prefetch(states)
    prefixes = {state[:length] for state in states for length in range(1, len(state) + 1)}
    assert sum(calls) == len(prefixes) and len(calls) == max(len(state) for state in states)
    for state in states:
        asked.score(state, "B")
        asked.end(state)
    asked.prefetch(states)
    assert sum(calls) == len(prefixes)
    asked.end((*states[0], 4))
    assert calls[-1] == 1 and sum(calls) == len(prefixes) + 1


def test_what_is_forgotten_comes_out_the_same(model: TransformerLM) -> None:
    forgetful, states = IncrementalLM(model, TOKENS, room=0), histories(20)
    assert forgetful._most == 1
    for state in states + states:
        assert forgetful.end(state) == pytest.approx(float(whole(model, state)[0]), abs=1e-5)
    assert len(forgetful._memory) <= 2
    forgetful.prefetch(states)
    assert forgetful.score(states[5], "A")[0] == pytest.approx(float(whole(model, states[5])[2]), abs=1e-5)


def test_small_batches_are_large_ones(model: TransformerLM, monkeypatch: pytest.MonkeyPatch) -> None:
    states = histories(20)
    expected = [IncrementalLM(model, TOKENS).end(state) for state in states]
    monkeypatch.setattr(incremental_lm, "BATCH", 3)
    asked = IncrementalLM(model, TOKENS)
    asked.prefetch(states)
    assert [asked.end(state) for state in states] == pytest.approx(expected, abs=1e-5)


def test_a_long_text_goes_on_from_its_newer_half() -> None:
    torch.manual_seed(0)
    config = tiny(len(TOKENS))
    model = TransformerLM(type(config)(**{**vars(config), "context": 6})).eval()
    asked = IncrementalLM(model, TOKENS)
    state: History = asked.start()
    for token in "ABCDE":
        state = asked.score(state, token)[1]
    assert state == (0, 2, 3, 4, 5, 6)
    state = asked.score(state, "F")[1]
    assert state == (5, 6, 7)
    assert asked.end(state) == pytest.approx(float(whole(model, state)[0]), abs=1e-5)
