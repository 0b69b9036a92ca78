"""Times and scores of words and letters against paths written by hand; stars; texts that do not fit."""

import pytest
import torch
from torch import Tensor

from noisewise.decoding.alignment.align import AlignedWord, align, spell, widened
from noisewise.decoding.alignment.viterbi import STAR
from noisewise.decoding.ctc.greedy import greedy
from noisewise.errors import AlignmentError
from noisewise.text.tokenizer import CharacterTokenizer

TOKENIZER = CharacterTokenizer()
FRAME = 0.04


def path_probs(symbols: str, confidences: dict[int, float] | None = None) -> Tensor:
    """Log-probabilities whose likeliest path is `symbols`, `.` for the blank; 0.9 unless a frame has its own. (F, V)"""
    rows = []
    for frame, symbol in enumerate(symbols):
        confidence = (confidences or {}).get(frame, 0.9)
        row = torch.full((len(TOKENIZER),), (1 - confidence) / (len(TOKENIZER) - 1))
        row[0 if symbol == "." else TOKENIZER.symbols.index(symbol)] = confidence
        rows.append(row.log())
    return torch.stack(rows)


def frames(start: float, end: float) -> tuple[int, int]:
    return round(start / FRAME), round(end / FRAME)


def test_words_and_letters_of_a_path_written_by_hand() -> None:
    log_probs = path_probs("..HHI.|.BE.E.", {2: 0.6, 3: 0.8, 4: 0.7, 11: 0.5})
    found = align(log_probs, "Hi, bee!", TOKENIZER, FRAME)
    hi, bee = found.words
    assert [word.text for word in found.words] == ["Hi,", "bee!"]
    assert (frames(hi.start, hi.end), frames(bee.start, bee.end)) == ((2, 5), (8, 12))
    assert [(letter.text, *frames(letter.start, letter.end)) for letter in hi.characters] == [("H", 2, 4), ("I", 4, 5)]
    assert [frames(letter.start, letter.end) for letter in bee.characters] == [(8, 9), (9, 10), (11, 12)]
    assert [letter.confidence for letter in hi.characters] == pytest.approx([0.8, 0.7])
    assert hi.confidence == pytest.approx(0.7)
    assert bee.confidence == pytest.approx(0.5)
    assert found.score == pytest.approx(log_probs.max(dim=1).values.sum().item())


def test_what_greedy_decoding_says_is_aligned_where_it_says_it() -> None:
    log_probs = path_probs(".TTWO.|..ONE||.SIX..")
    (decoded,) = greedy(log_probs[None], torch.tensor([len(log_probs)]), TOKENIZER, FRAME)
    words = align(log_probs, decoded.text, TOKENIZER, FRAME).words
    for word, other in zip(words, decoded.words, strict=True):
        assert (word.text, word.start, word.end) == (other.text, other.start, other.end)
        assert word.confidence == pytest.approx(other.confidence)


def test_a_wrong_letter_is_unsure_and_moves_no_other_word() -> None:
    log_probs = path_probs("..HHI.|.BE.E.|.NO")
    words = align(log_probs, "HI BEN NO", TOKENIZER, FRAME).words
    assert frames(words[0].start, words[0].end) == (2, 5)
    assert frames(words[2].start, words[2].end) == (15, 17)
    assert words[1].confidence < 0.01 < 0.9 <= words[1].characters[0].confidence + 1e-6


def test_words_that_cannot_be_spelled_are_errors_or_stars() -> None:
    log_probs = path_probs("IN.|.TWENTY.|.MAY..")
    for text in ("IN 20 MAY", "IN T<unk>ENTY MAY", "IN \u0416 MAY", "IN MP3 MAY", "IN 2nd MAY"):
        with pytest.raises(AlignmentError, match=f"'{text.split()[1]}' cannot be.*; spell it out, write \\*"):
            align(log_probs, text, TOKENIZER, FRAME)
        first, star, last = align(log_probs, text, TOKENIZER, FRAME, unknown="star").words
        assert frames(first.start, first.end) == (0, 2)
        assert star.text == text.split()[1]
        assert first.end <= star.start <= 5 * FRAME
        assert 11 * FRAME <= star.end <= last.start + 1e-9
        assert (star.confidence, star.characters) == (0.0, [])
        assert frames(last.start, last.end) == (14, 17)
    with pytest.raises(AlignmentError, match=r"'1' \(and 2 more\) cannot be"):
        align(log_probs, "1 2 3", TOKENIZER, FRAME)


