"""A file is the old one or the new one, whatever happens in between."""

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from noisewise.files import (
    json_value,
    read_json,
    remove_leftovers,
    replaced,
    replaced_folder,
    replaced_path,
    sha256_of,
    temporary_name,
)


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


def test_leftovers_of_dead_processes_go_and_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    process = os.fork()
    if process == 0:
        with replaced(folder / "file.flac") as file:
            file.write("half")
            with replaced_folder(folder / "whole"):
                os._exit(9)
    os.waitpid(process, 0)
    assert sum(path.name.endswith(".partial") for path in folder.iterdir()) == 2
    old = folder / ".u0.flac.0123456789ab.partial"  # as versions before wrote it: whose it is cannot be told
    foreign = temporary_name(folder / "far")
    foreign = foreign.with_name(re.sub(r"[0-9a-f]{8}-\d+", "00000000-1", foreign.name))
    kept = [old, foreign, folder / ".far.partial", folder / "file.partial"]
    for path in kept:
        path.touch()
    with replaced(folder / "mine") as file:
        assert remove_leftovers(tmp_path) == 2
        file.write("whole")
    assert sorted(folder.iterdir()) == sorted([*kept, folder / "mine"])
    for path in kept:
        os.utime(path, (0, 0))
    assert remove_leftovers(tmp_path) == 2
    assert sorted(folder.iterdir()) == sorted([*kept[2:], folder / "mine"])


@pytest.mark.parametrize("name", ["file", "f" * 250, "é" * 120 + ".flac"])
def test_a_long_name_leaves_room_for_the_temporary_one(name: str, tmp_path: Path) -> None:
    with replaced(tmp_path / name) as file:
        file.write("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_a_library_makes_of_a_full_disk_is_the_error_of_the_system(tmp_path: Path) -> None:
    """With a limit of the size of files for a disk that is full: the system refuses to write at the same place."""
    wanted = tmp_path / "file"

    def library(path: Path) -> None:
        with path.open("wb", buffering=0) as file:
            while file.write(bytes(1000)) == 1000:
                pass
        raise RuntimeError("System error.")

    with limited_files(5_500), pytest.raises(OSError, match="File too large") as caught, replaced_path(wanted) as path:
        library(path)
    assert caught.value.filename == str(wanted) and not list(tmp_path.iterdir())
    with limited_files(5_500), pytest.raises(OSError, match="File too large") as caught, replaced(wanted) as file:
        file.write("x" * 10_000)
    assert caught.value.filename == str(wanted) and not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError, match="of its own"), replaced_path(wanted) as path:
        path.touch()
        raise RuntimeError("of its own")
    assert not list(tmp_path.iterdir())


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Files that may grow to so many bytes."""
    resource = pytest.importorskip("resource")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


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


@pytest.mark.parametrize("text", [b"\xff", "[" * 100_000, "9" * 5000, "{", b""])
def test_text_that_is_no_json(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        json_value(text)
