"""Vocabularies of transformers and fairseq as tokenizers of noisewise: blank first, and its names of special tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noisewise.errors import InteropError
from noisewise.text.normalise import capital
from noisewise.text.tokenizer import BLANK, BOUNDARY, UNKNOWN, CharacterTokenizer


@dataclass(frozen=True)
class Names:
    """Names of the three special tokens in a foreign vocabulary."""

    blank: str = "<pad>"
    """Name of the blank of CTC."""
    unknown: str = "<unk>"
    """Name of the token for unknown characters."""
    boundary: str = "|"
    """Name of the boundary between words."""


def from_symbols(symbols: Sequence[str], names: Names, source: object) -> tuple[CharacterTokenizer, list[int]]:
    """Make a tokenizer of noisewise.

    Letters of a vocabulary that has only lower-case ones become capitals, the form in which transcripts are compared
    and learned here.

    Args:
        symbols: tokens of the outputs of a CTC head, in their order.
        names: the names of special tokens among them.
        source: the file, for errors.

    Returns:
        The tokenizer, and for each of its tokens the output that it was; the blank comes first.

    Raises:
        InteropError: no blank, no boundary between words, or tokens of more than a character.
    """
    for what, name in (("blank", names.blank), ("boundary between words", names.boundary)):
        if name not in symbols:
            raise InteropError(f"`{source}` must hold the {what} '{name}', but does not; only CTC over letters is read")
    blank = list(symbols).index(names.blank)
    order = [blank, *(index for index in range(len(symbols)) if index != blank)]
    special = {names.blank: BLANK, names.unknown: UNKNOWN, names.boundary: BOUNDARY}
    renamed = [special.get(symbols[index], _special(symbols[index])) for index in order]
    long = [symbol for symbol in renamed if len(symbol) != 1 and not (symbol[:1] == "<" and symbol[-1:] == ">")]
    if long or any(symbol.isspace() for symbol in renamed):
        example = (long or [" "])[0]
        raise InteropError(f"`{source}` must hold single letters, but holds {example!r}; only CTC over letters is read")
    return CharacterTokenizer(_capitals(renamed)), order


def from_ids(values: Mapping[str, Any], size: int, source: object) -> list[str]:
    """Tokens in the order of their ids, as many as the head has outputs.

    Args:
        values: token to id, as in `vocab.json`.
        size: outputs of the head. Ids beyond it, of tokens added later, are left out.
        source: the file, for errors.
    """
    wrong = [symbol for symbol, index in values.items() if type(index) is not int or index < 0]
    if wrong:
        raise InteropError(f"`{source}` must map tokens to ids, but maps {wrong[0]!r} to {values[wrong[0]]!r}")
    if len(set(values.values())) != len(values):
        raise InteropError(f"`{source}` must give every token an id of its own, but some share one")
    symbols = [f"<unused {index}>" for index in range(size)]
    for symbol, index in values.items():
        if index < size:
            symbols[index] = symbol
    return symbols


def _special(symbol: str) -> str:
    """`[CLS]` as `<CLS>`: tokens in brackets are no text."""
    return f"<{symbol[1:-1]}>" if len(symbol) > 2 and symbol[0] == "[" and symbol[-1] == "]" else symbol


def _capitals(symbols: list[str]) -> list[str]:
    letters = [symbol for symbol in symbols if len(symbol) == 1]
    if any(letter != letter.lower() for letter in letters):
        return symbols
    capitals = [capital(symbol) if len(symbol) == 1 else symbol for symbol in symbols]
    return capitals if len(set(capitals)) == len(capitals) else symbols
