"""A lexicon allows its words alone."""

import math

import pytest
import torch

from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.fusion.fusion import Fusion, Scorer
from noisewise.decoding.fusion.lexicon import Lexicon
from noisewise.decoding.fusion.lm_scorers import WordScorer
from noisewise.errors import DecodingError
from noisewise.lm.protocol import LanguageModel, sentence_score
from tests.decoding.exhaustive import random_log_probs
from tests.decoding.fusion.checked import FRAME, SMALL, check, decode


@pytest.mark.parametrize("ahead", [False, True])
def test_a_lexicon_allows_its_words_alone(words: LanguageModel, ahead: bool) -> None:
    """The look-ahead moves scores within words; whole transcripts score the same."""
    said = {"A", "BA", "BAB"}

    def bonus(text: str) -> float:
        found = text.replace("|", " ").split()
        return 0.7 * sentence_score(words, found) if set(found) <= said else -math.inf

    lexicon = Lexicon(said, SMALL, words if ahead else None, 0.7)
    assert any(lexicon._ahead) == ahead
    first, last = (WordScorer(words, SMALL, weight=weight) for weight in (0.3, 0.4))
    scorers: list[Scorer] = [first, lexicon, last]
    check(random_log_probs(6, len(SMALL), seed=4, sharpness=1.0), scorers, bonus)


def test_a_narrow_search_stays_in_the_lexicon() -> None:
    found = decode(random_log_probs(40, len(SMALL), seed=5), [Lexicon(["AB", "BA"], SMALL)], BeamConfig(beam=4))
    assert set(found[0].text.split()) <= {"AB", "BA"} and found[0].score > -math.inf


def test_when_no_word_is_complete_the_prefix_is_told() -> None:
    log_probs = torch.tensor([[0.05, 0.0, 0.9, 0.05]]).log()
    (best, *_) = decode(log_probs, [Lexicon(["AB"], SMALL)], BeamConfig(beam=1, beam_threshold=None))
    assert best.text == "A"


def test_what_neither_the_sound_nor_the_lexicon_allows() -> None:
    log_probs = torch.tensor([[0.0, -math.inf, -math.inf, -math.inf], [-math.inf, -math.inf, -math.inf, 0.0]])
    for batch in (1, 2):
        decoder = PrefixBeam(SMALL, BeamConfig(), Fusion([Lexicon(["A"], SMALL)], len(SMALL)))
        lengths = torch.full((batch,), 2)
        found = decoder.decode(log_probs.expand(batch, 2, 4), lengths, FRAME)
        assert [(each[0].text, each[0].score) for each in found] == [("", -math.inf)] * batch


def test_a_lexicon_leaves_out_what_cannot_be_spelled() -> None:
    assert Lexicon(["A", "C", "", "A B"], SMALL).left_out == 3
    with pytest.raises(DecodingError, match="check the case"):
        Lexicon(["ab"], SMALL)
