"""Text files as sentences of tokens, for language models."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from noisewise.errors import NoisewiseError
from noisewise.text.normalise import normalise
from noisewise.text.tokenizer import BOUNDARY


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
    opened = gzip.open if str(path).endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            yield from file
    except UnicodeDecodeError as error:
        raise NoisewiseError(f"`{path}` must be UTF-8 text, but is not; save it as UTF-8") from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise NoisewiseError(f"`{path}` must be a whole gzip file, but is not ({error}); get it again") from error
