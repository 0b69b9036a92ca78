"""The frames of an mp3: how many there are, whatever its headers promise, and where another mp3 was joined to it.

Only a Xing (or Info) header tells the length of an mp3 with a variable bit rate, and it counts the frames of its own
recording alone. So frames are counted here, and each recording is given to the decoder with a header that is true.

Source: ISO/IEC 11172-3 section 2.4.1, 13818-3; the header of Xing as LAME writes it.
"""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from noisewise.audio.files.pieces import Piece

BITRATES = {  # (MPEG-1, layer) to kbit/s by index 1..14
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Bits of the version (MPEG-1, 2, 2.5) to samples per second by index."""
MOST_CANDIDATES = 1 << 17
"""Places in a file that are tried for the next frame after something that is none."""
WINDOW_BYTES = 1 << 20
MOST_RECORDINGS = 256
"""More than these are read as one stream of frames, because each takes a decoder of its own."""
XING = (b"Xing", b"Info")
HAS_FRAMES, HAS_BYTES, HAS_TABLE, HAS_QUALITY = 1, 2, 4, 8
INFO_BITRATE = 8
"""Index of a bit rate whose frames have room for a header of Xing at every sample rate."""


@dataclass(frozen=True)
class Frame:
    """What the four bytes at the start of a frame say."""

    size: int
    """Bytes."""
    samples: int
    rate: int
    tag: int
    """Bytes from its start to where a header of Xing stands; 0 for layers that have none."""
    kind: tuple[int, int]
    """Version, layer and sample rate, which a recording keeps."""


@dataclass
class Recording:
    """One of the recordings in an mp3."""

    head: bytes
    """First four bytes of its frames."""
    info: bytes = b""
    """Its frame with a header of Xing, if it has one."""
    promised: int | None = None
    """Frames by that header."""
    frames: int = 0
    """Frames that are there, without the one of the header."""
    ranges: list[tuple[int, int]] = field(default_factory=list)
    """Where in the file they are."""
    cut: bool = False
    """The last frame is not whole."""

    @property
    def truncated(self) -> bool:
        """Whether frames are missing; some encoders count the frame of the header too."""
        if self.promised is None:
            return self.cut
        return self.frames < self.promised - (0 if self.cut else 1)

    def pieces(self) -> list[Piece]:
        """The recording with a header that is true, for `Pieces`."""
        whole = self.promised is not None and self.frames == self.promised
        info = self.info if whole else _true_info(self.head, self.info, self.frames)
        return [info, *self.ranges]


def parse_frame(head: bytes) -> Frame | None:
    """Read the four bytes at the start of a frame; None where no frame begins (or one of free format)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    first, hz = version == 3, RATES[version][rate]
    bits = 1000 * BITRATES[first, layer][bitrate - 1]
    mono = head[3] >> 6 == 3
    kind = (head[1] & 0xFE, head[2] & 0x0C)
    if layer == 1:
        return Frame((12 * bits // hz + padding) * 4, 384, hz, 0, kind)
    samples = 576 if layer == 3 and not first else 1152
    side = (17 if mono else 32) if first else (9 if mono else 17)
    tag = 4 + (0 if head[1] & 1 else 2) + side if layer == 3 else 0
    return Frame(samples // 8 * bits // hz + padding, samples, hz, tag, kind)


def recordings(file: BinaryIO, size: int) -> list[Recording]:
    """All recordings in an mp3 of `size` bytes, one after another; empty for what is none."""
    walk = _Walk(file, size)
    found: list[Recording] = []
    place = walk.next_frame(0, None)
    while place is not None:
        position, frame = place
        walk.take(found, position, frame)
        place = walk.next_frame(walk.follow(found[-1], position + frame.size, frame), frame)
    if walk.has_given_up and found:
        found[-1].cut, found[-1].promised = True, None
    if walk.get(walk.behind_tag(0), 4) == b"fLaC":
        return []
    found = [recording for recording in found if recording.frames]
    return found if len(found) <= MOST_RECORDINGS else _merged(found)


def is_whole(file: BinaryIO, size: int) -> bool:
    """Whether the header of Xing counts all bytes of the file, so that nothing is missing or joined to it."""
    walk = _Walk(file, size)
    place = walk.next_frame(0, None)
    if place is None:
        return False
    position, frame = place
    flags, values = _xing(walk.get(position, frame.size), frame)
    end = size - 128 if walk.get(size - 128, 3) == b"TAG" else size
    return flags & HAS_FRAMES > 0 and flags & HAS_BYTES > 0 and values[1] == end - position


def _merged(found: list[Recording]) -> list[Recording]:
    """Neighbours of the same kind as one recording without a header."""
    merged: list[Recording] = []
    for each in found:
        if not merged or parse_frame(merged[-1].head).kind != parse_frame(each.head).kind:  # type: ignore[union-attr]
            merged.append(Recording(each.head))
        merged[-1].frames += each.frames
        merged[-1].ranges += each.ranges
        merged[-1].cut = each.cut
    return merged


class _Walk:
    """From frame to frame of a file that is read in large windows."""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._size = file, size
        self._window, self._start = b"", 0
        self._frames: dict[bytes, Frame | None] = {}
        self._candidates = 0

    def get(self, position: int, count: int) -> bytes:
        """Bytes from a position."""
        inside = position - self._start
        if inside < 0 or inside + count > len(self._window):
            self._file.seek(max(0, position))
            self._window, self._start, inside = self._file.read(max(WINDOW_BYTES, count)), max(0, position), 0
        return self._window[inside : inside + count]

    def next_frame(self, position: int, last: Frame | None) -> tuple[int, Frame] | None:
        """The frame at a position, or the next one behind tags or junk; None at the end."""
        position = self.behind_tag(position)
        frame = self._frame(position)
        if frame is not None and last is not None and frame.kind == last.kind:
            return position, frame
        while (position := self._find(position)) >= 0 and self._candidates < MOST_CANDIDATES:
            self._candidates += 1
            frame = self._frame(position)
            if frame is not None and self._is_followed(position, frame):
                return position, frame
            position += 1
        return None

    @property
    def has_given_up(self) -> bool:
        """Whether the rest of the file was not searched."""
        return self._candidates >= MOST_CANDIDATES

    def _find(self, position: int) -> int:
        """The next byte that may begin a frame; -1 at the end."""
        while position + 4 <= self._size:
            self.get(position, 4)
            found = self._window.find(b"\xff", position - self._start)
            if found >= 0:
                return self._start + found
            position = self._start + len(self._window)
        return -1

    def take(self, found: list[Recording], position: int, frame: Frame) -> None:
        """Add a frame to its recording; a header of Xing, or another kind of frame, begins a new one."""
        head = self.get(position, 4)
        info, promised = b"", None
        tag = self.get(position + (frame.tag or 36), 4)
        if tag in XING and frame.tag:
            info = self.get(position, frame.size)
            flags, values = _xing(info, frame)
            promised = values[0] if flags & HAS_FRAMES else None
        elif self.get(position + 36, 4) == b"VBRI":
            info, promised = b"VBRI", int.from_bytes(self.get(position + 50, 4), "big")
        if info:
            found.append(Recording(head, b"" if info == b"VBRI" else info, promised))
            return
        if not found or self._frame_of(found[-1].head).kind != frame.kind:
            found.append(Recording(head))
        recording, end = found[-1], position + frame.size
        if end > self._size:
            recording.cut = True
            return
        recording.frames += 1
        if recording.ranges and recording.ranges[-1][1] == position:
            recording.ranges[-1] = (recording.ranges[-1][0], end)
        else:
            recording.ranges.append((position, end))

    def follow(self, recording: Recording, position: int, last: Frame) -> int:
        """Add the whole frames that follow directly and are like the last; returns where they end."""
        start, count = position, 0
        self.get(position, min(WINDOW_BYTES // 4, self._size - position))
        window, inside = self._window, position - self._start
        while True:
            frame = self._frames.get(window[inside : inside + 4])
            if frame is None or frame.kind != last.kind or inside + frame.size > len(window):
                break
            if frame.tag and window[inside + frame.tag : inside + frame.tag + 4] in XING:
                break
            inside += frame.size
            count += 1
        end = self._start + inside
        if count:
            recording.frames += count
            if recording.ranges and recording.ranges[-1][1] == start:
                start = recording.ranges.pop()[0]
            recording.ranges.append((start, end))
        return end

    def behind_tag(self, position: int) -> int:
        """Where the tags (ID3v2) that begin at a position end."""
        head = self.get(position, 10)
        while head[:3] == b"ID3" and len(head) == 10:
            length = (head[6] & 127) << 21 | (head[7] & 127) << 14 | (head[8] & 127) << 7 | head[9] & 127
            position += 10 + length + (10 if head[5] & 16 else 0)
            head = self.get(position, 10)
        return position

    def _frame(self, position: int) -> Frame | None:
        head = self.get(position, 4)
        if head not in self._frames:
            if len(self._frames) > 4096:
                self._frames.clear()
            self._frames[head] = parse_frame(head)
        return self._frames[head]

    def _frame_of(self, head: bytes) -> Frame:
        frame = parse_frame(head)
        assert frame is not None
        return frame

    def _is_followed(self, position: int, frame: Frame) -> bool:
        """Whether another frame, a tag or the end follows, as behind a frame that is none by chance."""
        end = position + frame.size
        if end >= self._size:
            return end == self._size
        following = self.get(end, 4)
        after = parse_frame(following)
        return (after is not None and after.kind == frame.kind) or following[:3] in (b"ID3", b"TAG", b"APE")


def _xing(content: bytes, frame: Frame) -> tuple[int, tuple[int, int]]:
    """Flags of a header of Xing, and what it says of frames and bytes; flags 0 where there is none."""
    if not frame.tag or content[frame.tag : frame.tag + 4] not in XING or len(content) < frame.tag + 16:
        return 0, (0, 0)
    flags, first, second = struct.unpack_from(">III", content, frame.tag + 4)
    return flags, (first, second) if flags & HAS_FRAMES else (0, first)


def _true_info(head: bytes, info: bytes, frames: int) -> bytes:
    """A frame with a header of Xing that counts `frames`: the one that was there, mended, or one of our own."""
    if not info:
        info = bytes([head[0], head[1] | 1, INFO_BITRATE << 4 | head[2] & 0x0C, head[3]])
    frame = parse_frame(info[:4])
    if frame is None or not frame.tag:
        return b""  # layers 1 and 2 have no such header
    content = bytearray(info.ljust(frame.size, b"\0"))
    start = frame.tag
    keep = content[start : start + 8] if content[start : start + 4] in XING else b""
    if keep and keep[7] & HAS_FRAMES:
        struct.pack_into(">I", content, start + 8, frames)
        content[start + 7] &= ~HAS_BYTES & 0xFF if not keep[7] & HAS_BYTES else 0xFF
        return bytes(_without_false_size(content, start, frames))
    content[4:] = bytes(len(content) - 4)
    struct.pack_into(">4sII", content, start, b"Info", HAS_FRAMES, frames)
    return bytes(content)


def _without_false_size(content: bytearray, start: int, frames: int) -> bytearray:
    """The header without the count of bytes and what was padded at an end that is no longer there."""
    flags = content[start + 7]
    if not flags & HAS_BYTES:
        return content
    rest = content[start + 16 :]  # behind frames and bytes
    mended = content[: start + 12] + rest + bytes(4)
    mended[start + 7] = flags & ~HAS_BYTES & 0xFF
    encoder = start + 12 + (100 if flags & HAS_TABLE else 0) + (4 if flags & HAS_QUALITY else 0)
    if len(mended) >= encoder + 24:
        mended[encoder + 22] &= 0xF0
        mended[encoder + 23] = 0
    return mended[: len(content)]
