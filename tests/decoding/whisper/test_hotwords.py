"""Hotwords of a Whisper: where letters propose them, in whose spelling, and what they earn."""

import pytest

from noisewise.decoding.config import DecodingConfig, build
from noisewise.decoding.ctc.beam import BeamConfig
from noisewise.decoding.hypothesis import Hypothesis, Word
from noisewise.decoding.whisper.hotwords import ProposedHotwords
from noisewise.text.tokenizer import CharacterTokenizer

WRITTEN = [
    Word("Go", 0.0, 0.3, 1.0),
    Word("clip", 0.4, 0.6, 1.0),
    Word("it,", 0.6, 0.9, 1.0),
    Word("now.", 1, 1.3, 1),
]
HEARD = [Word("GO", 0.1, 0.3, 1.0), Word("KLIPPITY", 0.38, 0.92, 1.0), Word("NOW", 1, 1.2, 1.0)]


@pytest.fixture
def hotwords() -> ProposedHotwords:
    proposer = build(DecodingConfig(search=BeamConfig(beam=4)), CharacterTokenizer(), {"KLIPPITY": 1.5})
    return ProposedHotwords({"KLIPPITY": "Klippity"}, {"KLIPPITY": 1.5}, proposer)


def test_they_take_the_place_of_what_was_said_then(hotwords: ProposedHotwords) -> None:
    assert hotwords.texts(WRITTEN, [Hypothesis("", [], HEARD)]) == ["Go Klippity, now.", "Go klippity, now."]


def test_nothing_is_proposed_where_letters_have_none(hotwords: ProposedHotwords) -> None:
    assert hotwords.texts(WRITTEN, [Hypothesis("", [], HEARD[:1])]) == []


def test_they_earn_their_boost_for_each_letter_each_time(hotwords: ProposedHotwords) -> None:
    assert hotwords.bonus("Go Klippity, now.") == pytest.approx(12.0)
    assert hotwords.bonus("klippity KLIPPITY") == pytest.approx(24.0)
    assert hotwords.bonus("Go clip it, now.") == 0.0
