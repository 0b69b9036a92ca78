"""Text files as sentences of tokens, for language models."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from noisewise.errors import NoisewiseError
from noisewise.text import lines
from noisewise.text.normalise import ENGLISH, Normaliser, said
from noisewise.text.tokenizer import BOUNDARY

logger = logging.getLogger(__name__)

LONGEST = 2**26
"""Characters of the longest line; a text may be one line."""

LOOKED_AT = 10_000
"""Number of lines of a file of which it is counted what the normaliser removes."""


def read(
    paths: Iterable[str | Path], characters: bool = False, normaliser: Normaliser = ENGLISH
) -> Iterator[list[str]]:
    """Normalised sentences of text files (also .gz), one a line; lines without words are left out.

    What the normaliser removes from the first lines of a file is said as a warning.

    Args:
        paths: the files.
        characters: letters with `|` between words instead of words.
        normaliser: form of the sentences.

    Raises:
        NoisewiseError: a file that is not there or is not text, or has words but none that the normaliser leaves.
    """
    for path in paths:
        kept, example, lost = False, "", Counter[str]()
        for number, line in enumerate(_lines(path), start=1):
            if number <= LOOKED_AT:
                lost.update(normaliser.lost(line))
            if text := normaliser(line):
                kept = True
                yield list(text.replace(" ", BOUNDARY)) if characters else text.split()
            elif not kept and not example:
                example = line.strip()[:80]
        if example and not kept:
            raise NoisewiseError(
                f"`{path}` must keep a word under the normaliser {normaliser.name}, but keeps none, as of {example!r}; "
                "choose another, such as unicode"
            )
        if lost:
            logger.warning("%s: removed by the normaliser %s: %s", path, normaliser.name, said(lost))


def _lines(path: str | Path) -> Iterator[str]:
    if not Path(path).is_file():
        raise NoisewiseError(f"`{path}` must be a text file, but there is no such file; check the path")
    yield from lines.read(path, NoisewiseError, LONGEST)
