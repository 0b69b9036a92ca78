from pathlib import Path

import pytest

from noisewise.errors import ModelError
from noisewise.text.vocabulary import Vocabulary

SENTENCES = [["A", "B", "A"], ["C", "B", "A"], ["D"]]


def test_the_most_frequent_words_then_the_alphabet() -> None:
    assert Vocabulary.of_words(SENTENCES, 100).tokens == ["</s>", "<unk>", "A", "B", "C", "D"]
    few = Vocabulary.of_words(SENTENCES, 5)
    assert few.tokens == ["</s>", "<unk>", "A", "B", "C"]
    assert few.encode(["B", "D", "A"]) == [3, 1, 2]
    assert len(few) == 5 and "C" in few and "D" not in few
    assert Vocabulary.of_words(reversed(SENTENCES), 5).tokens == few.tokens


def test_characters_are_those_of_the_recognisers_without_the_blank() -> None:
    found = Vocabulary.of_characters()
    assert len(found) == 30
    assert found.tokens[:4] == ["</s>", "<unk>", "|", "'"] and found.tokens[-1] == "Z"
    assert found.encode("A|Z") == [4, 2, 29]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    Vocabulary.of_words(SENTENCES, 5).save(tmp_path / "tokens.txt")
    assert Vocabulary.load(tmp_path / "tokens.txt").tokens == Vocabulary.of_words(SENTENCES, 5).tokens


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A\nB\n", "must begin with </s> and <unk>"),
        ("</s>\n<unk>\nA\nA\n", "must all differ"),
        ("</s>\n<unk>\n\nA\n", "hold no space"),
        ("</s>\n<unk>\nA B\n", "hold no space"),
    ],
)
def test_what_is_no_vocabulary_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "tokens.txt").write_text(text)
    with pytest.raises(ModelError, match=message):
        Vocabulary.load(tmp_path / "tokens.txt")


def test_a_missing_file_and_another_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        Vocabulary.load(tmp_path / "tokens.txt")
    (tmp_path / "tokens.txt").write_bytes(b"</s>\n<unk>\n\xff\n")
    with pytest.raises(ModelError, match="UTF-8"):
        Vocabulary.load(tmp_path / "tokens.txt")
