"""Normalisers, each a named choice."""

import pickle
import sys
from importlib import metadata
from types import ModuleType

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisewise.errors import ConfigError
from noisewise.text.normalise import ENGLISH, NORMALISERS, _whisper_rules, choose, fitting, named_for, normalise, said
from noisewise.text.tokenizer import CharacterTokenizer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don’t stop!", "DON'T STOP"),
        ("well-known — café", "WELL KNOWN CAFE"),
        ("  two\tspaces\n", "TWO SPACES"),
        ("3 o'clock", "O'CLOCK"),
        ("' ''", ""),
        ("", ""),
        ("don\u00b4t don\u2032t don\u02bct don\uff07t don`t", "DON'T DON'T DON'T DON'T DON'T"),
        ("Æther Ørsted Œuvre Łódź Straße STRAẞE ﬁne", "AETHER ORSTED OEUVRE LODZ STRASSE STRASSE FINE"),
        ("thanks…ok thanks...ok yes,no yes;no either/or", "THANKS OK THANKS OK YES NO YES NO EITHER OR"),
        ("the U.S. and e.g. this.", "THE US AND EG THIS"),
        ("<unk> hi [laughter] [background noise] </s>", "HI"),
        ("a < b and c > d", "A B AND C D"),
        ("'cause", "'CAUSE"),
    ],
)
def test_english(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("german", "Café Straße STRAẞE Über", "CAFE STRAßE STRAßE ÜBER"),
        ("turkish", "ışık istanbul İzmir", "IŞIK İSTANBUL İZMİR"),
        ("unicode", "Привет, мир! м'ята «да» 'нет'", "ПРИВЕТ МИР М'ЯТА ДА НЕТ"),
        ("unicode", "हिन्दी, में।", "हिन्दी में"),
        ("unicode", "كِتَاب، مـن", "كِتَاب من"),
        ("unicode", "می\u200cخواهم", "میخواهم"),
        ("unicode", "გამარჯობა", "გამარჯობა"),
        ("unicode", "u\u0308ber 3.5 kg", "ÜBER 3 5 KG"),
        ("unicode-cased", "Über, Ça", "Über Ça"),
        ("none", "As it\tis, <unk>!", "As it is, <unk>!"),
    ],
)
def test_other_choices(name: str, text: str, expected: str) -> None:
    assert choose(name)(text) == expected


def test_an_unknown_choice_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="`normaliser` must be one of english, german"):
        choose("klingon")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mr. and Mrs. Lee paid $5.50 & 3% in 1905.", "MISTER AND MISSUS LEE PAID FIVE DOLLARS FIFTY AND "
         "THREE PERCENT IN NINETEEN OH FIVE"),
        ("At 9:05 p.m. on the 21st", "AT NINE OH FIVE P M ON THE TWENTY FIRST"),
        ("R-U-B-O-U-T, A.B.C.", "R U B O U T A B C"),
        ("<unk> B12 caf\u00e9 \uff11\uff12", "B TWELVE CAFE TWELVE"),
    ],
)  # fmt: skip
def test_spoken_english(text: str, expected: str) -> None:
    assert choose("english-spoken")(text) == expected


@given(st.text(alphabet="abcxyzABXYé 'd-,?\n", max_size=60))
def test_without_numerals_spoken_english_is_english(text: str) -> None:
    assert choose("english-spoken")(text) == normalise(text)


@given(st.text(max_size=40), st.text(alphabet="AB TWO", max_size=20))
def test_spoken_english_is_stable_and_its_nearest_reading_no_worse(text: str, other: str) -> None:
    spoken = choose("english-spoken")
    once = spoken(text)
    assert spoken(once) == once and set(once) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ' ")
    reference = spoken(other)
    distances = [jiwer.process_words(reference or "X", each) for each in (spoken.nearest(text, reference), once)]
    first, second = (each.substitutions + each.deletions + each.insertions for each in distances)
    assert first <= second or not reference


