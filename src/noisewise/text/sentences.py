"""Text files as sentences of tokens, for language models."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from noisewise.errors import NoisewiseError
from noisewise.text import lines
from noisewise.text.normalise import normalise
from noisewise.text.tokenizer import BOUNDARY

LONGEST = 2**26
"""Characters of the longest line; a text may be one line."""


def read(paths: Iterable[str | Path], characters: bool = False) -> Iterator[list[str]]:
    """Normalised sentences of text files (also .gz), one a line; lines without words are left out.

    Args:
        paths: the files.
        characters: letters with `|` between words instead of words.

    Raises:
        NoisewiseError: a file that is not there or is not text.
    """
    for path in paths:
        for line in _lines(path):
            if text := normalise(line):
                yield list(text.replace(" ", BOUNDARY)) if characters else text.split()


def _lines(path: str | Path) -> Iterator[str]:
    if not Path(path).is_file():
        raise NoisewiseError(f"`{path}` must be a text file, but there is no such file; check the path")
    yield from lines.read(path, NoisewiseError, LONGEST)
