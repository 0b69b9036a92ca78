"""What the bytes of a file say before it is decoded: its container, whether its end is missing, and whether the size
of its samples was never written.

libsndfile reads what is left of a cut-off file of most formats without complaint, hence the checks here. Programs that
write to a pipe or were killed leave sizes of 0 or of all ones; then the samples last to the end of the file.
"""

import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

UNKNOWN_BYTES = 0x7FFF_F000
"""A chunk of this size or more was written to a pipe by a program that could not know the length."""
UNKNOWN_64 = 1 << 62
"""The same for sizes of 64 bits."""
MAX_32 = 0xFFFF_FFFF
MOST_CHUNKS = 10_000
"""Chunks that are looked at before the one of the samples."""

MEDIA_STARTS = {
    b"\x1a\x45\xdf\xa3": "matroska",
    b"\x30\x26\xb2\x75": "asf",
    b"#!AMR": "amr",
    b"FLV\x01": "flv",
    b"\xff\xf1": "aac",
    b"\xff\xf9": "aac",
}
"""First bytes of a file to FFmpeg's name of its container, for those that libsndfile cannot read."""
FALLBACKS = {
    b"RIFF": "wav",
    b"RF64": "wav",
    b"BW64": "wav",
    b"OggS": "ogg",
    b"caff": "caf",
    b"FORM": "aiff",
    b".snd": "au",
    b"riff": "w64",
    b"fLaC": "flac",
}
"""The same for containers that libsndfile can read, with a coding in them that it may not know."""
W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
AMR_BYTES = {
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1),
}
"""Bytes of a frame of AMR by its mode (RFC 4867, section 5)."""


@dataclass(frozen=True)
class Extent:
    """How much a file promises, and how much is there."""

    missing: int = 0
    """Bytes that the file lacks, at least."""
    patches: tuple[tuple[int, bytes], ...] = ()
    """Position and bytes of sizes that must be mended before the file can be decoded."""


def media_format(head: bytes) -> str | None:
    """FFmpeg's name of the container that begins with `head`, or None for anything else."""
    if head[4:8] == b"ftyp":
        return "mp4"
    return next((name for start, name in MEDIA_STARTS.items() if head.startswith(start)), None)


