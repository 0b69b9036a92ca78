"""What the bytes of a file show before it is decoded: its container, and whether its end is missing.

libsndfile reads what is left of a cut-off wav, aiff or ogg file without complaint, hence the checks here.
"""

import os
import struct
from typing import BinaryIO

UNKNOWN_BYTES = 0x7FFF_F000
"""A chunk of this size or more was written to a pipe by a program that could not know the length."""
PAGE_BYTES = 65_307
"""The most that one page of an Ogg file holds."""

MEDIA_STARTS = {
    b"\x1a\x45\xdf\xa3": "matroska",
    b"\x30\x26\xb2\x75": "asf",
    b"#!AMR": "amr",
    b"FLV\x01": "flv",
    b"\xff\xf1": "aac",
    b"\xff\xf9": "aac",
}
"""First bytes of a file to FFmpeg's name of its container, for those that libsndfile cannot read."""


def media_format(head: bytes) -> str | None:
    """FFmpeg's name of the container that begins with `head`, or None for anything else."""
    if head[4:8] == b"ftyp":
        return "mp4"
    return next((name for start, name in MEDIA_STARTS.items() if head.startswith(start)), None)


def missing_bytes(file: BinaryIO) -> int:
    """How many bytes a wav, aiff or ogg file lacks (at least) of what it promises; 0 for other formats."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] in (b"RIFF", b"RIFX", b"FORM"):
        return _missing_of_chunk(file, size, "<" if head[:4] == b"RIFF" else ">")
    return _missing_of_page(file, size) if head[:4] == b"OggS" else 0


def _missing_of_chunk(file: BinaryIO, size: int, order: str) -> int:
    """Walk the chunks of a RIFF or AIFF file to the one that holds the samples."""
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if name in (b"data", b"SSND"):
            return 0 if length >= UNKNOWN_BYTES else max(0, position + 8 + length - size)
        position += 8 + length + length % 2
    return max(0, position - size)


def _missing_of_page(file: BinaryIO, size: int) -> int:
    """What the last page of an Ogg file lacks; a file that was cut off ends within a page."""
    file.seek(max(0, size - 2 * PAGE_BYTES))
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27 or len(tail) < page + 27 + tail[page + 26]:
        return 1
    lacing = tail[page + 27 : page + 27 + tail[page + 26]]
    return max(0, page + 27 + len(lacing) + sum(lacing) - len(tail))
