"""Subwords: the library that learned them as oracle, round trips of any text, and what is refused."""

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisewise.errors import ModelError
from noisewise.text.subword import FORMAT, LETTERS, SubwordTokenizer, learn, load
from noisewise.text.tokenizer import BLANK, BOUNDARY, UNKNOWN, CharacterTokenizer

TEXTS = ["ONE TWO THREE", "TWENTY ONE", "THE ONE'S THERE", "ZERO TWO TWENTY THREE", "THEN THE OTHER ONE"] * 3
TOKENIZER = learn(TEXTS, 50)
words = st.lists(st.text("'" + "".join(LETTERS[2:]), min_size=1, max_size=12), max_size=6)


@given(words)
@settings(max_examples=150, deadline=None)
def test_any_text_comes_back_and_every_word_begins_with_a_mark(said: list[str]) -> None:
    ids = TOKENIZER.encode(" ".join(said))
    assert TOKENIZER.decode(ids) == " ".join(said)
    assert sum(TOKENIZER.begins[each] for each in ids) == len(said)
    assert TOKENIZER.unknown not in ids and TOKENIZER.blank not in ids
    assert len(ids) <= sum(map(len, said)) + len(said)


@given(words)
@settings(max_examples=100, deadline=None)
def test_encoding_is_that_of_the_library(said: list[str]) -> None:
    models = pytest.importorskip("tokenizers").models
    ids = {symbol: at for at, symbol in enumerate(TOKENIZER.symbols)}
    model = models.BPE(vocab=ids, merges=TOKENIZER.merges, unk_token=UNKNOWN)
    assert TOKENIZER.encode(" ".join(said)) == [
        token.id for word in said for token in model.tokenize(BOUNDARY + word)
    ]  # fmt: skip


def test_what_is_frequent_becomes_a_symbol() -> None:
    assert TOKENIZER.symbols[:4] == [BLANK, UNKNOWN, BOUNDARY, "'"] and len(TOKENIZER) == 50
    assert {"|ONE", "|TH", "|TW"} <= set(TOKENIZER.symbols)
    assert not any(BOUNDARY in symbol[1:] for symbol in TOKENIZER.symbols)
    assert [TOKENIZER.symbols[each] for each in TOKENIZER.encode("ONE QA")] == ["|ONE", "|", "Q", "A"]
    assert TOKENIZER.encode("\u00c4") == [TOKENIZER.boundary, TOKENIZER.unknown]
    assert TOKENIZER.decode([2, 19, 18, 9]) == "PO" + "F" and TOKENIZER.encode("") == []


def test_the_order_of_the_texts_plays_no_part() -> None:
    again = learn(sorted(TEXTS, reverse=True), 50)
    assert (again.symbols, again.merges) == (TOKENIZER.symbols, TOKENIZER.merges)
    fewer = learn(TEXTS, 40)
    assert fewer.symbols == TOKENIZER.symbols[:40] and fewer.merges == TOKENIZER.merges[: len(fewer.merges)]


def test_it_is_kept_as_plain_json(tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path / TOKENIZER.FILE)
    assert json.loads((tmp_path / "tokens.json").read_text())["merges"][0] == list(TOKENIZER.merges[0])
    for found in (load(tmp_path), pickle.loads(pickle.dumps(TOKENIZER))):
        assert isinstance(found, SubwordTokenizer)
        assert (found.symbols, found.merges) == (TOKENIZER.symbols, TOKENIZER.merges)
        assert found.encode("TWENTY THREE") == TOKENIZER.encode("TWENTY THREE")
    (tmp_path / "tokens.json").unlink()
    CharacterTokenizer().save(tmp_path / CharacterTokenizer.FILE)
    assert isinstance(load(tmp_path), CharacterTokenizer)


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"`size` must be 30 \(the letters\) or more"):
        learn(TEXTS, 29)
    with pytest.raises(ModelError, match=r"must be at most .* for these texts"):
        learn(TEXTS[:5], 500)
    with pytest.raises(ModelError, match="'XY' is none"):
        SubwordTokenizer([BLANK, BOUNDARY, "X", "Y"], [("X", "Y")])
    for text in (
        "{",
        "[]",
        '{"format": "other"}',
        '{"format": "noisewise-subwords-1", "symbols": ["A"], "merges": []}',
    ):
        (tmp_path / "tokens.json").write_text(text)
        with pytest.raises(ModelError, match=r"tokens\.json|`symbols`"):
            load(tmp_path)


@pytest.mark.parametrize(
    "values",
    [{"symbols": ["<blank>", "|", 3]}, {"symbols": 3}, {"merges": [["A"]]}, {"merges": [[["A"], "B"]]}, {"merges": 7}],
)
def test_files_of_other_types_are_refused(values: dict[str, object], tmp_path: Path) -> None:
    whole = {"format": FORMAT, "symbols": ["<blank>", "|", "A", "B"], "merges": []}
    (tmp_path / "tokens.json").write_text(json.dumps(whole | values))
    with pytest.raises(ModelError):
        SubwordTokenizer.load(tmp_path / "tokens.json")
