"""Scorers in a search over subwords: whatever the cut into subwords, they add what they add to the words."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noisewise.decoding.alignment.align import align
from noisewise.decoding.config import DecodingConfig, build
from noisewise.decoding.ctc.beam import PrefixBeam
from noisewise.decoding.ctc.greedy import greedy
from noisewise.decoding.fusion.fusion import Fusion, Scorer
from noisewise.decoding.fusion.hotwords import Hotwords
from noisewise.decoding.fusion.lexicon import Lexicon
from noisewise.decoding.fusion.lm_scorers import WordScorer
from noisewise.decoding.fusion.subwords import SubwordScorers
from noisewise.decoding.recording_decoder import RecordingDecoder, best
from noisewise.errors import DecodingError
from noisewise.lm import kneser_ney
from noisewise.lm import protocol as lm
from noisewise.text.subword import LETTERS, learn
from noisewise.text.tokenizer import CharacterTokenizer

WORDS = ["ONE", "TWO", "TWENTY", "ONE'S", "THEN", "TEN"]
TOKENIZER = learn([f"{a} {b}" for a in WORDS for b in WORDS], 40)
LETTER_BY_LETTER = CharacterTokenizer()


class Unigram:
    """ln P of a word is minus its length."""

    def start(self) -> int:
        return 0

    def score(self, state: int, token: str) -> tuple[float, int]:
        return -float(len(token)), state + 1

    def end(self, state: int) -> float:
        return -0.5 * state

    def knows(self, token: str) -> bool:
        return token != "TEN"


def total(scorers: list[Scorer], size: int, tokens: list[int]) -> float:
    fusion = Fusion(scorers, size)
    state, score = fusion.start, 0.0
    for token in tokens:
        score += float(fusion.table(torch.device("cpu"), torch.float64)[state, token])
        state = int(fusion.advance(torch.tensor([state]), torch.tensor([token])))
    return score + fusion.final(state)


def scorers(tokenizer: CharacterTokenizer) -> list[Scorer]:
    model = WordScorer(Unigram(), tokenizer, 0.7, 0.3, 2.0)
    return [Lexicon(WORDS, tokenizer, Unigram(), 0.7), model, Hotwords({"ONE TWO": 1.0, "TEN": 0.5}, tokenizer)]


@given(st.lists(st.sampled_from(WORDS), max_size=5))
@settings(max_examples=60, deadline=None)
def test_the_sum_over_subwords_is_that_over_letters(said: list[str]) -> None:
    text = " ".join(said)
    by_subwords = total([SubwordScorers(scorers(TOKENIZER.pieces), TOKENIZER.pieces)], 40, TOKENIZER.encode(text))
    assert by_subwords == pytest.approx(total(scorers(LETTER_BY_LETTER), 30, LETTER_BY_LETTER.encode(text)))


@given(st.lists(st.text("ENOTW", min_size=1, max_size=4), min_size=1, max_size=4), st.randoms())
@settings(max_examples=60, deadline=None)
def test_how_words_are_cut_plays_no_part_for_models_over_words(said: list[str], random: object) -> None:
    ids = {symbol: at for at, symbol in enumerate(TOKENIZER.symbols)}
    letters = [ids[letter] for word in said for letter in ("|", *word)]
    found = [
        total([SubwordScorers([WordScorer(Unigram(), TOKENIZER.pieces, 0.7, 0.3)], TOKENIZER.pieces)], 40, tokens)
        for tokens in (letters, TOKENIZER.encode(" ".join(said)))
    ]
    assert found[0] == pytest.approx(found[1])
    assert found[0] == pytest.approx(sum(0.3 - 0.7 * len(word) for word in said) - 0.7 * 0.5 * len(said))


def test_a_lexicon_forbids_what_is_not_in_it() -> None:
    allowed: list[Scorer] = [SubwordScorers([Lexicon(["ONE", "TEN"], TOKENIZER.pieces)], TOKENIZER.pieces)]
    assert total(allowed, 40, TOKENIZER.encode("TEN ONE")) == 0.0
    assert total(allowed, 40, TOKENIZER.encode("TWO")) == -math.inf
    assert total(allowed, 40, TOKENIZER.encode("TEN ON")) == -math.inf
    assert "TWENTY" not in {TOKENIZER.symbols[each] for each in TOKENIZER.encode("TEN")}


def said(text: str, doubt: str = "", frames: int = 3) -> torch.Tensor:
    """Frames that say a text in subwords, in places nearly another one. (F, V)"""
    tokens, others = TOKENIZER.encode(text), TOKENIZER.encode(doubt or text)
    log_probs = torch.full((frames * len(tokens), 40), -15.0)
    log_probs[:, 0] = -0.1
    for at, (token, other) in enumerate(zip(tokens, others, strict=True)):
        log_probs[frames * at, [0, token, other]] = torch.tensor([-15.0, -1.0, -0.5 if doubt else -1.0])
    return log_probs.log_softmax(dim=-1)


def test_words_begin_where_their_marks_are() -> None:
    log_probs = said("ONE QUEEN TWO")
    (found,) = greedy(log_probs[None], torch.tensor([len(log_probs)]), TOKENIZER, 0.04)
    assert found.text == "ONE QUEEN TWO" and [word.text for word in found.words] == ["ONE", "QUEEN", "TWO"]
    searched = PrefixBeam(TOKENIZER).decode(log_probs[None], torch.tensor([len(log_probs)]), 0.04)[0][0]
    aligned = align(log_probs, "One queen, two!", TOKENIZER, 0.04)
    for others in (searched.words, aligned.words):
        assert [(w.start, w.end) for w in others] == [(w.start, w.end) for w in found.words]
        assert [w.confidence for w in others] == pytest.approx([w.confidence for w in found.words])
    assert "".join(letter.text for letter in aligned.words[1].characters) == "QUEEN"
    star = align(log_probs, "one * two", TOKENIZER, 0.04)
    assert [word.text for word in star.words] == ["one", "*", "two"]


def test_models_lexicons_and_hotwords_choose(tmp_path: Path) -> None:
    kneser_ney.train([["ONE", "TWO"]] * 30, order=2).save(tmp_path / "lm.arpa")
    posteriors = said("ONE TWO", "ONE TWA")
    plain = DecodingConfig(lm_weight=1.0, bonus=0.0)
    assert best([posteriors], TOKENIZER, 0.04, build(plain, TOKENIZER))[0].text == "ONE TWA"
    (tmp_path / "words.txt").write_text("ONE TWO")
    for config in (replace(plain, lm=str(tmp_path / "lm.arpa")), replace(plain, lexicon=str(tmp_path / "words.txt"))):
        assert best([posteriors], TOKENIZER, 0.04, build(config, TOKENIZER))[0].text == "ONE TWO"
    search = RecordingDecoder(TOKENIZER).search({"two": 2.0})
    assert best([posteriors], TOKENIZER, 0.04, search)[0].text == "ONE TWO"
    with pytest.raises(DecodingError, match="must be over words"):
        build(replace(plain, lm=str(tmp_path / "lm.arpa"), lm_unit="characters"), TOKENIZER)


def test_every_word_in_letters_can_be_spelled() -> None:
    assert np.isfinite(lm.sentence_score(Unigram(), ["A"])) and set(LETTERS) <= set(TOKENIZER.symbols)
    assert TOKENIZER.pieces.decode(TOKENIZER.pieces.encode("QUEEN ZAC'S")) == "QUEEN ZAC'S"
