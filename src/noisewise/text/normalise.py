"""Normalisers: the forms in which transcripts are compared and learned, each a named choice.

| choice | letters that stay | case |
| --- | --- | --- |
| `english` | A to Z and the apostrophe | upper |
| `german` | those and Ä Ö Ü ß | upper |
| `turkish` | those of English and Ç Ğ İ Ö Ş Ü; i is İ and ı is I | upper |
| `unicode` | letters, marks and digits of every script | upper |
| `unicode-cased` | the same | kept |
| `none` | everything; only white space is made single | kept |
| `english-spoken` | those of `english`, after numerals and abbreviations are read (`noisewise.text.spoken`) | upper |
| `whisper` | what Whisper's own rules leave (package `whisper-normalizer`, extra `whisper`) | lower |

`english` to `unicode-cased` work alike: apostrophes of every shape are `'`, tags such as `<unk>` and `[laughter]` are
no words, a letter that does not stay is written in letters that do (é is E, Æ is AE) or removed, and other punctuation
parts words. What is spoken and yet removed (digits, letters of other scripts, symbols) and tags are counted by
`Normaliser.lost`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module, metadata
from string import ascii_uppercase
from typing import Any, Literal, get_args

from noisewise.errors import ConfigError, install_line
from noisewise.text import spoken

NormaliserName = Literal[
    "english", "german", "turkish", "unicode", "unicode-cased", "none", "english-spoken", "whisper"
]
Case = Literal["upper", "lower", "kept"]

APOSTROPHE = "'"
SYMBOLS = "&%@#"
"""Punctuation that is spoken."""
_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02b9\u02bb\u02bc\u2032\u00b4`\uff07\ua78c"), APOSTROPHE)
TAG = re.compile(r"<(?![\s<>])[^<>]{1,40}(?<!\s)>|\[(?!\s)[^\[\]]{1,40}(?<!\s)\]")
"""What annotators and models write that is no word: `<unk>`, `[background noise]`."""
_PRESENTATION = re.compile("[\ufb00-\ufdff\ufe70-\ufefc\uff00-\uffef]+")
"""Forms of other letters that only typesetting knows: ligatures, positional Arabic, full width."""
_PAUSE = re.compile(r"\.{2,}|[\u2025\u2026]|(?<=\d)[.,](?=\d)")
"""Dots that part words; a single one is within an abbreviation, as in U.S., or at an end."""
_LIGATURES = {
    "Æ": "AE", "Œ": "OE", "Ø": "O", "ß": "SS", "Þ": "TH", "Ð": "D", "Đ": "D", "Ł": "L", "Ħ": "H", "Ŧ": "T", "Ŋ": "NG",
    "Ƒ": "F", "Ɖ": "D", "Ɓ": "B", "Ɗ": "D", "Ɨ": "I", "Ƶ": "Z", "Ƀ": "B", "Ɍ": "R", "Ⱥ": "A", "Ɇ": "E", "Ƚ": "L",
    "ĸ": "K", "İ": "I", "ı": "I",
}  # fmt: skip
"""Letters that Unicode does not decompose, in capitals."""
_UNSEEN = ("\u0640", "\u00b7")
"""Tatweel, and the point in Catalan l·l: within words, and not spoken."""


@dataclass(frozen=True)
class Normaliser:
    """Reduces text to words of some letters, single-spaced.

    Example:
        >>> choose("german")("Stra\u00dfe, Caf\u00e9, \u00dcBER!")
        'STRA\u00dfE CAFE \u00dcBER'
    """

    name: str
    """Name of the rules, stored beside every score; a change of rules is a new name."""
    letters: frozenset[str] | None = None
    """Characters that stay; None for the letters, marks and digits of every script."""
    case: Case = "upper"
    """Case that letters get."""
    is_turkish: bool = False
    """Whether the capital of i is İ, and that of ı is I."""
    keeps_quotes: bool = False
    """Whether apostrophes at the ends of words stay, as in 'CAUSE, though they may be quotes."""
    keeps_all: bool = False
    """Whether only white space changes."""

    def __call__(self, text: str) -> str:
        """The normalised text; the same when it is applied again."""
        text = unicodedata.normalize("NFC", text)
        if self.keeps_all:
            return " ".join(text.split())
        words = unicodedata.normalize("NFC", TAG.sub(" ", self._unified(text)).translate(self._table)).split()
        if not self.keeps_quotes:
            words = [word.strip(APOSTROPHE) for word in words]
        return " ".join(word for word in words if word.strip(APOSTROPHE))

    def nearest(self, text: str, reference: str) -> str:
        """The normalised text in the reading that is nearest to a reference, where it can be read in several ways.

        Args:
            text: a hypothesis.
            reference: normalised.
        """
        return self(text)

    def lost(self, text: str) -> Counter[str]:
        """What is spoken in a text and yet removed, and the tags, each with how often it occurs.

        Example:
            >>> dict(choose("english").lost("<unk> enter 6 2 6"))
            {'<unk>': 1, '6': 2, '2': 1}
        """
        if self.keeps_all:
            return Counter()
        text = self._unified(unicodedata.normalize("NFC", text))
        found = Counter(TAG.findall(text))
        found.update(each for each in TAG.sub(" ", text) if _is_spoken(each) and not self._table[ord(each)].strip())
        return found

    def respelled(self, text: str) -> Counter[str]:
        """Letters of a text that are written in others, as é in E, each with how often it occurs."""
        if self.keeps_all:
            return Counter()
        text = self._unified(unicodedata.normalize("NFC", text))
        found = ((each, self._table[ord(each)].strip()) for each in TAG.sub(" ", text) if each.isalpha())
        return Counter(each for each, written in found if written and written != self._cased(each))

    @staticmethod
    def _shaped(text: str) -> str:
        """One shape of apostrophes, and no forms of typesetting."""
        text = _PRESENTATION.sub(lambda form: unicodedata.normalize("NFKC", form[0]), text.translate(_APOSTROPHES))
        return text.translate(_APOSTROPHES)

    @classmethod
    def _unified(cls, text: str) -> str:
        """The same, and dots that part words are spaces."""
        return _PAUSE.sub(" ", cls._shaped(text))

    @cached_property
    def _table(self) -> "_Table":
        return _Table(self)

    def _cased(self, character: str) -> str:
        if self.is_turkish and character in "iı":
            return {"i": "İ", "ı": "I"}[character]
        if self.case == "kept":
            return character
        return capital(character) if self.case == "upper" else _only_one(character, character.lower())

    def written(self, character: str) -> str:
        """What becomes of a character: letters, nothing within a word, or a space between words."""
        character = self._cased(character)
        category = unicodedata.category(character)
        if self.letters is None:
            if character == APOSTROPHE or (category[0] in "LMN" and character not in _UNSEEN):
                return character
        elif character in self.letters:
            return character
        else:
            parts = _LIGATURES.get(capital(character)) or unicodedata.normalize("NFKD", character).translate(
                _APOSTROPHES
            )
            if parts not in (character, capital(character)):
                return "".join(map(self.written, parts))
        inner = category[0] in "LMN" or category in ("Cf", "Cs", "Co") or character in (".", APOSTROPHE, *_UNSEEN)
        return "" if inner else " "


