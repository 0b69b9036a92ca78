"""Tokenizers: text to ids and back. The CTC blank is always id 0."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Protocol

from noisewise.errors import ModelError

BLANK = "<blank>"
UNKNOWN = "<unk>"
BOUNDARY = "|"


_SILENT = re.compile(r"<[^<>]+>")
"""Symbols that are no text: sentence marks and unused places of vocabularies of other projects."""


class Tokenizer(Protocol):
    """Text to ids and back, whatever the symbols are."""

    FILE: str
    """Name of the tokenizer's file in a model folder."""
    symbols: list[str]
    """Symbol of each id; `|` is the boundary of words."""
    blank: int
    """Id of the CTC blank, always 0."""
    unknown: int | None
    """Id of `<unk>`; None where the vocabulary lacks it."""
    boundary: int
    """Id of `|`."""
    begins: list[bool]
    """For each symbol, whether it ends the word before it and begins another: all that start with `|`."""

    def __len__(self) -> int: ...

    def encode(self, text: str) -> list[int]:
        """Ids of a normalised text."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids that hold no repeats and no blanks to collapse."""
        ...

    def save(self, path: str | Path) -> None:
        """Write it into a file."""
        ...


class CharacterTokenizer:
    """Letters, with `|` between words: the paper's 30 symbols, 26 letters and 4 special (Sec. III-B).

    Other vocabularies may hold further symbols in angle brackets, such as `<s>`, which decode to nothing, and
    may lack `<unk>`; `encode` then leaves unknown characters out.

    Example:
        >>> tokenizer = CharacterTokenizer()
        >>> tokenizer.encode("A B"), tokenizer.decode([4, 2, 5])
        ([4, 2, 5], 'A B')
    """

    FILE = "tokens.txt"

    def __init__(self, symbols: Sequence[str] = (BLANK, UNKNOWN, BOUNDARY, "'", *ascii_uppercase)):
        self.symbols = list(symbols)
        if not all(_is_text(symbol) for symbol in self.symbols):
            wrong = next(symbol for symbol in self.symbols if not _is_text(symbol))
            raise ModelError(f"`symbols` must all be text, but one is {wrong!r:.80} instead; write it as a string")
        if len(set(self.symbols)) != len(self.symbols):
            raise ModelError("`symbols` must all differ, but some appear twice; remove the doubles")
        if not self.symbols or self.symbols[0] != BLANK:
            raise ModelError(f"`symbols` must begin with {BLANK} (id 0), but is {self.symbols[:1]} instead")
        if "" in self.symbols:
            raise ModelError("`symbols` must not be empty, but one is; remove the empty line")
        if BOUNDARY not in self.symbols:
            raise ModelError(f"`symbols` must hold {BOUNDARY}, but does not; add a line with it")
        self._ids = {symbol: index for index, symbol in enumerate(self.symbols)}
        self.blank = 0
        self.unknown = self._ids.get(UNKNOWN)
        self.boundary = self._ids[BOUNDARY]
        self.begins = [symbol.startswith(BOUNDARY) for symbol in self.symbols]
        self._texts = [symbol if symbol == UNKNOWN or not _SILENT.fullmatch(symbol) else "" for symbol in self.symbols]

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> list[int]:
        """Ids of a normalised text; words are joined by `|`, unknown characters become `<unk>`."""
        found = (self._ids.get(character, self.unknown) for character in BOUNDARY.join(text.split()))
        return [index for index in found if index is not None]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids that hold no repeats and no blanks to collapse (see decoding.greedy)."""
        return " ".join("".join(self._texts[index] for index in ids).replace(BOUNDARY, " ").split())

    def save(self, path: str | Path) -> None:
        """Write one symbol a line; the line number is the id."""
        Path(path).write_text("".join(symbol + "\n" for symbol in self.symbols), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "CharacterTokenizer":
        """Read what `save` wrote."""
        path = Path(path)
        if not path.is_file():
            raise ModelError(f"`{path}` must be a file with one symbol a line, but there is no such file")
        try:
            return cls(path.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"`{path}` must be UTF-8 text, but is not; save it as UTF-8") from error


def _is_text(symbol: object) -> bool:
    """Whether it is a string that UTF-8 can hold."""
    return isinstance(symbol, str) and not any("\ud800" <= character <= "\udfff" for character in symbol)
