"""The character tokenizer."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisewise.errors import ModelError
from noisewise.text.tokenizer import CharacterTokenizer

WORDS = st.lists(st.text("ABCXYZ'", min_size=1, max_size=5), max_size=4)


def test_the_paper_has_thirty_symbols_and_blank_is_zero() -> None:
    tokenizer = CharacterTokenizer()
    assert len(tokenizer) == 30
    assert tokenizer.symbols[0] == "<blank>"
    assert tokenizer.encode("A B") == [4, 2, 5]


@given(WORDS)
def test_decode_undoes_encode(words: list[str]) -> None:
    tokenizer = CharacterTokenizer()
    assert tokenizer.decode(tokenizer.encode(" ".join(words))) == " ".join(words)


def test_unknown_characters_become_unk() -> None:
    tokenizer = CharacterTokenizer()
    assert tokenizer.encode("É") == [tokenizer.unknown]


def test_symbols_in_angle_brackets_decode_to_nothing() -> None:
    tokenizer = CharacterTokenizer(["<blank>", "<s>", "</s>", "<unk>", "|", "A", "B"])
    assert tokenizer.decode([1, 5, 2, 4, 4, 6, 3, 1]) == "A B<unk>"


def test_without_unk_unknown_characters_are_left_out() -> None:
    tokenizer = CharacterTokenizer(["<blank>", "|", "A"])
    assert tokenizer.encode("AÉ A") == [2, 1, 2]


def test_file_round_trip(tmp_path: Path) -> None:
    CharacterTokenizer().save(tmp_path / "tokens.txt")
    assert CharacterTokenizer.load(tmp_path / "tokens.txt").symbols == CharacterTokenizer().symbols


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begin with"),
        (b"A\n<blank>\n", "begin with"),
        (b"<blank>\nA\nA\n", "twice"),
        (b"<blank>\n<unk>\nA\n", "must hold |"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_broken_vocabularies_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "tokens.txt").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        CharacterTokenizer.load(tmp_path / "tokens.txt")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        CharacterTokenizer.load(tmp_path / "tokens.txt")


@pytest.mark.parametrize("symbol", [3, 0.5, None, ["A"], {}, "\udcff"])
def test_symbols_are_text(symbol: Any) -> None:
    with pytest.raises(ModelError, match="must all be text"):
        CharacterTokenizer(["<blank>", "|", symbol])
