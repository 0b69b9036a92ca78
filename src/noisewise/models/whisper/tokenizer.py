"""The tokenizer of Whisper: byte pairs as GPT-2 has them, and tokens that steer the decoder.

Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", Sec. 2.2 (bytes as letters, merges within
words, a space before a word belongs to it); Radford et al. 2022, Sec. 2.3 and Fig. 1 (what the decoder is prompted
with). All is read from `tokenizer.json`; no library is needed.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from noisewise.errors import ModelError

END, START = "<|endoftext|>", "<|startoftranscript|>"
NO_TIMESTAMPS, PREVIOUS = "<|notimestamps|>", "<|startofprev|>"
NO_SPEECH = ("<|nospeech|>", "<|nocaptions|>")
"""The token that stands for no speech, by its newer and its older name."""
STEERING = ("<|transcribe|>", "<|translate|>", START, PREVIOUS, "<|startoflm|>", *NO_SPEECH)
"""Tokens that a transcript never holds."""
ENGLISH_END = 50256
"""Id of the end in every vocabulary that is for English alone."""
SYMBOLS = (
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("', "((", "))", "(((", ")))", "[[", "]]", "{{", "}}"),
    *("♪♪", "♪♪♪"),
)
"""Marks of speakers and of what is not said, such as `[DAVID]` and `( MUSIC )`."""
NOTES = "♩♪♫♬♭♮♯"
"""Notes; several tokens each, of which the first is enough to forbid."""
Task = Literal["transcribe", "translate"]

_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
_CONTRACTION = re.compile(r"'(?:s|t|re|ve|m|ll|d)")
_SHAPE = re.compile(r" ?a+| ?0+| ?\.+|\s+(?!\S)|\s+")
"""Words of a text whose letters are written `a`, digits `0`, white space as it is, and all else `.`."""


class WhisperTokenizer:
    """Text to ids and back.

    Args:
        values: what `tokenizer.json` holds.

    Raises:
        ModelError: it is not the tokenizer of a Whisper model.
    """

    FILE = "tokenizer.json"

    def __init__(self, values: dict[str, Any]):
        try:
            self._ids: dict[str, int] = dict(values["model"]["vocab"])
            added = {each["content"]: int(each["id"]) for each in values["added_tokens"]}
            merges = [tuple(each.split(" ") if isinstance(each, str) else each) for each in values["model"]["merges"]]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ModelError(f"`{self.FILE}` must hold a byte-pair vocabulary, but does not: {error!r:.200}") from error
        missing = [name for name in (END, START, NO_TIMESTAMPS) if name not in {**self._ids, **added}]
        if missing:
            raise ModelError(f"`{self.FILE}` must be that of a Whisper model, but lacks {missing[0]}; copy it whole")
        self.values = values
        self.special = {**{name: self._ids[name] for name in added if name in self._ids}, **added}
        """Names of the tokens that are no text, to their ids."""
        self._merges = {pair: rank for rank, pair in enumerate(merges)}
        special = set(self.special.values())
        self._symbols = {index: symbol for symbol, index in self._ids.items() if index not in special}
        self._encode_word = lru_cache(maxsize=1 << 16)(self._encoded)

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return (WhisperTokenizer, (self.values,))

    @classmethod
    def load(cls, path: str | Path) -> "WhisperTokenizer":
        """Read a `tokenizer.json`, or that of a folder.

        Raises:
            ModelError: there is none, or it is not that of a Whisper model.
        """
        path = Path(path)
        path = path / cls.FILE if path.is_dir() else path
        try:
            return cls(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(
                f"`{path}` must be the tokenizer of a Whisper model, but cannot be read: {error}"
            ) from error

    def save(self, path: str | Path) -> None:
        """Write what `load` reads."""
        Path(path).write_text(json.dumps(self.values, ensure_ascii=False), encoding="utf-8")

    @property
    def end(self) -> int:
        """The token that ends a text."""
        return self.special[END]

    @property
    def timestamps(self) -> int:
        """The first of the tokens that are times; they lie 0.02 s apart."""
        return self.special[NO_TIMESTAMPS] + 1

    @cached_property
    def no_speech(self) -> int | None:
        """The token that says that nobody speaks; None where there is none."""
        return next((self.special[name] for name in NO_SPEECH if name in self.special), None)

    @cached_property
    def languages(self) -> dict[str, int]:
        """Codes of the languages to their tokens; none in a model of English alone."""
        if self.end == ENGLISH_END:
            return {}
        matches = ((_LANGUAGE.fullmatch(name), index) for name, index in self.special.items())
        return {match[1]: index for match, index in matches if match}

    def prompt(self, language: str | None = "en", task: Task = "transcribe", timestamps: bool = False) -> list[int]:
        """What the decoder is given before a text (Fig. 1); of a model of English alone, neither language nor task.

        Args:
            language: code of the language that is spoken.
            task: whether the text is in that language or in English.
            timestamps: whether the decoder writes times.

        Raises:
            ModelError: the model does not know the language, or only English.
        """
        tokens = [self.special[START]]
        if self.languages:
            if language not in self.languages:
                known = ", ".join(sorted(self.languages))
                raise ModelError(f"`language` must be one of {known}, but is {language!r:.40} instead")
            tokens += [self.languages[language], self.special[f"<|{task}|>"]]
        elif language not in (None, "en") or task != "transcribe":
            raise ModelError(
                f"`language` must be en for a model of English alone, but is {language!r:.40} (task {task}) instead"
            )
        return tokens if timestamps else [*tokens, self.special[NO_TIMESTAMPS]]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; tokens that steer and times are no text, and bytes that are no UTF-8 are replaced."""
        return b"".join(map(self.piece, ids)).decode("utf-8", errors="replace")

    def piece(self, index: int) -> bytes:
        """The bytes of one token; none of one that is no text."""
        return bytes(_BYTES[letter] for letter in self._symbols.get(index, "") if letter in _BYTES)

    def encode(self, text: str) -> list[int]:
        """Ids of a text; one that is spoken begins with a space.

        Raises:
            ModelError: a byte that the vocabulary lacks.
        """
        return [index for word in _words(text) for index in self._encode_word(word)]

    @cached_property
    def non_speech(self) -> list[int]:
        """Tokens of what is written but not said; Whisper forbids them, and every token that steers, in transcripts."""
        found = {self.encode(" -")[0], self.encode(" '")[0]}  # within words, these stay
        for symbol in (*SYMBOLS, *NOTES):
            encoded = (self.encode(symbol), self.encode(" " + symbol))
            found |= {ids[0] for ids in encoded if len(ids) == 1 or symbol in NOTES}
        return sorted(found - {*self.encode(" ")})  # a small vocabulary may write a note as a space and bytes

    @cached_property
    def steering(self) -> list[int]:
        """Tokens that a transcript never holds, whatever is decoded: prompts, languages, no speech, and times but for
        those from `timestamps` on."""
        names = {*STEERING, NO_TIMESTAMPS}
        return sorted({self.special[name] for name in names if name in self.special} | self._languages_in_table)

    @property
    def _languages_in_table(self) -> set[int]:
        return {index for name, index in self.special.items() if _LANGUAGE.fullmatch(name)}

    def _encoded(self, word: str) -> tuple[int, ...]:
        """Ids of a word: the pair that was merged first in learning is merged first."""
        parts = [_LETTERS[byte] for byte in word.encode("utf-8")]
        while len(parts) > 1:
            rank, best = min((self._merges.get(pair, len(self._merges)), pair) for pair in pairwise(parts))
            if rank == len(self._merges):
                break
            parts = _merged(parts, best)
        try:
            return tuple(self._ids[part] for part in parts)
        except KeyError as error:
            raise ModelError(f"`{self.FILE}` must hold all bytes, but lacks {error}; copy it whole") from error


