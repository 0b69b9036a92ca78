"""Vocabularies of others as tokenizers: the blank first, special names, and what is no vocabulary of letters."""

import pytest

from noisewise.checkpoints.foreign.vocabulary import Names, from_ids, from_symbols
from noisewise.errors import InteropError


def test_the_blank_comes_first_and_every_token_knows_its_output() -> None:
    foreign = ["[UNK]", "|", "a", "[PAD]", "b", "[CLS]"]
    tokenizer, order = from_symbols(foreign, Names("[PAD]", "[UNK]", "|"), "vocab.json")
    assert tokenizer.symbols == ["<blank>", "<unk>", "|", "A", "B", "<CLS>"]
    assert order == [3, 0, 1, 2, 4, 5]
    assert tokenizer.decode(tokenizer.encode("AB BA")) == "AB BA"


def test_letters_stay_as_they_are_where_some_are_capitals_or_would_collide() -> None:
    for letters in (["a", "B"], ["ß", "ss"[0]], ["a", "A"]):
        tokenizer, _ = from_symbols(["<pad>", "|", *letters], Names(), "x")
        wanted = letters if any(letter != letter.lower() for letter in letters) else ["ß", "S"]
        assert tokenizer.symbols[2:] == wanted


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        (["|", "A"], "must hold the blank '<pad>'"),
        (["<pad>", "A"], r"must hold the boundary between words '\|'"),
        (["<pad>", "|", "ka"], "must hold single letters, but holds 'ka'"),
        (["<pad>", "|", " "], "must hold single letters, but holds ' '"),
    ],
)
def test_what_is_no_ctc_over_letters_is_refused(symbols: list[str], message: str) -> None:
    with pytest.raises(InteropError, match=message):
        from_symbols(symbols, Names(), "vocab.json")


def test_ids_put_tokens_in_order_and_later_ones_are_left_out() -> None:
    assert from_ids({"b": 2, "a": 0, "later": 9}, 4, "v") == ["a", "<unused 1>", "b", "<unused 3>"]
    for wrong, message in (
        ({"a": "0"}, "must map tokens to ids, but maps 'a' to '0'"),
        ({"a": -1}, "maps 'a' to -1"),
        ({"a": True}, "maps 'a' to True"),
        ({"a": 1, "b": 1}, "some share one"),
    ):
        with pytest.raises(InteropError, match=message):
            from_ids(wrong, 2, "v")
