"""Hotwords earn their letters, whole words alone."""

import pytest
import torch

from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.fusion.hotwords import Hotwords
from noisewise.errors import DecodingError
from tests.decoding.exhaustive import random_log_probs
from tests.decoding.fusion.checked import FRAME, SMALL, check, decode


def occurrences(text: str, phrase: str) -> int:
    text, phrase = f"|{text}|", f"|{phrase}|"
    return sum(text.startswith(phrase, at) for at in range(len(text)))


@pytest.mark.parametrize("phrases", [["AB"], ["AB", "A"], ["A B", "B"], ["A B A", "B A B", "A"], ["AAB", "AB", "B AB"]])
def test_hotwords_earn_their_letters_and_nothing_else(phrases: list[str]) -> None:
    def bonus(text: str) -> float:
        found = (phrase.replace(" ", "|") for phrase in phrases)
        return sum(1.5 * len(phrase.replace("|", "")) * occurrences(text, phrase) for phrase in found)

    check(random_log_probs(6, len(SMALL), seed=6, sharpness=1.0), [Hotwords(phrases, SMALL)], bonus)


def test_hotwords_may_have_boosts_of_their_own() -> None:
    def bonus(text: str) -> float:
        return 2.0 * 2 * occurrences(text, "AB") + 0.5 * occurrences(text, "A")

    check(random_log_probs(5, len(SMALL), sharpness=1.0), [Hotwords({"AB": 2.0, "A": 0.5}, SMALL)], bonus)


def test_a_hotword_wins_letter_by_letter() -> None:
    """The letters of AB are unlikely at first, so a narrow beam keeps them only if they earn at once."""
    log_probs = torch.tensor([[0.2, 0.05, 0.25, 0.5], [0.5, 0.1, 0.1, 0.3], [0.1, 0.05, 0.1, 0.75]]).log()
    narrow = BeamConfig(beam=2)
    (plain, *_) = PrefixBeam(SMALL, narrow).decode(log_probs[None], torch.tensor([3]), FRAME)[0]
    (boosted, *_) = decode(log_probs, [Hotwords(["AB"], SMALL)], narrow)
    assert plain.text != "AB" and boosted.text == "AB"


@pytest.mark.parametrize("phrase", ["", "  ", "C", "AC", "ab"])
def test_hotwords_that_cannot_be_spelled_are_refused(phrase: str) -> None:
    with pytest.raises(DecodingError, match="spell"):
        Hotwords([phrase], SMALL)