def _merged(parts: Sequence[str], pair: tuple[str, str]) -> list[str]:
    """The same with every such pair as one, from the left."""
    found: list[str] = []
    for part in parts:
        if found and (found[-1], part) == pair:
            found[-1] += part
        else:
            found.append(part)
    return found


def _words(text: str) -> Iterator[str]:
    """Stretches that are merged apart: the ends of contractions, letters, digits, marks, white space."""
    shape, at = "".join(map(_class, text)), 0
    while at < len(text):
        match = _CONTRACTION.match(text, at) or _SHAPE.match(shape, at)
        assert match is not None  # every character has a shape
        yield text[at : match.end()]
        at = match.end()


def _class(character: str) -> str:
    """`a` for a letter, `0` for a digit or number of any kind, itself or a tab for white space, `.` for all else."""
    if character.isalpha():
        return "a"
    if character.isnumeric():
        return "0"
    if character.isspace() and not "\x1c" <= character <= "\x1f":
        return " " if character == " " else "\t"
    return "."


def _letters() -> list[str]:
    """The letter that stands for each byte: itself if it can be seen, the others from U+0100 on (GPT-2)."""
    seen = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    hidden = iter(range(256, 512))
    return [chr(byte if byte in seen else next(hidden)) for byte in range(256)]


_LETTERS = _letters()
_BYTES = {letter: byte for byte, letter in enumerate(_LETTERS)}