@dataclass(frozen=True)
class SpokenNormaliser(Normaliser):
    """Reduces English text to words as they are spoken; see `noisewise.text.spoken`.

    A text without numerals, abbreviations and signs becomes what `english` makes of it.

    Example:
        >>> spoken = choose("english-spoken")
        >>> spoken("Mr. Lee paid $5 in 1905.")
        'MISTER LEE PAID FIVE DOLLARS IN NINETEEN OH FIVE'
        >>> spoken.nearest("Room 6264.", "ROOM SIX TWO SIX FOUR")
        'ROOM SIX TWO SIX FOUR'
    """

    def __call__(self, text: str) -> str:
        """The normalised text, numerals read in the usual way; the same when it is applied again."""
        return " ".join(spoken.readings(self._written(text), self._words).first())

    def nearest(self, text: str, reference: str) -> str:
        """See `Normaliser.nearest`: the reading with the fewest edits, the most usual one of several."""
        words = reference.split()
        lattice = spoken.readings(self._written(text), self._words, {word for word in words if len(word) == 1})
        return " ".join(spoken.nearest(lattice, words))

    def lost(self, text: str) -> Counter[str]:
        """See `Normaliser.lost`; what is read is not lost."""
        return super().lost(" ".join(each for each in spoken.pieces(self._written(text)) if isinstance(each, str)))

    def _written(self, text: str) -> str:
        return TAG.sub(" ", self._shaped(unicodedata.normalize("NFC", text)))

    def _words(self, text: str) -> list[str]:
        return super().__call__(text).split()


@dataclass(frozen=True)
class WhisperNormaliser(Normaliser):
    """The rules with which Whisper is scored (Radford et al. 2022, appendix C), from the package whisper-normalizer.

    Numerals become digits, contractions and abbreviations words, British spellings American; words in brackets and
    "hmm", "uh" are removed.
    """

    @classmethod
    def load(cls) -> "WhisperNormaliser":
        """The rules of the version that is installed, which their name holds.

        Raises:
            ConfigError: the package is not installed.
        """
        try:
            version = metadata.version("whisper-normalizer")
        except metadata.PackageNotFoundError as error:
            raise ConfigError(
                "`normaliser` whisper needs whisper-normalizer, which is not installed; install it with: "
                f"{install_line('whisper')}"
            ) from error
        return cls(f"whisper-english-{version}", case="lower")

    def __call__(self, text: str) -> str:
        """The normalised text."""
        return str(_whisper_rules()(text)).strip()

    def lost(self, text: str) -> Counter[str]:
        """Nothing: what these rules remove is taken for what is not spoken."""
        return Counter()


@lru_cache(maxsize=1)
def _whisper_rules() -> Any:
    return import_module("whisper_normalizer.english").EnglishTextNormalizer()


