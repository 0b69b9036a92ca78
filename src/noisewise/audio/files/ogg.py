"""The pages of an Ogg file: the recordings chained in it, gaps in their time stamps, and whether its end is there.

libsndfile reads the first recording of a chain and ignores gaps, so each stretch without a gap is given to it as a
file of its own: the pages of the headers, then those of the stretch.

Source: RFC 3533 (pages and chains), RFC 7845 and 6716 section 3.1 (Opus), Vorbis I specification section 4.2.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from noisewise.audio.files.pieces import Piece
from noisewise.audio.files.protocol import GAP_SECONDS, LATEST_START_SECONDS, LONGEST_GAP_SECONDS

HEAD_BYTES = 27
CONTINUED, FIRST, LAST = 1, 2, 4
"""Flags of a page."""
OPUS_RATE = 48_000
"""Clock of Opus, whatever the rate of what was recorded."""
MOST_STRETCHES = 256
"""More than these are refused, because each takes a decoder of its own."""


@dataclass
class Page:
    """One page."""

    start: int
    end: int
    flags: int
    clock: int
    """Samples up to its end (the granule position); -1 when no packet ends in it."""
    serial: int
    packets: list[bytes]
    """First bytes of the packets that begin in it."""
    ended: int
    """Packets that end in it."""


@dataclass
class Stretch:
    """A part of a recording without a gap."""

    headers: list[tuple[int, int]]
    """Where the pages of the headers are."""
    gap_seconds: float = 0.0
    """Silence before it, by the time stamps."""
    is_shifted: bool = False
    """Its time stamps do not begin at 0, which libsndfile cannot seek in."""
    ranges: list[tuple[int, int]] = field(default_factory=list)

    def pieces(self) -> list[Piece]:
        """The stretch as a file, for `Pieces`."""
        return [*self.headers, *self.ranges]


@dataclass
class Chain:
    """All that the pages of a file say."""

    stretches: list[Stretch]
    is_plain: bool
    """One recording without gaps: the file can be read as it is."""
    missing: bool
    """The last page is not whole, or the stream has no end."""


def read_chain(file: BinaryIO) -> Chain:
    """Read all pages of an Ogg file (their headers, and the first bytes of packets)."""
    size = file.seek(0, os.SEEK_END)
    walk = _Chain()
    end = 0
    for page in _pages(file, size):
        walk.add(page)
        end = page.end
    stretches = [stretch for stretch in walk.stretches if stretch.ranges]
    plain = len(stretches) == 1 and not stretches[0].is_shifted and end == size
    return Chain(stretches, plain, end < size or not walk.has_ended)


class _Chain:
    """Puts pages into stretches."""

    def __init__(self) -> None:
        self.stretches: list[Stretch] = []
        self.has_ended = False
        self._begins = False
        self._audio: dict[int, _Clock] = {}
        """Streams of sound of the present recording."""

    def add(self, page: Page) -> None:
        if page.flags & FIRST:
            if not self._begins:  # streams begin together, so this is the next recording of a chain
                self._audio = {}
                self.stretches.append(Stretch([]))
            self._begins = True
            self.stretches[-1].headers.append((page.start, page.end))
            clock = _Clock.of(page.packets[0] if page.packets else b"")
            if clock is not None:
                self._audio[page.serial] = clock
                self.has_ended = False
            return
        self._begins = False
        if not self.stretches:
            return
        clock = self._audio.get(page.serial)
        if clock is not None and clock.is_header(page):
            self.stretches[-1].headers.append((page.start, page.end))
            return
        if clock is not None:
            gap, longest = clock.gap(page)
            if gap > GAP_SECONDS:
                self._begin_stretch(gap if gap <= longest else 0.0)
            self.has_ended = self.has_ended or bool(page.flags & LAST)
        elif not self._audio:
            self.has_ended = self.has_ended or bool(page.flags & LAST)
        _extend(self.stretches[-1].ranges, page.start, page.end)

    def _begin_stretch(self, gap: float) -> None:
        present = self.stretches[-1]
        if not present.ranges:
            present.gap_seconds, present.is_shifted = gap, True
        else:
            self.stretches.append(Stretch(present.headers, gap, True))


class _Clock:
    """Time in a stream of sound: how far it must be by its packets, and how far it is by its pages."""

    def __init__(self, rate: int, headers: int, longest: int):
        self._rate, self._headers, self._longest = rate, headers, longest
        self._last = 0
        self._is_begun = False
        self._most = 0
        """Samples that the packets since the last clock can hold at most."""

    @classmethod
    def of(cls, head: bytes) -> "_Clock | None":
        """The clock of a stream by its first packet; None for anything but Vorbis and Opus."""
        if head.startswith(b"\x01vorbis") and len(head) >= 29:
            rate: int = struct.unpack_from("<I", head, 12)[0]
            return cls(rate, 2, 1 << (head[28] >> 4) >> 1) if rate else None
        return cls(OPUS_RATE, 1, 0) if head.startswith(b"OpusHead") else None

    def is_header(self, page: Page) -> bool:
        """Whether the page belongs to the headers that come behind the first."""
        if self._headers <= 0:
            return False
        self._headers -= page.ended
        return True

    def gap(self, page: Page) -> tuple[float, float]:
        """Seconds that are missing before the page, and how many may be: more come from another clock."""
        self._most += page.ended * self._longest if self._longest else sum(map(_opus_samples, page.packets))
        longest = LONGEST_GAP_SECONDS if self._is_begun else LATEST_START_SECONDS
        if page.clock < 0:
            return 0.0, longest
        gap = (page.clock - self._last - self._most) / self._rate
        self._last, self._most, self._is_begun = page.clock, 0, True
        return gap, longest


def _pages(file: BinaryIO, size: int) -> Iterator[Page]:
    """The whole pages of a file, up to the first place where none begins."""
    position = 0
    while position + HEAD_BYTES <= size:
        file.seek(position)
        head = file.read(HEAD_BYTES)
        if head[:4] != b"OggS":
            return
        lacing = file.read(head[26])
        length = sum(lacing)
        end = position + HEAD_BYTES + len(lacing) + length
        if len(lacing) < head[26] or end > size:
            return
        clock, serial = struct.unpack_from("<qI", head, 6)
        body = file.read(length)
        yield Page(position, end, head[5], clock, serial, *_packets(body, lacing, bool(head[5] & CONTINUED)))
        position = end


def _packets(body: bytes, lacing: bytes, is_continued: bool) -> tuple[list[bytes], int]:
    """First bytes of the packets that begin in a page, and how many end in it."""
    found: list[bytes] = []
    start = position = ended = 0
    for value in lacing:
        position += value
        if value < 255:
            if ended or not is_continued:
                found.append(body[start : min(position, start + 30)])
            start, ended = position, ended + 1
    if start < position and (ended or not is_continued):
        found.append(body[start : min(position, start + 30)])
    return found, ended


def _opus_samples(packet: bytes) -> int:
    """Samples (at 48 kHz) of a packet of Opus."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config % 4]
    elif config < 16:
        frame = (480, 960)[config % 2]
    else:
        frame = (120, 240, 480, 960)[config % 4]
    frames = 1 if code == 0 else 2 if code < 3 else (packet[1] & 63 if len(packet) > 1 else 0)
    return frame * frames


def _extend(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    if ranges and ranges[-1][1] == start:
        ranges[-1] = (ranges[-1][0], end)
    else:
        ranges.append((start, end))
