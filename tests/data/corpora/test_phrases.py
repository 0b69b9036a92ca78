import re
from collections import Counter

from noisewise.data.corpora.phrases import COMMANDS, MONTHS, date, digits, edit, phrase, spelled_word
from noisewise.data.random_streams import Draws
from noisewise.text.normalise import normalise

PHRASES = [phrase(Draws(0, index, "phrase")) for index in range(3000)]


def test_phrases_are_normalised_words() -> None:
    assert all(text and normalise(text) == text for text in PHRASES)


def test_phrases_cover_the_vocabulary() -> None:
    words = Counter(word for text in PHRASES for word in text.split())
    assert set("ABCDEFGHIJKLMNOPQRSTUVWXYZ") | set(COMMANDS) | set(MONTHS) < set(words)
    assert min(words[letter] for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ") > 30
    assert {"OH", "ZERO", "HUNDRED", "THOUSAND", "AND", "NINETEENTH", "THIRTIETH", "AREA", "CODE"} < set(words)
    assert len(set(PHRASES)) > 2300


def test_kinds_of_phrase() -> None:
    draws = Draws("kinds")
    month = "|".join(MONTHS)
    for _ in range(50):
        assert re.fullmatch(r"[A-Z]( [A-Z])+", spelled_word(draws))
        assert re.fullmatch(rf"(THE .* OF )?({month}).*", date(draws))
        assert edit(draws).split()[0] in ("ENTER", "ERASE", "RUBOUT")
        assert not {"OH", "ZERO"} <= set(digits(draws).split())


def test_phrases_are_pinned() -> None:
    assert PHRASES[:3] == PINNED


PINNED = ["SIX THOUSAND", "Q F S W O", "FIVE SEVEN"]
