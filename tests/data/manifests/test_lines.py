import gzip
from pathlib import Path

import pytest

from noisewise.data.manifests import lines
from noisewise.errors import DataError


def read(path: Path, content: bytes) -> list[tuple[int, str]]:
    path.write_bytes(content)
    return list(lines.lines(path))


def test_a_line_ends_at_a_line_feed_alone(tmp_path: Path) -> None:
    content = "\ufeffa\u2028b\r\n\n  \nc\vd\x85e".encode()
    assert read(tmp_path / "t.tsv", content) == [(1, "a\u2028b\r\n"), (4, "c\vd\x85e")]
    assert read(tmp_path / "t.jsonl.gz", gzip.compress(content))[1] == (4, "c\vd\x85e")
    assert lines.text_of_file(tmp_path / "t.tsv") == "a b c d e"


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\v", "\f", "\x85", "\r\n", "\x1d"])
def test_line_breaks_inside_a_text_are_a_space(character: str) -> None:
    assert lines.one_line(f"SIX{character}{character}TWO \u3000") == "SIX TWO \u3000"


def test_a_lone_surrogate_is_replaced() -> None:
    assert lines.one_line("A\ud800B") == "A\ufffdB"


@pytest.mark.parametrize("content", [b"x" * 101, b"a\n" + b"\n" * 101, b"a\n" + b" " * 60 + b"\n" + b"y" * 60])
def test_an_endless_line_is_refused_at_the_budget(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    assert len(read(tmp_path / "ok.tsv", b"x" * 99 + b"\n" + b"y" * 100)) == 2
    for name, written in (("t.tsv", content), ("t.jsonl.gz", gzip.compress(content))):
        with pytest.raises(DataError, match=r"line \d+: must have at most 100 bytes"):
            read(tmp_path / name, written)


def test_a_sparse_file_of_two_gigabytes_is_refused_without_reading_it(tmp_path: Path) -> None:
    with (tmp_path / "t.tsv").open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(DataError, match="line 1: must have at most"):
        list(lines.lines(tmp_path / "t.tsv"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a\nOL\u00c9\n".encode("cp1252"),
            r"line 2: must be UTF-8, but byte 0xc9 is not; it may be Windows-1252.*iconv",
        ),
        (b"a\nb\n\x81\xc9\n", r"line 3: must be UTF-8, but byte 0x81 is not; save it as UTF-8"),
        ("path\ttext\n".encode("utf-16"), "line 1: must be UTF-8, but begins as UTF-16.*iconv -f utf-16"),
        ("path\ttext\n".encode("utf-16-le"), "line 1: must be text, but holds a NUL byte"),
        (b"a\nb\0c\n", "line 2: must be text, but holds a NUL byte"),
    ],
)
def test_bytes_that_are_not_utf8_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / "t.tsv", content)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    for name in ("none.txt", "."):
        with pytest.raises(DataError, match="must be lines of text"):
            list(lines.lines(tmp_path / name))
    with pytest.raises(DataError, match="must be lines of text"):
        read(tmp_path / "t.gz", gzip.compress(b"x" * 999)[:20])


def test_a_transcript_has_the_budget_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 10)
    (tmp_path / "a.txt").write_text("ONE\n" * 5)
    with pytest.raises(DataError, match="must be a transcript of at most 10 bytes"):
        lines.text_of_file(tmp_path / "a.txt")
