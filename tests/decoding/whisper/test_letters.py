"""Letters as judges of texts: sums over alignments by hand, stars, times and confidences of words."""

import math
from itertools import pairwise

import pytest
import torch

from noisewise.decoding.whisper.letters import ctc_scores, words_by_length, words_by_letters
from noisewise.decoding.whisper.search import Said
from noisewise.models.ctc import ctc_loss
from noisewise.text.tokenizer import CharacterTokenizer
from tests.models.whisper import tokens

LETTERS = CharacterTokenizer()
PIECES = tokens.tokenizer()


def log_probs(spelled: str, peak: float = 6.0) -> torch.Tensor:
    """Frames that say letters, `_` for a blank. (F, C)"""
    ids = [LETTERS.blank if each == "_" else LETTERS.symbols.index(each) for each in spelled]
    logits = torch.zeros(len(ids), len(LETTERS))
    logits[torch.arange(len(ids)), torch.tensor(ids)] = peak
    return logits.log_softmax(dim=1)


def test_a_text_has_the_probability_of_all_its_alignments() -> None:
    rows = log_probs("_GGO_|HI__")
    found = ctc_scores(rows, ["Go, hi!", "go", "", "2014 hi"], LETTERS)
    for text, score in zip(("GO HI", "GO", ""), found, strict=False):
        ids = LETTERS.encode(text)
        wanted = ctc_loss(rows[None], torch.tensor([10]), torch.tensor([ids or [1]]), torch.tensor([len(ids)]))
        assert score == pytest.approx(-float(wanted[0]), abs=1e-3)
    assert found[0] > max(found[1:3])
    assert ctc_scores(rows[:3], ["Go, hi!"], LETTERS) == [-math.inf]


def test_words_have_the_times_of_their_letters() -> None:
    rows = log_probs("__GO__|_HI___")
    ids = PIECES.encode(" Go, -- hi!")
    words = words_by_letters(rows, Said(ids, [-0.1] * (len(ids) + 1)), PIECES, LETTERS, 0.02)
    assert [word.text for word in words] == ["Go,", "hi!"]
    assert [(round(word.start, 2), round(word.end, 2)) for word in words] == [(0.04, 0.08), (0.16, 0.2)]
    sure = float(rows[2, LETTERS.symbols.index("G")].exp())
    assert words[0].confidence == pytest.approx(sure, abs=1e-6)


def test_a_word_without_a_spelling_is_as_sure_as_its_least_sure_token() -> None:
    ids = PIECES.encode(" 12 hi")
    each = [-0.1 * (at + 1) for at in range(len(ids))]
    number = len(PIECES.encode(" 12"))
    words = words_by_letters(log_probs("_GO_|_HI_"), Said(ids, each), PIECES, LETTERS, 0.02)
    assert words[0].text == "12" and words[0].confidence == pytest.approx(math.exp(-0.1 * number))


def test_without_letters_words_share_the_time() -> None:
    ids = PIECES.encode(" One two, three.")
    words = words_by_length(Said(ids, [-0.2] * len(ids)), PIECES, 3.2)
    assert [word.text for word in words] == ["One", "two,", "three."]
    assert words[0].start == 0.0 and words[-1].end < 3.2
    assert all(one.end < other.start for one, other in pairwise(words))
    assert {round(word.confidence, 6) for word in words} == {round(math.exp(-0.2), 6)}
    assert words_by_length(Said([], []), PIECES, 1.0) == []
