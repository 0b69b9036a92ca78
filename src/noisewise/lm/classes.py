"""N-grams over classes of words: text in which any digit may stand for any other needs far fewer examples.

P. Brown et al. (1992), "Class-Based n-gram Models of Natural Language", equation (2), each word in one class at most,
and all words of a class alike:

    P(w | h) = P(c(w) | c(h)) / |c(w)|
"""

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from noisewise.errors import DecodingError
from noisewise.lm.protocol import LanguageModel
from noisewise.text import lines
from noisewise.text.normalise import ENGLISH, Normaliser


def read(path: str | Path, normaliser: Normaliser = ENGLISH) -> dict[str, str]:
    """Words to their classes, from lines of a name and the words of that class; names become `<name>`.

    Raises:
        DecodingError: what is wrong with the file.
    """
    if not Path(path).is_file():
        raise DecodingError(f"`{path}` must list classes of words, but there is no such file; check the path")
    found: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines.read(path, DecodingError)), start=1):
        name, *words = line.split()[:1] + normaliser(line.partition(" ")[2]).split() if line.split() else [""]
        if name and not words:
            raise DecodingError(f"`{path}` line {number} must be a name and words, but is '{line}'; add words")
        for word in words:
            if found.setdefault(word, f"<{name}>") != f"<{name}>":
                raise DecodingError(
                    f"`{path}` must have each word in one class, but {word} is in {found[word]} and <{name}>; "
                    "take it out of one"
                )
    if not found:
        raise DecodingError(f"`{path}` must list classes of words, but lists none; write `DIGIT ONE TWO THREE`")
    return found


def named(sentences: Iterable[list[str]], classes: Mapping[str, str]) -> Iterator[list[str]]:
    """Sentences with classes instead of their words, which is what the model of the classes learns from."""
    for sentence in sentences:
        yield [classes.get(word, word) for word in sentence]


class ClassModel:
    """A model over words by means of one over classes.

    Args:
        model: over classes, and the words that are in none.
        classes: word to class.
    """

    def __init__(self, model: LanguageModel, classes: Mapping[str, str]):
        self.model, self.classes = model, dict(classes)
        sizes: dict[str, int] = {}
        for name in self.classes.values():
            sizes[name] = sizes.get(name, 0) + 1
        self._shares = {name: -math.log(size) for name, size in sizes.items()}

    def start(self) -> Hashable:
        """The state at the beginning of a sentence."""
        return self.model.start()

    def score(self, state: Any, token: str) -> tuple[float, Hashable]:
        """ln P(word | state), and the state after the word."""
        name = self.classes.get(token, token)
        score, after = self.model.score(state, name)
        return score + self._shares.get(name, 0.0), after

    def end(self, state: Any) -> float:
        """ln P(the sentence ends | state)."""
        return self.model.end(state)

    def knows(self, token: str) -> bool:
        """Whether the word, or its class, is in the vocabulary."""
        return self.model.knows(self.classes.get(token, token))
