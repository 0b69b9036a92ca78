"""Hotwords earn their letters, whole words alone."""

import pytest
import torch

from noisewise.decoding.ctc.beam import BeamConfig, PrefixBeam
from noisewise.decoding.fusion.fusion import Fusion
from noisewise.decoding.fusion.hotwords import BOOST, LIMIT, Hotwords, bounded
from noisewise.errors import DecodingError
from noisewise.text.tokenizer import CharacterTokenizer
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


@pytest.mark.parametrize("phrases", [["AB"], ["A"], ["A B", "B"], ["ABBA BAB"]])
@pytest.mark.parametrize("seed", range(3))
def test_a_boost_without_bound_is_bounded(phrases: list[str], seed: int) -> None:
    """Whatever the boost, a hotword earns no more than the search prunes at, so hypotheses without it stay."""
    log_probs = random_log_probs(8, len(SMALL), seed=seed, sharpness=2.0)
    found = [decode(log_probs, [Hotwords(phrases, SMALL, boost)], BeamConfig(beam=8)) for boost in (20.0, 1e3, 1e9)]
    assert [[each.text for each in one] for one in found[1:]] == [[each.text for each in found[0]]] * 2
    letters = sum(len(phrase.replace(" ", "")) for phrase in phrases)
    assert all(bounded(boost, letters) * letters <= max(LIMIT, BOOST * letters) for boost in (2.0, 20.0, 1e9))


@pytest.mark.parametrize("boost", [1.5, 5.0, 30.0, 1000.0])
@pytest.mark.parametrize("hotword", ["RUBOUT", "ENTRY", "A", "GO", "STOP SIGN", "SIX", "NOVEMBER"])
def test_a_large_boost_leaves_the_sentence(hotword: str, boost: float) -> None:
    """Clear words stay whatever the boost; one that is near the hotword may become it."""
    tokenizer, said = CharacterTokenizer(), "ENTER SEVEN FOUR THREE TWO TANGO"
    log_probs = torch.full((2 * len(said), len(tokenizer)), -9.0)
    for at, token in enumerate(tokenizer.encode(said)):
        log_probs[2 * at, token] = log_probs[2 * at + 1, tokenizer.blank] = 0.0
    fusion = Fusion([Hotwords([hotword], tokenizer, boost)], len(tokenizer))
    beam = PrefixBeam(tokenizer, BeamConfig(beam=8), fusion)
    (best, *_) = beam.decode(log_probs.log_softmax(-1)[None], torch.tensor([len(log_probs)]), FRAME)[0]
    kept = set(best.text.split()) & set(said.split())
    assert len(kept) >= len(said.split()) - 1, best.text


def test_the_default_boost_is_what_it_was() -> None:
    assert all(bounded(boost, letters) == boost for boost in (-1.0, 0.0, BOOST) for letters in range(60))
