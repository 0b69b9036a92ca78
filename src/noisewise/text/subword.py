"""Subwords by byte-pair encoding: frequent letter sequences as symbols of their own.

R. Sennrich, B. Haddow, A. Birch (2016), "Neural Machine Translation of Rare Words with Subword Units", algorithm 1:
begin with letters, and again and again make the most frequent pair of neighbours one symbol. Pairs within a word alone
are joined; `|` stands before each word and may be joined to what follows it, so that a symbol such as `|TH` marks
the beginning of a word, and a word ends where the next one begins.

Learning is done by the library `tokenizers`; encoding with what was learned needs nothing.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from string import ascii_uppercase
from typing import Annotated, Any, Literal

from noisewise.config import config, one_of
from noisewise.errors import ModelError, install_line
from noisewise.files import read_json
from noisewise.text.normalise import NormaliserName, letters_of, said
from noisewise.text.tokenizer import BLANK, BOUNDARY, UNKNOWN, CharacterTokenizer, Tokenizer

LETTERS = (BOUNDARY, "'", *ascii_uppercase)
"""Symbols of every vocabulary of subwords."""
FORMAT = "noisewise-subwords-1"
REMEMBERED = 65_536
"""Number of words whose encoding is kept."""
Letters = Literal["english", "text", "model"]
"""Where the letters of a vocabulary come from."""


@config
class CharacterConfig:
    """Tokens are letters."""

    kind: Literal["characters"] = "characters"
    letters: Letters = "english"
    """Where the letters come from: A to Z and the apostrophe, the transcripts of `train`, or the model of
    `start_from`."""
    normaliser: NormaliserName | None = None
    """Form of transcripts; null: english, unicode for letters of the text, or what fits the letters of the model."""
    most: int = 512
    """Greatest number of letters of the text; more are an error, for a text of words such as Chinese has thousands."""


@config
class SubwordConfig:
    """Tokens are subwords learned by byte-pair encoding."""

    kind: Literal["bpe"] = "bpe"
    size: int = 256
    """Number of symbols, the blank and the letters included."""
    least: int = 2
    """Least number of occurrences in the transcripts for a pair of symbols to become one."""
    source: str | None = None
    """Model folder whose subwords are taken; they are learned from the transcripts when absent."""
    letters: Literal["english", "text"] = "english"
    """Letters that subwords are made of: A to Z and the apostrophe, or those of the transcripts."""
    normaliser: NormaliserName | None = None
    """Form of transcripts; null: english, or unicode for letters of the text, or what fits the subwords of `source`."""


TokenizerConfig = Annotated[CharacterConfig | SubwordConfig, one_of("kind")]


class Pieces(CharacterTokenizer):
    """Subwords without their marks, `|` between words: the tokens of language models, lexicons and hotwords."""

    def __init__(self, subwords: "SubwordTokenizer"):
        super().__init__([*dict.fromkeys(symbol.removeprefix(BOUNDARY) or BOUNDARY for symbol in subwords.symbols)])
        self.subwords = subwords
        self.of = [self._ids[symbol.removeprefix(BOUNDARY) or BOUNDARY] for symbol in subwords.symbols]
        """The piece of each subword."""

    def encode(self, text: str) -> list[int]:
        """Ids of a normalised text; words are joined by `|`."""
        found: list[int] = []
        for word in text.split():
            pieces = [self.of[each] for each in self.subwords.encode(word)]
            found += [self.boundary] * bool(found) + [each for each in pieces if each != self.boundary]
        return found


class SubwordTokenizer:
    """Subwords with `|` at the beginning of words.

    Args:
        symbols: the blank first, then the others; each merge makes one of them of two.
        merges: pairs in the order in which they are joined.
    """

    FILE = "tokens.json"

    def __init__(self, symbols: Sequence[str], merges: Sequence[Sequence[str]]):
        letters = CharacterTokenizer(symbols)  # checks the symbols
        self.symbols, self.begins = letters.symbols, letters.begins
        self.blank, self.unknown, self.boundary = letters.blank, letters.unknown, letters.boundary
        self.merges = [(one, other) for one, other in merges]
        self.decode = letters.decode
        self._ids = {symbol: index for index, symbol in enumerate(self.symbols)}
        self._ranks = {pair: rank for rank, pair in reversed([*enumerate(self.merges)])}
        strange = [one + other for one, other in self.merges if not {one, other, one + other} <= self._ids.keys()]
        if strange:
            raise ModelError(f"`merges` must join symbols to symbols, but '{strange[0]}' is none; learn them again")
        self._word = lru_cache(maxsize=REMEMBERED)(self._encode_word)

    @cached_property
    def pieces(self) -> Pieces:
        """The same without marks."""
        return Pieces(self)

    def __len__(self) -> int:
        return len(self.symbols)

    def __reduce__(self) -> tuple[type, tuple[list[str], list[tuple[str, str]]]]:
        return type(self), (self.symbols, self.merges)

    def encode(self, text: str) -> list[int]:
        """Ids of a normalised text; unknown characters become `<unk>`."""
        return [index for word in text.split() for index in self._word(word)]

    def _encode_word(self, word: str) -> tuple[int, ...]:
        parts = [BOUNDARY, *word]
        while len(parts) > 1:
            pairs = [(self._ranks.get(pair, len(self._ranks)), pair) for pair in pairwise(parts)]
            rank, chosen = min(pairs)
            if rank == len(self._ranks):
                break
            parts = _joined(parts, chosen)
        found = (self._ids.get(part, self.unknown) for part in parts)
        return tuple(index for index in found if index is not None)

    def save(self, path: str | Path) -> None:
        """Write symbols and merges as JSON."""
        values = {"format": FORMAT, "symbols": self.symbols, "merges": self.merges}
        Path(path).write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "SubwordTokenizer":
        """Read what `save` wrote."""
        try:
            values = read_json(Path(path))
            if values["format"] != FORMAT:
                raise ModelError(f"`{path}` must be of format {FORMAT}, but is of {values['format']} instead")
            return cls(values["symbols"], values["merges"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"`{path}` must hold symbols and merges, but does not: {error}") from error


def letters_tokenizer(texts: Iterable[str], most: int) -> CharacterTokenizer:
    """Letters of normalised texts, in the order of Unicode; the same from the same texts, in any order.

    Raises:
        ModelError: there are more than `most`.
    """
    counts = letters_of(texts)
    counts.pop(BOUNDARY, None)
    if len(counts) > most:
        rare = said(Counter(dict(counts.most_common()[most:])))
        raise ModelError(
            f"`tokenizer.most` must be at least the letters of the text, {len(counts)}, but is {most} instead; raise "
            f"it, choose another normaliser, or take out what is rare: {rare}"
        )
    return CharacterTokenizer((BLANK, UNKNOWN, BOUNDARY, *sorted(counts)))


def learn(texts: Iterable[str], size: int, *, least: int = 2, letters: Sequence[str] = LETTERS) -> SubwordTokenizer:
    """Learn subwords from normalised texts; the same from the same texts, in any order.

    Args:
        texts: transcripts that are trained on, and no others.
        size: symbols in the end, the blank included.
        least: a pair must occur so often to be joined.
        letters: of the texts, the boundary first.

    Raises:
        ModelError: the texts are too few for so many symbols, or there are fewer than letters.
    """
    fewest = len(letters) + 2
    if size < fewest:
        raise ModelError(f"`size` must be {fewest} (the letters) or more, but is {size} instead")
    library = _library()
    tokenizer = library.Tokenizer(library.models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = library.pre_tokenizers.WhitespaceSplit()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size, min_frequency=least, special_tokens=[BLANK, UNKNOWN], initial_alphabet=list(letters),
        limit_alphabet=len(letters), show_progress=False,
    )  # fmt: skip
    marked = (" ".join(BOUNDARY + word for word in text.split()) for text in texts)
    tokenizer.train_from_iterator(marked, trainer)
    merges = [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    symbols = list(dict.fromkeys((BLANK, UNKNOWN, *letters, *(one + other for one, other in merges))))
    if len(symbols) != size:
        raise ModelError(
            f"`size` must be at most {len(symbols)} for these texts, but is {size} instead: no further pair of symbols "
            f"occurs {least} times; take fewer, or more texts"
        )
    return SubwordTokenizer(symbols, merges)


def is_in(folder: str | Path) -> bool:
    """Whether a model folder holds a tokenizer."""
    return any((Path(folder) / kind.FILE).is_file() for kind in (CharacterTokenizer, SubwordTokenizer))


def load(folder: str | Path) -> Tokenizer:
    """The tokenizer of a model folder.

    Raises:
        ModelError: there is none that can be used.
    """
    path = Path(folder) / SubwordTokenizer.FILE
    return (
        SubwordTokenizer.load(path)
        if path.is_file()
        else CharacterTokenizer.load(Path(folder) / CharacterTokenizer.FILE)
    )


def _joined(parts: Sequence[str], pair: tuple[str, str]) -> list[str]:
    """Neighbours that are the pair as one, from the left."""
    found: list[str] = []
    at = 0
    while at < len(parts):
        is_pair = tuple(parts[at : at + 2]) == pair
        found.append("".join(pair) if is_pair else parts[at])
        at += 2 if is_pair else 1
    return found


def _library() -> Any:
    try:
        return import_module("tokenizers")
    except ImportError as error:
        raise ModelError(
            f"`tokenizers` must be installed to learn subwords, but is not; {install_line('train')}"
        ) from error
