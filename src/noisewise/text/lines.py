"""Lines of text files of any origin: packed or not, with a byte order mark or without, and never without end."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from noisewise.errors import NoisewiseError

LONGEST = 2**20
"""Characters of the longest line that is read unless another bound is given."""
GZIP = b"\x1f\x8b"
"""First bytes of a gzip file, whatever its name."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""First bytes of a text that is not UTF-8, as Windows may save it."""


def read(path: str | Path, error: type[NoisewiseError], longest: int = LONGEST) -> Iterator[str]:
    """The lines of a UTF-8 text file, plain or gzip by its content, without a byte order mark, each with its end.

    Args:
        path: the file.
        error: class of what is raised.
        longest: bound of a line in characters, which also bounds the memory that is used.

    Raises:
        NoisewiseError: of class `error`: no such file, not UTF-8, no whole gzip file, or a line beyond the bound.
    """
    with ExitStack() as opened:
        try:
            raw = opened.enter_context(Path(path).open("rb"))
            start = raw.read(2)
            raw.seek(0)
            if start in UTF_16:
                raise error(f"`{path}` must be UTF-8 text, but is UTF-16 instead; save it as UTF-8")
            unpacked = opened.enter_context(gzip.open(raw)) if start == GZIP else raw
            text = opened.enter_context(io.TextIOWrapper(unpacked, encoding="utf-8-sig"))
            number = 0
            while line := text.readline(longest):
                number += 1
                if len(line) == longest and not line.endswith("\n"):
                    raise error(
                        f"`{path}` must have lines of less than {longest} characters, but line {number} is longer; "
                        "check that it is the right file"
                    )
                yield line
        except UnicodeDecodeError as problem:
            raise error(f"`{path}` must be UTF-8 text, but is not; save it as UTF-8") from problem
        except (gzip.BadGzipFile, zlib.error, EOFError) as problem:
            raise error(f"`{path}` must be a whole gzip file, but is not ({problem}); get it again") from problem
        except OSError as problem:
            raise error(f"`{path}` must be a text file, but cannot be read: {problem.strerror or problem}") from problem
