"""Back-off n-gram models from ARPA files, read and asked without a compiler.

S. Katz (1987), "Estimation of Probabilities from Sparse Data for the Language Model Component of a Speech Recognizer":

    P(w | h) = p(h w)                 if the model holds the n-gram h w
             = backoff(h) P(w | h')   else, h' being h without its first word
"""

import math
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from noisewise.errors import DecodingError
from noisewise.lm.protocol import LN_10
from noisewise.text import lines

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
MISSING_LOG10 = -100.0
"""Of unknown words in a model without `<unk>`."""
KENLM_BINARY = b"mmap lm http://kheafield.com/code"
"""First bytes of a binary of KenLM."""
MOST_ORDER = 32
"""Longest n-grams that are read; those of published models are 3 to 6 long, of characters up to 20."""
MOST_SKIPPED = 10_000
"""Lines without content in a row, or before the data, after which a file is no ARPA file."""
COUNT = re.compile("[0-9]{1,12}")
NONE = -1
"""The empty history."""


class NGram:
    """An n-gram model; a state is the number of the longest n-gram of the model that ends the tokens so far.

    N-grams are numbered in the order of the file, unigrams first; a token's number is that of its unigram.
    """

    def __init__(self) -> None:
        self.order = 0
        self.vocabulary: dict[str, int] = {}
        """Token to number."""
        self._children: dict[int, int] = {}  # n-gram * stride + token -> longer n-gram
        self._stride = 1
        self._scores = array("d")  # ln p
        self._backoffs = array("d")  # ln
        self._shorter = array("q")  # the n-gram without its first token, or what the model holds of its end
        self._lengths = array("b")

    @classmethod
    def load(cls, path: str | Path) -> "NGram":
        """Read an ARPA file, also packed by gzip.

        Raises:
            DecodingError: what is wrong with the file, and in which line.
        """
        model = cls()
        if _begins_with(path, KENLM_BINARY):
            raise DecodingError(
                f"`{path}` must be an ARPA file, but is a binary of KenLM instead; read it with lm_backend=kenlm or "
                "flashlight (--lm-backend), or take the ARPA file that it was made from"
            )
        _Reader(model, lines.read(path, DecodingError), str(path)).read()
        return model

    def start(self) -> int:
        """The state at the beginning of a sentence."""
        return self.vocabulary.get(BEGIN, NONE)

    def score(self, state: int, token: str) -> tuple[float, int]:
        """ln P(token | state), and the state after the token."""
        number = self.vocabulary.get(token)
        if number is None:
            number = self.vocabulary.get(UNKNOWN)
            if number is None:
                return MISSING_LOG10 * LN_10 + self._whole_backoff(state), NONE
        children, stride, backoff = self._children, self._stride, 0.0
        while state != NONE:
            longer = children.get(state * stride + number)
            if longer is not None:
                after = self._shorter[longer] if self._lengths[longer] == self.order else longer
                return backoff + self._scores[longer], after
            backoff += self._backoffs[state]
            state = self._shorter[state]
        return backoff + self._scores[number], NONE if self.order == 1 else number

    def end(self, state: int) -> float:
        """ln P(the sentence ends | state)."""
        return self.score(state, END)[0]

    def knows(self, token: str) -> bool:
        """Whether the token is in the vocabulary."""
        return token in self.vocabulary

    def _whole_backoff(self, state: int) -> float:
        backoff = 0.0
        while state != NONE:
            backoff += self._backoffs[state]
            state = self._shorter[state]
        return backoff


