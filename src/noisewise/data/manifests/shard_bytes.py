"""Recordings that lie inside a larger file, on a disk or in an object store.

An address names the archive, the first byte, the number of bytes, and the recording, whose suffix tells the
format: `shar:s3://bucket/corpus/recording.000003.tar@1536+20480/speaker/utterance.flac`.
"""

import io
import re
from typing import BinaryIO

from noisewise.errors import AudioError

PREFIX = "shar:"
ADDRESS = re.compile(r"shar:(?P<archive>.*?\.tar)@(?P<first>\d+)\+(?P<size>\d+)/.+")


class Fetched(io.BytesIO):
    """The bytes of one recording, with its address as name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def address(archive: str, first: int, size: int, name: str) -> str:
    """The address of `size` bytes from `first` on in an archive."""
    return f"{PREFIX}{archive}@{first}+{size}/{name}"


def is_address(path: str) -> bool:
    """Whether the path of a recording is an address of `read`."""
    return path.startswith(PREFIX)


def fetch(place: str) -> BinaryIO:
    """The bytes of one recording as an open file.

    Raises:
        AudioError: they cannot be had.
    """
    import fsspec  # of the extra `train`; recordings that are files do without

    match = ADDRESS.fullmatch(place)
    if match is None:
        raise AudioError(f"`{place}` must be the address of a recording in a shard, but is not", "missing", place)
    first, size = int(match["first"]), int(match["size"])
    try:
        files, path = fsspec.core.url_to_fs(match["archive"])
        content = files.cat_file(path, start=first, end=first + size)
    except Exception as error:  # every store has errors of its own
        reason = " ".join(f"{type(error).__name__} {error}".split())
        raise AudioError(f"`{place}` must be audio in a shard, but cannot be had: {reason}", "missing", place) from None
    if len(content) < size:
        message = f"`{place}` must be {size} bytes of a shard, but only {len(content)} are there; copy it again"
        raise AudioError(message, "truncated", place)
    return Fetched(content, place)
