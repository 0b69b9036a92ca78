"""Vocabularies from elsewhere as tokenizers of ours: blank first, our names for blank, unknown and boundary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noisewise.errors import InteropError
from noisewise.text.tokenizer import BLANK, BOUNDARY, UNKNOWN, CharacterTokenizer


@dataclass(frozen=True)
class Names:
    """What a vocabulary calls the three symbols that mean something to us."""

    blank: str = "<pad>"
    unknown: str = "<unk>"
    boundary: str = "|"


def from_symbols(symbols: Sequence[str], names: Names, source: object) -> tuple[CharacterTokenizer, list[int]]:
    """A tokenizer of ours.

    Letters of a vocabulary that has only small ones become capitals, the form in which transcripts are compared
    and learned here.

    Args:
        symbols: names of the outputs of a CTC head, in their order.
        names: what the blank, the unknown character and the boundary are called among them.
        source: the file, for errors.

    Returns:
        The tokenizer, and for each of its symbols the output that it was; the blank comes first.

    Raises:
        InteropError: no blank, no boundary between words, or symbols that are more than a character.
    """
    for what, name in (("blank", names.blank), ("boundary between words", names.boundary)):
        if name not in symbols:
            raise InteropError(f"`{source}` must hold the {what} '{name}', but does not; only CTC over letters is read")
    blank = list(symbols).index(names.blank)
    order = [blank, *(index for index in range(len(symbols)) if index != blank)]
    ours = {names.blank: BLANK, names.unknown: UNKNOWN, names.boundary: BOUNDARY}
    renamed = [ours.get(symbols[index], _special(symbols[index])) for index in order]
    long = [symbol for symbol in renamed if len(symbol) != 1 and not (symbol[:1] == "<" and symbol[-1:] == ">")]
    if long or any(symbol.isspace() for symbol in renamed):
        example = (long or [" "])[0]
        raise InteropError(f"`{source}` must hold single letters, but holds {example!r}; only CTC over letters is read")
    return CharacterTokenizer(_capitals(renamed)), order


def from_ids(values: Mapping[str, Any], size: int, source: object) -> list[str]:
    """Symbols in the order of their ids, as many as the head has outputs.

    Args:
        values: symbol to id, as in `vocab.json`.
        size: outputs of the head. Ids beyond it, of symbols added later, are left out.
        source: the file, for errors.
    """
    wrong = [symbol for symbol, index in values.items() if type(index) is not int or index < 0]
    if wrong:
        raise InteropError(f"`{source}` must map symbols to ids, but maps {wrong[0]!r} to {values[wrong[0]]!r}")
    if len(set(values.values())) != len(values):
        raise InteropError(f"`{source}` must give every symbol an id of its own, but some share one")
    symbols = [f"<unused {index}>" for index in range(size)]
    for symbol, index in values.items():
        if index < size:
            symbols[index] = symbol
    return symbols


def _special(symbol: str) -> str:
    """`[CLS]` as `<CLS>`: symbols in brackets are no text."""
    return f"<{symbol[1:-1]}>" if len(symbol) > 2 and symbol[0] == "[" and symbol[-1] == "]" else symbol


def _capitals(symbols: list[str]) -> list[str]:
    letters = [symbol for symbol in symbols if len(symbol) == 1]
    if any(letter != letter.lower() for letter in letters):
        return symbols
    capitals = [symbol.upper() if len(symbol) == 1 and len(symbol.upper()) == 1 else symbol for symbol in symbols]
    return capitals if len(set(capitals)) == len(capitals) else symbols
