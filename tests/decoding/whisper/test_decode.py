"""Texts by two judges: what each weighs, what hotwords change, and a prompt of hotwords that leaves room."""

from typing import Any

import pytest
import torch

from noisewise.decoding.config import DecodingConfig, build
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.decoding.whisper.config import WhisperSearchConfig
from noisewise.decoding.whisper.decode import Utterances, WhisperSearch, prompted
from noisewise.decoding.whisper.hotwords import ProposedHotwords
from noisewise.decoding.whisper.letters import ctc_scores
from noisewise.decoding.whisper.search import DecoderSearch
from noisewise.errors import DecodingError
from noisewise.text.tokenizer import CharacterTokenizer
from tests.models.whisper import small, tokens

LETTERS, PIECES = CharacterTokenizer(), tokens.tokenizer()
FRAMES = torch.randn(2, 30, 16, generator=torch.Generator().manual_seed(2))
LOG_PROBS = torch.randn(80, len(LETTERS), generator=torch.Generator().manual_seed(3)).log_softmax(dim=1)
GO = torch.full((80, len(LETTERS)), -9.0)
GO[:40, LETTERS.symbols.index("G")], GO[40:, LETTERS.symbols.index("O")] = 0.0, 0.0
"""Letters that say GO all the time."""


@pytest.fixture(scope="module")
def model() -> Any:
    return small.ours()


def decoded(
    model: Any, letters: torch.Tensor | None = LOG_PROBS, hotwords: ProposedHotwords | None = None, **options: Any
) -> list[Hypothesis]:
    """What is found in the first of two utterances."""
    search = DecoderSearch(PIECES, small.TOKENS, 40, WhisperSearchConfig(beam=4, nbest=4, **options))
    log_probs = [letters] * 2 if letters is not None else []
    utterances = Utterances(FRAMES, torch.tensor([30, 30]), [0.2, 0.2], log_probs)
    whisper = WhisperSearch(search, PIECES, model.steps, None if letters is None else LETTERS, 0.02, hotwords)
    return whisper.decode(utterances)[0]


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_score_is_that_of_both(model: Any, weight: float) -> None:
    found = decoded(model, ctc_weight=weight)
    by_letters = ctc_scores(LOG_PROBS, [each.text for each in found], LETTERS)
    for each, letters in zip(found, by_letters, strict=True):
        assert each.ctc_score == letters and each.attention_score is not None
        parts = [(1 - weight, each.attention_score), (weight, letters)]
        assert each.score == pytest.approx(sum(share * score for share, score in parts if share))


def test_without_letters_the_decoder_ranks_by_length(model: Any) -> None:
    found = decoded(model, None)
    for each in found:
        assert each.score == pytest.approx(each.attention_score / len(each.tokens))  # cut, without an end


def test_a_hotword_that_letters_propose_wins_with_boost_enough(model: Any) -> None:
    boost = {"GO": 40.0}
    proposer = build(DecodingConfig(search=BeamConfig(beam=8)), LETTERS, boost)
    best = decoded(model, GO, ProposedHotwords({"GO": "Go"}, boost, proposer))[0]
    plain = decoded(model, GO)[0]
    assert "go" in best.text.lower().split() and "go" not in plain.text.lower().split()
    assert best.fusion_score and plain.fusion_score == 0.0


def test_hotwords_before_the_text_leave_half_of_the_room() -> None:
    assert prompted(PIECES, {}, 40) == []
    assert prompted(PIECES, {"Go": None, "hi": None}, 40) == PIECES.encode(" Go, hi")
    with pytest.raises(DecodingError, match="`hotwords` must have 12 tokens at most"):
        prompted(PIECES, {"Noisewise and all its words": None}, 40)
