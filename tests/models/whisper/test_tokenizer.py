"""Whisper's tokenizer: the library `tokenizers` as oracle, prompts, what is forbidden, what is refused."""

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from noisewise.errors import ModelError
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from tests.models.whisper import tokens

ODD = (
    "",
    " 's 'S ''re they'd'll",
    "a \t\n  b  ",
    "x\u2003y\x1cz\x85\u200b\xa0",
    "e\u0301 ½² Ⅳ ٣ 12a3",
    "🙂👍 你好　今天",
    "...!? --a_b",
)


@pytest.fixture(scope="module")
def oracle() -> Tokenizer:
    return Tokenizer.from_str(json.dumps(tokens.values()))


@pytest.mark.parametrize("text", [*tokens.SENTENCES, *ODD])
def test_texts_become_the_ids_of_the_library_and_texts_again(text: str, oracle: Tokenizer) -> None:
    ours = tokens.tokenizer()
    ids = oracle.encode(text, add_special_tokens=False).ids
    assert ours.encode(text) == ids
    assert ours.decode(ids) == oracle.decode(ids) == text


@given(text=st.text(max_size=30), ids=st.lists(st.integers(0, 338), max_size=12))
def test_any_text_and_any_ids_are_those_of_the_library(text: str, ids: list[int]) -> None:
    ours, theirs = tokens.tokenizer(), Tokenizer.from_str(json.dumps(tokens.values()))
    assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids
    assert ours.decode(ids) == theirs.decode(ids)  # broken UTF-8 and special tokens as well


def test_pieces_of_a_letter_are_bytes() -> None:
    ours = tokens.tokenizer()
    ids = ours.encode("語")
    assert len(ids) == 3
    assert b"".join(ours.piece(index) for index in ids).decode() == "語"
    assert ours.piece(ours.end) == b""


def test_a_model_of_english_alone_is_told_neither_language_nor_task() -> None:
    # its end has the id 50256; the small one has no languages
    ours = tokens.tokenizer()
    names = ("<|startoftranscript|>", "<|notimestamps|>")
    assert ours.prompt("en") == ours.prompt(None) == [ours.special[name] for name in names]
    assert ours.prompt("en", timestamps=True) == [ours.special["<|startoftranscript|>"]]
    with pytest.raises(ModelError, match="`language` must be en for a model of English alone, but is 'de'"):
        ours.prompt("de")
    with pytest.raises(ModelError, match="translate"):
        ours.prompt("en", "translate")


def test_a_model_of_many_languages_is_told_language_and_task() -> None:
    ours = tokens.tokenizer(multilingual=True)
    assert set(ours.languages) == {"en", "de", "fr"}
    names = ("<|startoftranscript|>", "<|de|>", "<|translate|>", "<|notimestamps|>")
    assert ours.prompt("de", "translate") == [ours.special[name] for name in names]
    with pytest.raises(ModelError, match="`language` must be one of de, en, fr, but is 'xx'"):
        ours.prompt("xx")
    assert ours.special["<|de|>"] in ours.steering and ours.end not in ours.steering
    assert ours.no_speech == ours.special["<|nospeech|>"]
    assert ours.timestamps == ours.special["<|notimestamps|>"] + 1


def test_marks_that_are_not_said_are_forbidden_but_not_punctuation() -> None:
    ours = tokens.tokenizer()
    assert {ours.encode(mark)[0] for mark in "#([*♪"} <= set(ours.non_speech)
    assert not {ours.encode(mark)[0] for mark in ".,?!'-"} & set(ours.non_speech)


def test_it_is_saved_and_read_and_handed_to_processes(tmp_path: Path) -> None:
    ours = tokens.tokenizer()
    ours.save(tmp_path / "tokenizer.json")
    for other in (WhisperTokenizer.load(tmp_path), pickle.loads(pickle.dumps(ours))):
        assert other.encode(tokens.SENTENCES[1]) == ours.encode(tokens.SENTENCES[1])
        assert other.special == ours.special


def test_what_is_not_of_whisper_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    for text, reason in (
        ("{", "cannot be read"),
        ("[]", "byte-pair vocabulary"),
        ('{"model": {"vocab": {}, "merges": []}, "added_tokens": []}', "lacks <|endoftext|>"),
    ):
        path.write_text(text)
        with pytest.raises(ModelError, match=reason.replace("|", r"\|")):
            WhisperTokenizer.load(path)
    with pytest.raises(ModelError, match="cannot be read"):
        WhisperTokenizer.load(tmp_path / "none.json")