@pytest.mark.parametrize("star", ["best", "one"])
def test_a_star_in_the_text_takes_what_is_not_in_the_text(star: str) -> None:
    log_probs = path_probs("GO.|.HELLO.|..THERE..|.STOP")
    words = align(log_probs, "GO * STOP", TOKENIZER, FRAME, star=star).words  # type: ignore[arg-type]
    assert frames(words[0].start, words[0].end) == (0, 2)
    assert frames(words[2].start, words[2].end) == (23, 27)
    without = align(log_probs, "GO STOP", TOKENIZER, FRAME)
    assert without.score < align(log_probs, "GO * STOP", TOKENIZER, FRAME).score - 20


def test_accents_hyphens_and_lonely_punctuation() -> None:
    words = spell("Caf\u00e9 \u2013 twenty-one, don\u2019t !", TOKENIZER)
    assert [word.text for word in words] == ["Caf\u00e9", "twenty-one,", "don\u2019t"]
    assert [TOKENIZER.decode(word.tokens) for word in words] == ["CAFE", "TWENTY ONE", "DON'T"]
    found = align(path_probs("TWO.|.ONE"), "two-one", TOKENIZER, FRAME).words
    assert [letter.text for letter in found[0].characters] == [*"TWOONE"]


def test_a_smaller_alphabet_is_not_filled_with_unknowns() -> None:
    small = CharacterTokenizer(["<blank>", "<unk>", "|", "A", "B"])
    with pytest.raises(AlignmentError, match=r"spelled in \|AB, but 'CAB' cannot be"):
        spell("ABBA CAB", small)
    assert [word.tokens for word in spell("ABBA CAB", small, "star")] == [[3, 4, 4, 3], [STAR]]


def test_texts_that_do_not_fit() -> None:
    log_probs = path_probs("HI...")
    with pytest.raises(AlignmentError, match=r"fit 0.20 s of audio, but its 4 letters .* need at least 0.24 s"):
        align(log_probs, "AAOO", TOKENIZER, FRAME)
    assert align(log_probs, "ABABA", TOKENIZER, FRAME).words
    for text in ("", "  ", "... -"):
        with pytest.raises(AlignmentError, match="must hold a word"):
            align(log_probs, text, TOKENIZER, FRAME)


def test_widened_words_share_what_lies_between_them_and_stay_in_the_recording() -> None:
    words = [
        AlignedWord(text, start, end, 1.0) for text, start, end in (("A", 0.01, 1.0), ("B", 1.6, 2.0), ("C", 2.1, 2.5))
    ]
    found = widened(words, 0.1, 0.3, 2.6)
    assert [(word.start, word.end) for word in found] == [
        pytest.approx((0.0, 1.3)),  # 0.1 s is not there
        pytest.approx((1.5, 2.075)),  # three quarters of 0.1 s, of which C takes the last
        pytest.approx((2.075, 2.6)),
    ]
    assert [word.text for word in found] == ["A", "B", "C"]
    assert widened(words, 0.0, 0.0, 2.6) == words
    assert widened(words, 0.0, 0.3, 2.2)[-1].end == 2.5  # a frame may reach past the last sample


def tokens_of(letters: str) -> CharacterTokenizer:
    return CharacterTokenizer(["<blank>", "<unk>", "|", *letters])


@pytest.mark.parametrize(
    ("letters", "text", "expected"),
    [
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜß", "über straße", ["ÜBER", "STRAßE"]),
        ("АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ", "Привет, мир!", ["ПРИВЕТ", "МИР"]),
        ("अकखगमनसतहिी्दुा", "हिन्दी", ["हिन्दी"]),
        ("abcdefghijklmnopqrstuvwxyzç", "Ça va", ["ça", "va"]),
    ],
)
def test_letters_that_the_model_has_are_spelled_as_they_are(letters: str, text: str, expected: list[str]) -> None:
    tokenizer = tokens_of(letters)
    assert [tokenizer.decode(each.tokens) for each in spell(text, tokenizer)] == expected


def test_letters_that_the_model_lacks_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AlignmentError, match=r"'привет' cannot be: it lacks в \(1\)"):
        spell("hi привет", TOKENIZER)
    assert [TOKENIZER.decode(each.tokens) for each in spell("über [loud laughter] us", TOKENIZER)] == ["UBER", "US"]
    assert "ü (1)" in caplog.text
