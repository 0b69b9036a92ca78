"""Files made of pieces of others, compared with plain bytes."""

import io

from hypothesis import given
from hypothesis import strategies as st

from noisewise.audio.files.pieces import GuardedFile, Pieces

CONTENT = bytes(range(200))


@given(
    pieces=st.lists(st.one_of(st.binary(max_size=9), st.tuples(st.integers(0, 200), st.integers(0, 200)).map(sorted))),
    moves=st.lists(st.tuples(st.integers(-50, 300), st.sampled_from([0, 1, 2]), st.integers(0, 100)), max_size=9),
)
def test_pieces_are_a_file(pieces: list[bytes | list[int]], moves: list[tuple[int, int, int]]) -> None:
    parts = [piece if isinstance(piece, bytes) else (piece[0], piece[1]) for piece in pieces]
    whole = b"".join(part if isinstance(part, bytes) else CONTENT[part[0] : part[1]] for part in parts)
    file = Pieces(io.BytesIO(CONTENT), parts)
    assert file.readable() and file.seekable() and file.read() == whole
    position = len(whole)
    for offset, whence, count in moves:
        position = max(0, (0, position, len(whole))[whence] + offset)
        assert file.seek(offset, whence) == file.tell() == position
        assert file.read(count) == whole[position : position + count]
        position += len(whole[position : position + count])


def test_an_error_looks_like_the_end_and_is_kept() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    file = GuardedFile(Broken(b"abc"))
    assert file.read(2) == b"" and file.error is not None and file.error.errno == 5
    sound = GuardedFile(io.BytesIO(b"abc"))
    assert (sound.read(2), sound.tell(), sound.read(), sound.error) == (b"ab", 2, b"c", None)
    assert sound.seek(1) == 1 and sound.seek(-9) == 1  # as a decoder may ask


def test_neither_closes_the_other_file() -> None:
    inner = io.BytesIO(CONTENT)
    for outer in (Pieces(inner, [(0, 9)]), GuardedFile(inner)):
        outer.close()
    assert inner.read(1) == CONTENT[:1]
