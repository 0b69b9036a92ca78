"""Language models in the search: over words, over characters, out-of-vocabulary words."""

import pytest
import torch

from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.fusion.fusion import Fusion
from noisewise.decoding.fusion.lexicon import Lexicon
from noisewise.decoding.fusion.lm_scorers import UNKNOWN_FLOOR, CharacterScorer, WordScorer
from noisewise.decoding.hypothesis import Hypothesis
from noisewise.lm.protocol import LanguageModel, sentence_score
from tests.decoding.batched import Batched
from tests.decoding.exhaustive import random_log_probs
from tests.decoding.fusion.checked import FRAME, SMALL, check


@pytest.mark.parametrize("seed", range(2))
def test_a_model_over_words(words: LanguageModel, seed: int) -> None:
    def bonus(text: str) -> float:
        said = text.replace("|", " ").split()
        state, total = words.start(), 0.0
        for word in said:
            score, state = words.score(state, word)
            total += 0.7 * score + 0.4 - (0 if words.knows(word) else 2.0)
        return total + 0.7 * words.end(state)

    scorer = WordScorer(words, SMALL, weight=0.7, bonus=0.4, unknown_penalty=2.0)
    check(random_log_probs(6, len(SMALL), seed=seed, sharpness=1.0), [scorer], bonus)


def test_hotwords_are_not_punished_as_unknown(words: LanguageModel) -> None:
    punished = WordScorer(words, SMALL, unknown_penalty=3.0)
    spared = WordScorer(words, SMALL, unknown_penalty=3.0, spared=["AB"])
    state = (words.start(), "AB")
    assert spared.final(state) == pytest.approx(punished.final(state) + 3.0)
    assert spared.final((words.start(), "ABB")) == punished.final((words.start(), "ABB"))


def test_unknown_words_stay_possible_without_unk() -> None:
    class Strict:
        def start(self) -> int:
            return 0

        def score(self, state: int, token: str) -> tuple[float, int]:
            return -230.0, 0

        def end(self, state: int) -> float:
            return 0.0

        def knows(self, token: str) -> bool:
            return False

    assert WordScorer(Strict(), SMALL).final((0, "A")) == UNKNOWN_FLOOR


def test_a_model_over_characters(characters: LanguageModel) -> None:
    def bonus(text: str) -> float:
        return 0.6 * sentence_score(characters, text) + 0.3 * len(text)

    scorer = CharacterScorer(characters, SMALL, weight=0.6, bonus=0.3)
    check(random_log_probs(6, len(SMALL), seed=3, sharpness=1.0), [scorer], bonus)


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_a_model_in_batches_foresees_all_that_it_is_asked(
    unit: str, words: LanguageModel, characters: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most once a frame for the whole batch, and once for the ends; also when the table is left behind."""
    log_probs = random_log_probs(5, 12, len(SMALL), seed=8)
    lengths = torch.tensor([12, 12, 7, 3, 0])

    def found(model: LanguageModel) -> list[list[Hypothesis]]:
        scorer = WordScorer(model, SMALL, 0.7, 0.4) if unit == "words" else CharacterScorer(model, SMALL, 0.7, 0.4)
        decoder = PrefixBeam(SMALL, BeamConfig(beam=6, nbest=3), Fusion([scorer, Lexicon(["A", "BA"], SMALL)], 4))
        state = decoder.start(5)
        for at in (0, 6):
            decoder.feed(state, log_probs[:, at : at + 6], (lengths - at).clamp(0, 6))
        return decoder.hypotheses(state, FRAME)

    plain = words if unit == "words" else characters
    batched = Batched(plain, unit)  # type: ignore[arg-type]
    expected = found(plain)
    assert found(batched) == expected
    assert batched.calls <= 1 + 12 + 1
    monkeypatch.setattr("noisewise.decoding.fusion.fusion.LIMIT", 3)
    assert found(Batched(plain, unit)) == expected  # type: ignore[arg-type]
