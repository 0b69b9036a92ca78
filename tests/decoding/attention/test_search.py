"""Recordings through an attention decoder: in pieces, in batches, and with texts that are known."""

import pytest
import torch
from torch import Tensor

from noisewise.decoding.attention import search as attention
from noisewise.decoding.attention.joint import JointConfig, JointSearch
from noisewise.decoding.attention.search import AttentionSearch, attention_scores
from tests.decoding.exhaustive import random_log_probs
from tests.decoding.table import SYMBOLS, TOKENIZER, Table, attention_score


def test_pieces_keep_their_times() -> None:
    path = [0, 2, 0, 3, 0, 0, 0, 0, 3, 0, 2, 0]
    log_probs = torch.full((len(path), SYMBOLS), 0.001).scatter(1, torch.tensor(path)[:, None], 0.997).log()
    search = JointSearch(TOKENIZER, JointConfig(ctc_weight=1.0))
    scored: list[tuple[int, ...]] = []

    def begin(frames: Tensor, lengths: Tensor) -> Table:
        scored.append(tuple(frames.shape))
        return Table([0] * len(lengths))

    ((found,),) = AttentionSearch(search, begin, TOKENIZER, 0.8).decode([log_probs], [torch.zeros(12, 7)], 0.1)
    assert scored == [(2, 6, 7)]
    assert found.text == "AB BA" and found.tokens == [2, 3, 1, 3, 2]
    assert [(word.start, word.end) for word in found.words] == [
        (pytest.approx(0.1), pytest.approx(0.4)),
        (pytest.approx(0.8), pytest.approx(1.1)),
    ]


@pytest.mark.parametrize("most", [8000, 12, 1])
def test_recordings_together_say_what_they_say_alone(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    lengths = [5, 0, 17, 3, 9]
    posteriors = [random_log_probs(1, length, SYMBOLS, seed=at)[0] for at, length in enumerate(lengths)]
    frames = [torch.full((length, 1), float(at)) for at, length in enumerate(lengths)]

    def begin(frames: Tensor, lengths: Tensor) -> Table:
        return Table([int(each[0, 0]) if len(each) else 0 for each in frames])

    search = AttentionSearch(JointSearch(TOKENIZER, JointConfig(beam=3, nbest=2)), begin, TOKENIZER, 0.24, 2)
    alone = [search.decode([a], [b], 0.04)[0] for a, b in zip(posteriors, frames, strict=True)]
    monkeypatch.setattr(attention, "MOST_FRAMES", most)
    for one, other in zip(search.decode(posteriors, frames, 0.04), alone, strict=True):
        assert [(each.text, each.tokens, each.words) for each in one] == [(e.text, e.tokens, e.words) for e in other]
        assert [each.score for each in one] == pytest.approx([each.score for each in other])
    assert search.decode([], [], 0.04) == [] and alone[1][0].text == ""


def test_known_texts_are_scored_token_by_token() -> None:
    texts = [[[2, 1, 3], [], [3]], [[2]], []]
    found = attention_scores(Table([4, 7, 9]), texts)
    assert [len(each) for each in found] == [3, 1, 0]
    assert found[0] == pytest.approx([attention_score(4, tuple(tokens)) for tokens in texts[0]], abs=1e-5)
    assert found[1] == pytest.approx([attention_score(7, (2,))], abs=1e-5)
    assert attention_scores(Table([]), []) == []