def test_spoken_english_loses_only_what_it_does_not_read() -> None:
    assert choose("english-spoken").lost("5 \u00a5 3, caf\u00e9 & \u4f60") == {"\u00a5": 1, "\u4f60": 1}
    assert choose("english").lost("5") == {"5": 1}


def test_the_rules_of_whisper_name_their_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "0.1.15")
    module = ModuleType("whisper_normalizer.english")
    module.EnglishTextNormalizer = lambda: lambda text: f" {text.lower()} "  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "whisper_normalizer.english", module)
    _whisper_rules.cache_clear()
    found = choose("whisper")
    assert (found.name, found("Go")) == ("whisper-english-0.1.15", "go") and not found.lost("5")
    _whisper_rules.cache_clear()


def test_the_rules_of_whisper_need_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(ConfigError, match="needs whisper-normalizer"):
        choose("whisper")


def test_the_rules_of_whisper() -> None:
    pytest.importorskip("whisper_normalizer", reason="pip install whisper-normalizer")
    assert choose("whisper")("Mr. Colour paid twenty-one dollars, um.") == "mister color paid $21"


@given(st.text())
def test_result_is_within_the_alphabet_and_stays(text: str) -> None:
    once = normalise(text)
    assert set(once) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ' ")
    assert "  " not in once and once == once.strip()
    assert normalise(once) == once


@given(st.text())
def test_every_choice_stays_when_it_is_applied_again(text: str) -> None:
    for chosen in NORMALISERS.values():
        once = chosen(text)
        assert chosen(once) == once and once == " ".join(once.split())


def test_what_is_spoken_and_removed_is_counted_and_so_are_tags() -> None:
    assert ENGLISH.lost("<unk> Enter 6 2 6, да & don´t — «é» <unk>") == {
        "<unk>": 2, "6": 2, "2": 1, "д": 1, "а": 1, "&": 1,
    }  # fmt: skip
    assert not choose("unicode").lost("Enter 6, да!") and not choose("none").lost("<unk> 6")
    assert said(ENGLISH.lost("6 2 6")) == "6 (2), 2 (1)"


def test_letters_that_are_written_in_others_are_counted() -> None:
    assert ENGLISH.respelled("über Straße und so") == {"ü": 1, "ß": 1}
    assert not choose("german").respelled("über Straße")


@pytest.mark.parametrize(
    ("letters", "text", "expected"),
    [
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜß", "über straße café's", "ÜBER STRAßE CAFES"),
        ("абвгдежзийклмнопрстуфхцчшщъыьэюя", "Привет", "привет"),
        ("АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ", "привет, ёж", "ПРИВЕТ ЕЖ"),
        ("ABCİIŞ", "iış", "İIŞ"),
        ("ABCabc", "aBc", "aBc"),
    ],
)
def test_the_letters_of_a_vocabulary_stay_as_they_are(letters: str, text: str, expected: str) -> None:
    assert fitting(["<blank>", "<unk>", "|", *letters])(text) == expected


def test_the_usual_letters_are_english() -> None:
    assert fitting(CharacterTokenizer().symbols) is ENGLISH


def test_a_normaliser_goes_to_other_processes() -> None:
    chosen = choose("german")
    assert chosen("ä é") == pickle.loads(pickle.dumps(chosen))("ä é") == "Ä E"


@pytest.mark.parametrize(
    ("letters", "name"),
    [
        ("ABC'", "english"),
        ("abc1", "english"),
        ("ABCÄÖÜß", "german"),
        ("abcäöü", "german"),
        ("ABCÖÜÇĞİŞ", "turkish"),
        ("ABCÉ", "unicode"),
        ("ПРИВЕТ", "unicode"),
        ("", "english"),
    ],
)
def test_the_normaliser_of_a_model_keeps_its_letters(letters: str, name: str) -> None:
    assert named_for(["<blank>", "<unk>", "|", *letters]) == name
    kept = choose(name)
    assert name == "english" or all(kept(each) for each in letters)
