"""Mixtures: the sum over models as the paper writes it, what has been said tells which model, fitted weights, files."""

import json
import math
from pathlib import Path

import pytest

from noisewise.errors import DecodingError
from noisewise.lm import kneser_ney, loading, mixture
from noisewise.lm.mixture import SentenceMixture, fit
from noisewise.lm.protocol import LanguageModel, sentence_score

KINDS = {"letters": [["A", "B"], ["B", "A", "C"]] * 5, "numbers": [["ONE", "A", "TWO"], ["TWO"], ["ONE", "ONE"]] * 5}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, texts in KINDS.items():
        kneser_ney.train(texts, order=2).save(tmp_path / f"{name}.arpa")
    return [tmp_path / f"{name}.arpa" for name in KINDS]


@pytest.fixture
def models(files: list[Path]) -> list[LanguageModel]:
    return [loading.load(file) for file in files]


def test_a_sentence_is_the_sum_over_models(models: list[LanguageModel]) -> None:
    mixed = SentenceMixture(models, [3, 1])
    for sentence in (["A"], ["A", "A", "A"], []):  # words that both know
        expected = [math.exp(sentence_score(model, sentence)) for model in models]
        found = math.exp(sentence_score(mixed, sentence))
        assert found == pytest.approx(0.75 * expected[0] + 0.25 * expected[1])


def test_what_was_said_tells_which_model_goes_on(models: list[LanguageModel]) -> None:
    mixed = SentenceMixture(models, [1, 1])
    after_letter = mixed.score(mixed.score(mixed.start(), "B")[1], "A")
    after_number = mixed.score(mixed.score(mixed.start(), "ONE")[1], "A")
    alone = [
        model.score(model.score(model.start(), word)[1], "A") for model, word in zip(models, ["B", "ONE"], strict=True)
    ]
    assert after_letter[0] == pytest.approx(alone[0][0], abs=1e-3)
    assert after_number[0] == pytest.approx(alone[1][0], abs=1e-3)
    assert mixed.knows("ONE") and mixed.knows("C") and not mixed.knows("THREE")
    assert mixed.score(mixed.start(), "THREE")[0] > -15  # unknown to all: what they give to <unk>


def test_the_fit_finds_the_shares_of_a_text(models: list[LanguageModel]) -> None:
    text = KINDS["letters"][:1] * 30 + KINDS["numbers"][:1] * 10
    weights = fit(models, text)
    assert weights == pytest.approx([0.75, 0.25], abs=0.02)
    best = sum(sentence_score(SentenceMixture(models, weights), each) for each in text)
    for other in ([0.65, 0.35], [0.85, 0.15]):
        assert best > sum(sentence_score(SentenceMixture(models, other), each) for each in text)
    with pytest.raises(DecodingError, match="must hold a sentence"):
        fit(models, [])


def test_a_folder_is_a_language_model(files: list[Path], models: list[LanguageModel], tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("DIGIT ONE TWO\n")
    (tmp_path / "mixed").mkdir()
    mixture.write(tmp_path / "mixed", [(files[0], None), (files[1], tmp_path / "classes.txt")], [0.6, 0.4])
    (tmp_path / "mixed").rename(tmp_path / "elsewhere")
    for file in files:
        file.unlink()
    read = loading.load(tmp_path / "elsewhere")
    assert sentence_score(read, ["A", "B"]) == pytest.approx(
        math.log(0.6) + sentence_score(models[0], ["A", "B"]), abs=1e-3
    )
    assert isinstance(read, SentenceMixture) and read.models[1].knows("A")


@pytest.mark.parametrize("text", ["{", "{}", '{"models": []}', '{"models": [{"lm": "a.arpa", "weight": 0}]}'])
def test_broken_files(tmp_path: Path, text: str) -> None:
    (tmp_path / mixture.MIXTURE).write_text(text)
    with pytest.raises(DecodingError):
        loading.load(tmp_path)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    (tmp_path / mixture.MIXTURE).write_text(json.dumps({"models": [{"lm": "gone.arpa", "weight": 1}]}))
    with pytest.raises(DecodingError, match=r"gone\.arpa"):
        loading.load(tmp_path)