def extent(file: BinaryIO) -> Extent:
    """Compare what the headers of a file promise with its length; formats without a length promise nothing.

    Ogg and mp3 have files of their own, `ogg.py` and `mpeg.py`.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    for start, check in _CHECKS.items():
        if head.startswith(start):
            return check(file, size)
    return _of_mp4(file, size) if head[4:8] == b"ftyp" else Extent()


def _of_riff(file: BinaryIO, size: int) -> Extent:
    return _of_chunks(file, size, "<", (b"data",))


def _of_big_endian(file: BinaryIO, size: int) -> Extent:
    return _of_chunks(file, size, ">", (b"data", b"SSND", b"BODY"))


def _of_chunks(file: BinaryIO, size: int, order: str, names: tuple[bytes, ...]) -> Extent:
    """Walk the chunks of a RIFF or AIFF file to the one that holds the samples."""
    position = 12
    long_sizes = 0
    for _ in range(MOST_CHUNKS):
        if position + 8 > size:
            break
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        body = position + 8
        if name == b"ds64" and size >= body + 16:
            long_sizes = body + 8
        if name in names:
            if long_sizes and length >= UNKNOWN_BYTES:
                file.seek(long_sizes)
                return _of_samples(file, size, body, int.from_bytes(file.read(8), "little"), long_sizes, "<Q")
            return _of_samples(file, size, body, length, position + 4, f"{order}I")
        position = body + length + length % 2
    return Extent(max(0, position - size))


def _of_samples(file: BinaryIO, size: int, body: int, length: int, field: int, kind: str, extra: int = 0) -> Extent:
    """Compare the length of the samples that begin at `body` with what is there.

    Args:
        file: the file.
        size: its bytes.
        body: where the samples begin.
        length: their bytes by the header.
        field: where that stands.
        kind: how it is written, for `struct`.
        extra: bytes that it counts besides the samples.
    """
    rest, width = max(0, size - body), struct.calcsize(kind)
    unknown = length >= (UNKNOWN_BYTES if width == 4 else UNKNOWN_64)
    never_written = length <= extra and rest > 0 and not _is_chunk(file, body, size)
    if never_written or (unknown and width == 8):  # libsndfile knows all ones of 32 bits alone
        return Extent(0, ((field, struct.pack(kind, min(rest + extra, (1 << 8 * width) - 1))),))
    return Extent(0 if unknown else max(0, length - extra - rest))


def _is_chunk(file: BinaryIO, position: int, size: int) -> bool:
    """Whether a chunk with a name begins here and ends in the file, rather than samples."""
    file.seek(position)
    head = file.read(8)
    lengths = (int.from_bytes(head[4:], "little"), int.from_bytes(head[4:], "big"))
    return len(head) == 8 and re.fullmatch(rb"[ -~]{4}", head[:4]) is not None and position + 8 + min(lengths) <= size


def _of_w64(file: BinaryIO, size: int) -> Extent:
    """Chunks with 16 bytes of name and 8 of a size that counts the head too."""
    position = 40
    for _ in range(MOST_CHUNKS):
        if position + 24 > size:
            break
        file.seek(position)
        name, length = struct.unpack("<16sQ", file.read(24))
        if name == W64_DATA:
            return _of_samples(file, size, position + 24, length, position + 16, "<Q", extra=24)
        position += max(24, (length + 7) // 8 * 8)
    return Extent(max(0, position - size))


def _of_au(file: BinaryIO, size: int) -> Extent:
    file.seek(0)
    order = ">" if file.read(4) == b".snd" else "<"
    head = file.read(8)
    if len(head) < 8:
        return Extent(1)
    body, length = struct.unpack(f"{order}II", head)
    return _of_samples(file, size, body, length, 8, f"{order}I")


def _of_caf(file: BinaryIO, size: int) -> Extent:
    """The size of the samples may be -1; one that is too large must be mended, or libsndfile refuses the file."""
    position = 8
    for _ in range(MOST_CHUNKS):
        if position + 12 > size:
            break
        file.seek(position)
        name, length = struct.unpack(">4sq", file.read(12))
        body = position + 12
        rest = size - body
        if name == b"data":
            unknown = length < 0 or (length <= 4 < rest and not _is_chunk(file, body + 4, size))
            patches = ((position + 4, struct.pack(">q", rest)),) if unknown or length > rest else ()
            return Extent(0 if unknown else max(0, length - rest), patches)
        position = body + max(0, length)
    return Extent(max(0, position - size))


def _of_nist(file: BinaryIO, size: int) -> Extent:
    """The header of a Sphere file is text: `sample_count -i 16000` and so on."""
    file.seek(0)
    text = file.read(1024)
    values = {key: int(value) for key, value in re.findall(rb"(\w+) -(?:i|s\d+) (\d{1,15})\s", text)}
    wanted = (b"sample_count", b"sample_n_bytes", b"channel_count")
    start = re.match(rb"NIST_1A\s+(\d{1,9})", text)
    if start is None or not all(name in values for name in wanted):
        return Extent()
    promised = values[wanted[0]] * values[wanted[1]] * values[wanted[2]]
    coded = re.search(rb"sample_coding -s\d+ \S*(embedded|shorten)", text)
    return Extent() if coded else Extent(max(0, int(start[1]) + promised - size))


def _of_avr(file: BinaryIO, size: int) -> Extent:
    file.seek(0)
    head = file.read(128)
    if len(head) < 128:
        return Extent(128 - len(head))
    channels = 2 if head[12:14] != b"\0\0" else 1
    bits, frames = int.from_bytes(head[14:16], "big"), int.from_bytes(head[26:30], "big")
    return Extent(max(0, 128 + frames * channels * (bits // 8) - size))


def _of_voc(file: BinaryIO, size: int) -> Extent:
    """Blocks with one byte of kind and three of size, up to one of kind 0."""
    file.seek(20)
    position = int.from_bytes(file.read(2), "little")
    for _ in range(MOST_CHUNKS):
        file.seek(position)
        head = file.read(4)
        if head[:1] == b"\0" or len(head) < 4:
            break
        position += 4 + int.from_bytes(head[1:], "little")
    return Extent(max(0, position - size))


def _of_mp4(file: BinaryIO, size: int) -> Extent:
    """Boxes with four bytes of size and four of name; size 0 lasts to the end, 1 has eight more bytes."""
    position = 0
    for _ in range(MOST_CHUNKS):
        if position + 8 > size:
            break
        file.seek(position)
        length = int.from_bytes(file.read(4), "big")
        if length == 1:
            file.seek(position + 8)
            length = int.from_bytes(file.read(8), "big")
        if length < 8:
            return Extent()
        position += length
    return Extent(max(0, position - size))


def _of_matroska(file: BinaryIO, size: int) -> Extent:
    """The head and the segment; a segment whose size is all ones (a live recording) lasts to the end."""
    position = 0
    for _ in range(2):
        file.seek(position)
        head = file.read(12)
        if len(head) < 12 or not head[0] or not head[4]:
            return Extent()
        width = 9 - head[4].bit_length()
        length = int.from_bytes(head[4 : 4 + width], "big") & (1 << 7 * width) - 1
        if length == (1 << 7 * width) - 1:
            return Extent()
        position += 4 + width + length
    return Extent(max(0, position - size))


def _of_adts(file: BinaryIO, size: int) -> Extent:
    """Frames of bare AAC, each with its size."""
    return _of_frames(file, size, 0, 7, lambda head: (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5)


def _of_amr(file: BinaryIO, size: int) -> Extent:
    """Frames of AMR, whose modes have fixed sizes."""
    file.seek(0)
    head = file.read(9)
    magic = next((magic for magic in AMR_BYTES if head.startswith(magic)), None)
    if magic is None:
        return Extent()
    return _of_frames(file, size, len(magic), 1, lambda byte: AMR_BYTES[magic][byte[0] >> 3 & 15])


def _of_frames(file: BinaryIO, size: int, position: int, head: int, length: Callable[[bytes], int]) -> Extent:
    """What the last of frames lacks, each of which says its bytes in its head."""
    window, start = b"", 0
    while position + head <= size:
        inside = position - start
        if inside + head > len(window):
            file.seek(position)
            window, start, inside = file.read(1 << 20), position, 0
        found = length(window[inside : inside + head])
        if found < head:
            return Extent()
        position += found
    return Extent(max(0, position - size))


_CHECKS: dict[bytes, Callable[[BinaryIO, int], Extent]] = {
    b"RIFF": _of_riff,
    b"RF64": _of_riff,
    b"BW64": _of_riff,
    b"RIFX": _of_big_endian,
    b"FORM": _of_big_endian,
    b"riff": _of_w64,
    b".snd": _of_au,
    b"dns.": _of_au,
    b"caff": _of_caf,
    b"NIST": _of_nist,
    b"2BIT": _of_avr,
    b"Creative Voice"[:12]: _of_voc,
    b"\x1a\x45\xdf\xa3": _of_matroska,
    b"\xff\xf1": _of_adts,
    b"\xff\xf9": _of_adts,
    b"#!AMR": _of_amr,
}
