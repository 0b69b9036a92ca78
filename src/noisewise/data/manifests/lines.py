"""Lines of text files, with one budget for all: what reads a manifest, a table or a transcript reads it here.

A line ends at a line feed alone. Other characters that Python's `str.splitlines` parts at (vertical tab, U+2028, ...)
are white space inside a text, as RFC 4180 and JSON have it.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from noisewise.errors import DataError

MAX_LINE_BYTES = 1 << 22
"""Bytes in a line at most, with the blank lines before it: a small compressed file can hold an endless one."""
BREAKS = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
"""Characters that some programs take for the end of a line."""
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def byte_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line, bytes with the line break) of a file, of a `.gz` unpacked; lines without content are passed over.

    Raises:
        DataError: the file cannot be read or unpacked, or a line is longer than `MAX_LINE_BYTES`.
    """
    used = number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES - used + 1):
                number += 1
                used += len(line)
                if used > MAX_LINE_BYTES:
                    raise DataError(
                        f"`{path}`, line {number}: must have at most {MAX_LINE_BYTES} bytes, but has more; part it "
                        "into lines, or name the right file"
                    )
                if line.strip():
                    yield number, line
                    used = 0
    except (OSError, EOFError, zlib.error, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"`{path}` must be lines of text, but cannot be read: {error}; make it again") from error


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text with the line break) of a UTF-8 file, without a byte order mark and without blank lines.

    Raises:
        DataError: as `byte_lines`, or a line is not UTF-8 (the message names the line and a likely encoding).
    """
    for number, content in byte_lines(path):
        yield number, _decoded(path, number, content)


def text_of_file(path: Path) -> str:
    """All text of a small file as one line, single spaces where lines end.

    Raises:
        DataError: as `lines`, or it is larger than a line may be.
    """
    if path.stat().st_size > MAX_LINE_BYTES:
        raise DataError(f"`{path}` must be a transcript of at most {MAX_LINE_BYTES} bytes, but is larger; remove it")
    return " ".join(one_line(line).strip() for _, line in lines(path))


def one_line(text: str) -> str:
    """A text with one space in the place of line breaks, and U+FFFD in that of lone surrogates, which no file holds."""
    return re.sub(r"[\ud800-\udfff]", "\ufffd", BREAKS.sub(" ", text))


def _decoded(path: Path, number: int, content: bytes) -> str:
    where = f"`{path}`, line {number}:"
    if number == 1 and content.startswith(UTF16):
        raise DataError(f"{where} must be UTF-8, but begins as UTF-16; {_converted(path, 'utf-16')}")
    if b"\0" in content:
        raise DataError(f"{where} must be text, but holds a NUL byte; it is no text, or UTF-16: save it as UTF-8")
    try:
        return content.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        wrong = f"{where} must be UTF-8, but byte {content[error.start]:#04x} is not"
        try:
            content.decode("cp1252")
        except UnicodeDecodeError:
            raise DataError(f"{wrong}; save it as UTF-8") from None
        raise DataError(f"{wrong}; it may be Windows-1252: {_converted(path, 'cp1252')}") from None


def _converted(path: Path, encoding: str) -> str:
    return f"save it as UTF-8 (`iconv -f {encoding} -t utf-8 {path.name}`)"
