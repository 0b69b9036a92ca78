"""Models over classes: probabilities by hand, sums to one, and lists that are broken."""

import math
from pathlib import Path

import pytest

from noisewise.errors import DecodingError
from noisewise.lm import kneser_ney, loading
from noisewise.lm.classes import ClassModel, named, read
from noisewise.lm.protocol import sentence_score

LIST = "DIGIT one TWO three\n\nLETTER A B\n"


@pytest.fixture
def model(tmp_path: Path) -> ClassModel:
    (tmp_path / "classes.txt").write_text(LIST)
    classes = read(tmp_path / "classes.txt")
    texts = [["ENTER", "ONE"], ["ENTER", "TWO", "A"], ["STOP"]] * 3
    kneser_ney.train(named(texts, classes), order=2).save(tmp_path / "lm.arpa")
    return ClassModel(loading.load(tmp_path / "lm.arpa"), classes)


def test_words_to_classes(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text(LIST)
    digits = dict.fromkeys(("ONE", "TWO", "THREE"), "<DIGIT>")
    assert read(tmp_path / "classes.txt") == {**digits, "A": "<LETTER>", "B": "<LETTER>"}
    assert list(named([["ENTER", "ONE"]], digits)) == [["ENTER", "<DIGIT>"]]


def test_a_word_gets_an_equal_share_of_its_class(model: ClassModel) -> None:
    inner = model.model
    expected = sentence_score(inner, ["ENTER", "<DIGIT>", "<LETTER>"]) - math.log(3) - math.log(2)
    assert sentence_score(model, ["ENTER", "THREE", "B"]) == pytest.approx(expected)
    assert sentence_score(model, ["STOP"]) == sentence_score(inner, ["STOP"])  # in no class
    assert model.knows("THREE") and not model.knows("FOUR")


def test_probabilities_sum_to_one(model: ClassModel) -> None:
    _, state = model.score(model.start(), "ENTER")
    words = ["ONE", "TWO", "THREE", "A", "B", "ENTER", "STOP", "<unk>"]
    assert sum(math.exp(model.score(state, word)[0]) for word in words) + math.exp(model.end(state)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [("DIGIT ONE\nNUMBER ONE\n", "ONE is in <DIGIT> and <NUMBER>"), ("DIGIT\n", "line 1"), ("\n", "lists none")],
)
def test_broken_lists(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(DecodingError, match=message):
        read(tmp_path / "classes.txt")
    with pytest.raises(DecodingError, match="no such file"):
        read(tmp_path / "none.txt")