class _Reader:
    """The parser of one file; fills a model."""

    def __init__(self, model: NGram, lines: Iterator[str], name: str):
        self.model, self.name, self.number = model, name, 0
        self.lines = lines

    def read(self) -> None:
        """Header, then the n-grams of each order, then the end."""
        line = self._next_text("\\data\\")
        while line != "\\data\\":
            line = self._next_text("\\data\\")  # comments may stand before
            if self.number > MOST_SKIPPED:
                self._refuse("must have begun with \\data\\ by here", line)
        counts = self._counts()
        self.model.order = len(counts)
        self.model._stride = counts[0]
        for order, count in enumerate(counts, start=1):
            self._section(order, count)
        line = self._next_text("\\end\\")
        if line != "\\end\\":
            self._refuse("must be \\end\\", line)

    def _counts(self) -> list[int]:
        counts: list[int] = []
        while (line := self._next_text("\\1-grams:")) != "\\1-grams:":
            head, _, value = line.partition("=")
            if head.split() != ["ngram", str(len(counts) + 1)] or not COUNT.fullmatch(value.strip()):
                self._refuse(f"must be `ngram {len(counts) + 1}=COUNT` or \\1-grams:", line)
            if len(counts) == MOST_ORDER:
                self._refuse(f"must be at most {MOST_ORDER} counts, for n-grams up to that length", line)
            counts.append(int(value))
        if not counts or not counts[0]:
            self._refuse("must follow `ngram 1=COUNT` with a count above 0", "\\1-grams:")
        return counts

    def _section(self, order: int, count: int) -> None:
        if order > 1 and (line := self._next_text(f"\\{order}-grams:")) != f"\\{order}-grams:":
            self._refuse(f"must be \\{order}-grams:, as the header promises", line)
        add = self._unigram if order == 1 else self._longer
        for _ in range(count):
            line = self._next_text(f"{count} {order}-grams")
            fields = line.split()
            if line.startswith("\\") or not order + 1 <= len(fields) <= order + 2:
                self._refuse(f"must be a logarithm, {order} tokens and perhaps a back-off, {count} times", line)
            try:
                score = float(fields[0])
                backoff = float(fields[order + 1]) if len(fields) == order + 2 else 0.0
            except ValueError:
                self._refuse("must begin with a logarithm and may end with one", line)
            if not (score <= 1e-3 and math.isfinite(backoff)):
                self._refuse("must hold a logarithm of a probability (0 or less) and a finite back-off", line)
            add(fields[1 : order + 1], line)
            self.model._scores.append((MISSING_LOG10 if score == -math.inf else score) * LN_10)
            self.model._backoffs.append(backoff * LN_10)
            self.model._lengths.append(order)

    def _unigram(self, tokens: list[str], line: str) -> None:
        vocabulary = self.model.vocabulary
        token = UNKNOWN if tokens[0].lower() == UNKNOWN else tokens[0]
        if token in vocabulary:
            self._refuse("must not repeat a token", line)
        vocabulary[token] = len(vocabulary)
        self.model._shorter.append(NONE)

    def _longer(self, tokens: list[str], line: str) -> None:
        model, children, stride = self.model, self.model._children, self.model._stride
        try:
            numbers = [model.vocabulary[UNKNOWN if token == "<UNK>" else token] for token in tokens]
        except KeyError as error:
            self._refuse(f"must hold tokens of the 1-grams alone, but {error} is none", line)
        history = numbers[0]
        for number in numbers[1:-1]:
            history = children.get(history * stride + number, NONE)
            if history == NONE:
                self._refuse("must come after an n-gram of its first tokens, but there is none", line)
        key = history * stride + numbers[-1]
        if key in children:
            self._refuse("must not repeat an n-gram", line)
        shorter = model._shorter[history]
        while shorter != NONE and shorter * stride + numbers[-1] not in children:
            shorter = model._shorter[shorter]
        children[key] = len(model._scores)
        model._shorter.append(numbers[-1] if shorter == NONE else children[shorter * stride + numbers[-1]])

    def _next_text(self, expected: str) -> str:
        """The next line that is not empty."""
        for skipped, line in enumerate(self.lines):
            self.number += 1
            if line := line.strip():
                return line
            if skipped >= MOST_SKIPPED:
                break
        raise DecodingError(
            f"`{self.name}` must go on with {expected}, but ends after line {self.number}; it is cut short, or no ARPA "
            "file: get it again"
        )

    def _refuse(self, must: str, line: str) -> NoReturn:
        shown = line if len(line) <= 60 else line[:57] + "..."
        raise DecodingError(f"`{self.name}`, line {self.number}: {must}, but is '{shown}' instead")


def _begins_with(path: str | Path, start: bytes) -> bool:
    """Whether a file begins with these bytes; one that cannot be read does not."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(start)) == start
    except OSError:
        return False
