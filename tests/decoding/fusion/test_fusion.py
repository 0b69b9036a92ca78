"""Scorers side by side: in batches, in chunks, beyond the size of the table."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.fusion.fusion import Fusion, Scorer
from noisewise.decoding.fusion.hotwords import Hotwords
from noisewise.decoding.fusion.lexicon import Lexicon
from noisewise.decoding.fusion.lm_scorers import WordScorer
from noisewise.errors import DecodingError
from noisewise.lm.protocol import LanguageModel
from noisewise.text.tokenizer import CharacterTokenizer
from tests.decoding.exhaustive import random_log_probs
from tests.decoding.fusion.checked import FRAME, SMALL


def test_all_together_in_batches_chunks_and_twice(words: LanguageModel) -> None:
    scorers: list[Scorer] = [
        WordScorer(words, SMALL, 0.5, 0.5),
        Hotwords(["BA B"], SMALL),
        Lexicon(["A", "B", "BA"], SMALL),
    ]
    decoder = PrefixBeam(SMALL, BeamConfig(beam=10, nbest=3), Fusion(scorers, len(SMALL)))
    log_probs, lengths = random_log_probs(4, 30, len(SMALL)), torch.tensor([30, 0, 11, 29])
    together = decoder.decode(log_probs, lengths, FRAME)
    assert decoder.decode(log_probs, lengths, FRAME) == together
    for row, count in enumerate(lengths.tolist()):
        state = decoder.start(1)
        for at in range(0, count, 7):
            size = min(7, count - at)
            decoder.feed(state, log_probs[row : row + 1, at : at + size], torch.tensor([size]))
        (alone,) = decoder.hypotheses(state, FRAME)
        assert [each.tokens for each in alone] == [each.tokens for each in together[row]]
        assert [each.score for each in alone] == pytest.approx([each.score for each in together[row]], abs=1e-9)


def test_another_tokenizer_is_refused() -> None:
    with pytest.raises(DecodingError, match="same tokenizer"):
        PrefixBeam(CharacterTokenizer(), fusion=Fusion([Hotwords(["A"], SMALL)], len(SMALL)))


def test_more_states_than_the_table_holds_at_first(tmp_path: Path) -> None:
    class Count:
        def start(self) -> int:
            return 0

        def step(self, state: int, token: int) -> int:
            return state + 1

        def add(self, state: int, row: NDArray[np.float64]) -> None:
            row += state

        def final(self, state: int) -> float:
            return 0.0

    fusion = Fusion([Count()], 2)
    state = fusion.start
    for _ in range(3000):
        state = int(fusion.advance(torch.tensor([state]), torch.tensor([1])))
    table = fusion.table(torch.device("cpu"), torch.float64)
    assert table[state].tolist() == [3000.0, 3000.0] and table[7].tolist() == [7.0, 7.0]


def test_a_full_table_is_left_behind(words: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    scorers: list[Scorer] = [WordScorer(words, SMALL, 0.5, 0.5), Hotwords(["BA B"], SMALL)]
    log_probs = random_log_probs(1, 40, len(SMALL))
    decoder = PrefixBeam(SMALL, BeamConfig(beam=10, nbest=3), Fusion(scorers, len(SMALL)))
    (expected,) = decoder.decode(log_probs, torch.tensor([40]), FRAME)
    monkeypatch.setattr("noisewise.decoding.fusion.fusion.LIMIT", 20)
    state, other = decoder.start(1), decoder.start(1)
    assert state.fusion is other.fusion is not decoder.fusion, "that of the decoder is full"
    for at in range(0, 40, 4):
        decoder.feed(state, log_probs[:, at : at + 4], torch.tensor([4]))
        assert state.fusion is not None and len(state.fusion._states) < 200
        decoder.feed(other, log_probs[:, at : at + 4], torch.tensor([4]))
        late = decoder.start(1)  # gets a fresh table, and takes none from those under way
        assert late.fusion is not None and late.fusion is not decoder.fusion
        assert decoder.start(1).fusion is late.fusion, "new searches share it"
    assert decoder.hypotheses(state, FRAME) == [expected] == decoder.hypotheses(other, FRAME)
