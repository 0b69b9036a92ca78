"""A file is the old one or the new one, whatever happens in between."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from noisewise.files import read_json, replaced, replaced_folder, replaced_path, sha256_of


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with replaced(path) as file:
        file.write("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with pytest.raises(RuntimeError), replaced(path) as file:
        file.write("half of the sec")
        raise RuntimeError
    assert path.read_text() == "first" and list(path.parent.iterdir()) == [path]


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    with replaced(tmp_path / "file", "wb", durable=True) as file:
        file.write(b"\r\n\0")
    assert (tmp_path / "file").read_bytes() == b"\r\n\0"


def test_two_threads_do_not_share_a_temporary_name(tmp_path: Path) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def write(text: str) -> None:
        with replaced(tmp_path / "file") as file:
            meeting.wait()
            file.write(text)
            meeting.wait()

    threads = [threading.Thread(target=write, args=(letter * 10_000,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file").read_text() in ("a" * 10_000, "b" * 10_000)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text()))
    reader.start()
    with replaced_path(tmp_path / "pipe") as path:
        path.write_text("through")
    reader.join(timeout=10)
    assert found == ["through"] and (tmp_path / "pipe").is_fifo()


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(RuntimeError), replaced_folder(target) as folder:
        (folder / "new").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["old"]
    with replaced_folder(target) as folder:
        (folder / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"] and list(tmp_path.iterdir()) == [target]


def test_a_folder_is_hashed_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "text").write_text("one")
    first = sha256_of(tmp_path / "a")
    assert sha256_of(tmp_path / "a" / "b" / "text") == hashlib.sha256(b"one").hexdigest()
    (tmp_path / "a").rename(tmp_path / "c")
    assert sha256_of(tmp_path / "c") == first
    (tmp_path / "c" / "b" / "text").write_text("two")
    assert sha256_of(tmp_path / "c") != first
    (tmp_path / "c" / "b" / "text").write_text("one")
    (tmp_path / "c" / "b" / "text").rename(tmp_path / "c" / "text")
    assert sha256_of(tmp_path / "c") != first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 200_000, "nested too deeply"),
        (b"9" * 10_000, "limit"),
        (b"\xff{}", "decode"),
        (b"{", "Expecting"),
        (b"", "Expecting"),
        (b" " * 200, "larger than 100 bytes"),
    ],
)
def test_json_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "a.json", most=100 if message.startswith("larger") else 10**6)


def test_json_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}
    with pytest.raises(OSError):
        read_json(tmp_path / "none.json")
