"""Language models of every kind from their paths."""

from pathlib import Path

import pytest

from noisewise.errors import DecodingError
from noisewise.lm.classes import ClassModel
from noisewise.lm.loading import load, words_of
from noisewise.lm.mixture import SentenceMixture
from noisewise.lm.ngram import NGram
from tests.lm.test_ngram import ARPA


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "lm.arpa").write_text(ARPA)
    return tmp_path / "lm.arpa"


def test_an_unknown_reader_is_refused(path: Path) -> None:
    with pytest.raises(DecodingError, match="noisewise, kenlm or flashlight"):
        load(path, "srilm")


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DecodingError, match="check the path"):
        load(tmp_path / "none.arpa")


@pytest.mark.parametrize(
    "models",
    ['[{"lm":".","weight":1}]', '[{"lm":".","weight":1},{"lm":".","weight":1}]', '[{"lm":"../fan","weight":1}]'],
)
def test_a_mixture_that_holds_a_mixture_is_refused(tmp_path: Path, models: str) -> None:
    (tmp_path / "fan").mkdir()
    (tmp_path / "fan" / "mixture.json").write_text(f'{{"models":{models}}}')
    with pytest.raises(DecodingError, match="but is a mixture; take its parts"):
        load(tmp_path / "fan")


@pytest.mark.parametrize(
    "content",
    [
        "[" * 200_000,
        '{"models":[{"lm":"a.arpa","weight":' + "9" * 10_000 + "}]}",
        '{"models":[{"lm":"a.arpa","weight":1e999}]}',
        '{"models":[{"lm":["a"],"weight":1}]}',
        '{"models":[{"lm":"' + "a" * 5000 + '","weight":1}]}',
        '{"models":[' + ",".join(['{"lm":"a.arpa","weight":1}'] * 100) + "]}",
        '{"models":5}',
        "\ud800",
    ],
)
def test_hostile_mixtures_are_refused_in_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "mixture.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(DecodingError, match="must"):
        load(tmp_path)


def test_the_words_of_every_kind_that_can_list_them(path: Path, tmp_path: Path) -> None:
    model = NGram.load(path)
    assert list(words_of(model)) == ["A", "B"]
    assert list(words_of(ClassModel(model, {"C": "A", "D": "A"}))) == ["C", "D", "B"]
    assert list(words_of(SentenceMixture([model, ClassModel(model, {"C": "A"})], [1, 1]))) == ["A", "B", "C"]
