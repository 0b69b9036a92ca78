"""What is measured of a text, and what a model that works in batches is told."""

import math
from pathlib import Path

import pytest

from noisewise.errors import DecodingError
from noisewise.lm import loading
from noisewise.lm import protocol as lm
from noisewise.lm.kneser_ney import train
from noisewise.lm.protocol import LanguageModel, measure, prefetch, sentence_score, unit_of
from tests.decoding.batched import Batched

SENTENCES = [["A", "BA"], ["BA"], ["A", "A", "BA", "B"], ["BA", "A"]]


@pytest.fixture
def model(tmp_path: Path) -> LanguageModel:
    train(SENTENCES * 3, order=3).save(tmp_path / "lm.arpa")
    return loading.load(tmp_path / "lm.arpa")


def test_perplexity_by_hand(model: LanguageModel) -> None:
    text = [["A", "BA", "X"], ["B"]]
    found = measure(model, text)
    total = sum(sentence_score(model, sentence) for sentence in text)
    assert (found.sentences, found.tokens, found.words, found.unknown) == (2, 4, 4, 1)
    assert found.score == pytest.approx(total)
    assert found.perplexity == found.word_perplexity == pytest.approx(math.exp(-total / 6))
    assert found.known_perplexity < found.perplexity


def test_characters_are_also_counted_in_words(tmp_path: Path) -> None:
    train([list("A|BA"), list("BA")] * 3, order=3).save(tmp_path / "lm.arpa")
    found = measure(loading.load(tmp_path / "lm.arpa"), [list("A|B|A"), list("BA")], characters=True)
    assert (found.tokens, found.words) == (7, 4)
    assert found.word_perplexity == pytest.approx(math.exp(-found.score / 6))
    assert found.perplexity == pytest.approx(math.exp(-found.score / 9))


def test_what_is_measured_is_foreseen_in_batches(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    batched = Batched(model, "words")
    assert measure(batched, SENTENCES) == measure(model, SENTENCES)
    assert batched.calls == 1
    monkeypatch.setattr(lm, "TOGETHER", 3)
    batched = Batched(model, "words")
    assert measure(batched, SENTENCES) == measure(model, SENTENCES)
    assert batched.calls == 3  # three tokens, four, and what is left


def test_units(model: LanguageModel) -> None:
    prefetch(model, SENTENCES)  # one that does not work in batches needs no word
    assert unit_of(model, "characters") == "characters"
    assert unit_of(Batched(model, "words"), "characters") == "words"
    with pytest.raises(DecodingError, match="no such file"):
        loading.load("none.arpa")
