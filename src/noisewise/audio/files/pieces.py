"""A file made of pieces of another: what a decoder reads in place of a file whose headers mislead it."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO

Piece = bytes | tuple[int, int]
"""Bytes of our own, or first byte and end of a range of the other file."""


class Pieces(io.RawIOBase):
    """A seekable file that holds pieces one after another. The other file must not be read elsewhere meanwhile."""

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]):
        """Join pieces.

        Args:
            file: an open, seekable file that the ranges refer to.
            pieces: what the new file holds, in order.
        """
        super().__init__()
        self._file, self._position = file, 0
        self._pieces = [piece for piece in pieces if _length(piece)]
        self._ends = list(accumulate(_length(piece) for piece in self._pieces))

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte; returns where."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._ends[-1] if self._ends else 0}
        self._position = max(0, origin[whence] + offset)
        return self._position

    def tell(self) -> int:
        """Byte that is read next."""
        return self._position

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        """Fill a buffer with as many bytes as one piece or several give; 0 only at the end."""
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view):
            found = self._read(len(view) - done)
            if not found:
                break
            view[done : done + len(found)] = found
            done += len(found)
            self._position += len(found)
        return done

    def _read(self, most: int) -> bytes:
        """The next bytes of the piece at the position."""
        index = bisect_right(self._ends, self._position)
        if index == len(self._pieces):
            return b""
        piece = self._pieces[index]
        inside = self._position - (self._ends[index] - _length(piece))
        if isinstance(piece, bytes):
            return piece[inside : inside + most]
        self._file.seek(piece[0] + inside)
        return self._file.read(min(most, piece[1] - piece[0] - inside))


class GuardedFile(io.RawIOBase):
    """A file whose errors of reading are kept in `error` and look like its end.

    A decoder in C that calls back for bytes cannot pass an exception on.
    """

    def __init__(self, file: BinaryIO):
        """Guard an open, seekable file."""
        super().__init__()
        self._file = file
        self.error: OSError | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte; returns where."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):  # before the start, or further than the system can count
            return self._file.tell()

    def tell(self) -> int:
        """Byte that is read next."""
        return self._file.tell()

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        """Fill a buffer; 0 at the end and after an error."""
        view = memoryview(buffer).cast("B")
        try:
            found = self._file.read(len(view))
        except OSError as error:
            self.error = error
            return 0
        view[: len(found)] = found
        return len(found)


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
