"""A file is the old one or the new one, whatever happens in between."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from noisewise.files import replaced, replaced_folder, replaced_path, sha256_of


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


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("target", ["other.txt", "nowhere.txt", "folder/other.txt"])
def test_a_link_is_replaced_and_not_written_through(target: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("other.txt", "folder/other.txt"):
        (tmp_path / name).write_text("theirs")
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / target)
    with replaced(link) as file:
        file.write("ours")
    assert link.read_text() == "ours" and not link.is_symlink()
    assert {path.read_text() for path in tmp_path.rglob("other.txt")} == {"theirs"}
    assert not (tmp_path / "nowhere.txt").exists()


@pytest.mark.parametrize("name", ["a" * 250, "ж" * 120])
def test_the_longest_names_can_be_replaced(name: str, tmp_path: Path) -> None:
    with replaced(tmp_path / name) as file:
        file.write("x")
    assert (tmp_path / name).read_text() == "x"
