"""The vocabulary of a language model: words of its training text, or characters; tokens to ids and back."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from noisewise.errors import ModelError
from noisewise.text.tokenizer import BLANK, UNKNOWN, CharacterTokenizer

END = "</s>"
"""Mark at the beginning and the end of every sentence; always id 0, as `<unk>` is id 1."""


class Vocabulary:
    """Tokens and their ids; what is not among them is `<unk>`."""

    FILE = "tokens.txt"
    """Name of the vocabulary's file in a model folder."""

    def __init__(self, tokens: Sequence[str]):
        self.tokens = list(tokens)
        if self.tokens[:2] != [END, UNKNOWN]:
            raise ModelError(f"`tokens` must begin with {END} and {UNKNOWN}, but begins with {self.tokens[:2]}")
        self._ids = {token: index for index, token in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens) or any(token.split() != [token] for token in self.tokens):
            raise ModelError("`tokens` must all differ and hold no space, but do not; write each once, one a line")

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    @classmethod
    def of_words(cls, sentences: Iterable[Sequence[str]], most: int) -> "Vocabulary":
        """The most frequent words of a text, the two marks included; among equals the first in the alphabet."""
        counts = Counter(word for sentence in sentences for word in sentence)
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls([END, UNKNOWN, *ranked[: max(most - 2, 0)]])

    @classmethod
    def of_characters(cls, symbols: Sequence[str] | None = None) -> "Vocabulary":
        """The symbols of a recogniser but for the blank; those of English, whatever the text, when left out."""
        symbols = CharacterTokenizer().symbols if symbols is None else symbols
        return cls([END, UNKNOWN, *(each for each in symbols if each not in (BLANK, UNKNOWN))])

    def encode(self, sentence: Iterable[str]) -> list[int]:
        """Ids of tokens, without the marks."""
        return [self._ids.get(token, 1) for token in sentence]

    def save(self, path: str | Path) -> None:
        """Write one token a line; the line number is the id."""
        Path(path).write_text("".join(token + "\n" for token in self.tokens), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Read what `save` wrote.

        Raises:
            ModelError: there is no such file, or it is no vocabulary.
        """
        if not Path(path).is_file():
            raise ModelError(f"`{path}` must be a file with one token a line, but there is no such file")
        try:
            return cls(Path(path).read_text(encoding="utf-8").splitlines())
        except UnicodeDecodeError as error:
            raise ModelError(f"`{path}` must be UTF-8 text, but is not; save it as UTF-8") from error