class _Table(dict[int, str]):
    """What becomes of each character, found out when it first occurs."""

    def __init__(self, normaliser: Normaliser):
        super().__init__()
        self.normaliser = normaliser

    def __missing__(self, code: int) -> str:
        self[code] = self.normaliser.written(chr(code))
        return self[code]

    def __reduce__(self) -> tuple[type, tuple[Normaliser]]:
        return type(self), (self.normaliser,)


_ENGLISH = frozenset(APOSTROPHE + ascii_uppercase)
ENGLISH = Normaliser("noisewise-en-2", _ENGLISH, keeps_quotes=True)
NORMALISERS: dict[str, Normaliser] = {
    "english": ENGLISH,
    "german": Normaliser("noisewise-de-1", _ENGLISH | set("ÄÖÜß")),
    "turkish": Normaliser("noisewise-tr-1", _ENGLISH | set("ÇĞİÖŞÜ"), is_turkish=True),
    "unicode": Normaliser("noisewise-unicode-1"),
    "unicode-cased": Normaliser("noisewise-unicode-cased-1", case="kept"),
    "none": Normaliser("noisewise-none-1", case="kept", keeps_all=True),
    "english-spoken": SpokenNormaliser("noisewise-en-spoken-1", _ENGLISH, keeps_quotes=True),
}
"""The choices by the names under which users choose them, but for `whisper`, which needs a package."""
NORMALISER = ENGLISH.name
"""Name of the rules of `normalise`."""


def normalise(text: str) -> str:
    """The choice `english`: words of A-Z and apostrophes, in upper case.

    Digits are removed on purpose: they have several readings, so a transcript must spell them.

    Example:
        >>> normalise("It's a caf\u00e9 \u2014 number 7!")
        "IT'S A CAFE NUMBER"
    """
    return ENGLISH(text)


def choose(name: str) -> Normaliser:
    """The normaliser of a name.

    Raises:
        ConfigError: there is none, or its package is not installed.
    """
    if name == "whisper":
        return WhisperNormaliser.load()
    if name not in NORMALISERS:
        raise ConfigError(f"`normaliser` must be one of {', '.join(get_args(NormaliserName))}, but is '{name}' instead")
    return NORMALISERS[name]


def fitting(symbols: Sequence[str]) -> Normaliser:
    """The normaliser for a model's tokens: letters that they hold stay as they are, others are written in these.

    Args:
        symbols: tokens; those in angle brackets are no text, `|` is the boundary between words.

    Example:
        >>> fitting(["<blank>", "|", "A", "\u00c4"])("\u00e4 \u00e1")
        '\u00c4 A'
    """
    return _fitting(tuple(symbols))


def named_for(symbols: Sequence[str]) -> NormaliserName:
    """The normaliser that keeps the letters of a model's tokens, by its name: English where they are those of English.

    Example:
        >>> named_for(["<blank>", "|", "A", "\u00c4"]), named_for(["|", "\u0416"])
        ('german', 'unicode')
    """
    letters = fitting(symbols).letters
    names: tuple[NormaliserName, ...] = ("english", "german", "turkish")
    capitals = {capital(letter) for letter in letters or () if letter.isalpha()}
    return next((name for name in names if capitals <= (NORMALISERS[name].letters or set())), "unicode")


@lru_cache(maxsize=16)
def _fitting(symbols: tuple[str, ...]) -> Normaliser:
    texts = (symbol for symbol in symbols if not (symbol[:1] == "<" and symbol[-1:] == ">" and len(symbol) > 2))
    letters = frozenset("".join(texts)) - {"|"}
    if letters <= _ENGLISH:
        return ENGLISH
    case: Case = "kept"
    if all(capital(each) == each for each in letters):
        case = "upper"
    elif all(_only_one(each, each.lower()) == each for each in letters):
        case = "lower"
    return Normaliser("noisewise-model-1", letters, case, is_turkish=case == "upper" and "İ" in letters)


def capital(letter: str) -> str:
    """The capital of a letter, where that is one letter in use: ß and the letters of Georgian stay."""
    if letter == "ẞ":
        return "ß"
    return letter if "\u10d0" <= letter <= "\u10ff" else _only_one(letter, letter.upper())


def letters_of(texts: Iterable[str]) -> Counter[str]:
    """Characters of normalised texts, without the spaces, each with how often it occurs."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update(text)
    del found[" "]
    return found


def said(lost: Counter[str], most: int = 12) -> str:
    """Characters and how often each occurs, the most frequent first.

    Example:
        >>> said(Counter({"6": 2, "<unk>": 1}))
        '6 (2), <unk> (1)'
    """
    words = [f"{each} ({count})" for each, count in sorted(lost.items(), key=lambda item: (-item[1], item[0]))]
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def _only_one(letter: str, other: str) -> str:
    return other if len(other) == 1 else letter


def _is_spoken(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" or (category[0] == "S" and category != "Sk") or character in SYMBOLS
