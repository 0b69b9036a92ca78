"""Lines of text files of any origin."""

import gzip
from pathlib import Path

import pytest

from noisewise.errors import DecodingError
from noisewise.text import lines

TEXT = "ÄON\nBUS\r\nCAR"


@pytest.mark.parametrize("name", ["words.txt", "words.gz", "words"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_content_decides_not_the_name(tmp_path: Path, name: str, packed: bool, mark: str) -> None:
    content = (mark + TEXT).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    assert [line.strip() for line in lines.read(tmp_path / name, DecodingError)] == ["ÄON", "BUS", "CAR"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TEXT.encode("utf-16"), "is UTF-16 instead; save it as UTF-8"),
        (b"A\n\xff\n", "must be UTF-8 text"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-9], "must be a whole gzip file"),
        (b"\x1f\x8b\x08", "must be a whole gzip file"),
        (b"A\n" + b"B" * 200, "lines of less than 100 characters, but line 2 is longer"),
        (gzip.compress(b"B" * 10**7, mtime=0), "lines of less than 100 characters, but line 1 is longer"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "words").write_bytes(content)
    with pytest.raises(DecodingError, match=message):
        list(lines.read(tmp_path / "words", DecodingError, longest=100))


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(DecodingError, match="cannot be read"):
            list(lines.read(path, DecodingError))
