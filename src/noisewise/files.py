"""Files and folders that appear whole or not at all, and their digests.

What is written goes to a name beside the target, which is then renamed: a reader, or the run after one that was
killed, finds the old content or the new, never half of it. `durable` also flushes to the disk before and after the
rename, so that the new content survives a loss of power. That takes milliseconds to seconds for each file, so it is
for files that other work is skipped for (a store of embeddings that grows); results and tables, which a lost minute
makes again, go without.

A temporary name is `.NAME.MACHINE-PROCESS-RANDOM.partial`: hidden, so that no reader of a folder takes it, and with the
process that writes it, so that `remove_leftovers` knows those that a killed process has left behind.
"""

import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

_LEFTOVER = re.compile(r"\..*?(?:\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}|\.[0-9a-f]{12})\.partial", re.DOTALL)
"""A temporary name; older ones had no machine and no process."""
_STALE_SECONDS = 86_400.0
"""Age after which a temporary file of another machine, or of a process that cannot be told, is a leftover."""


MOST_JSON = 2**26
"""Bytes of the largest JSON file that is read whole."""


def read_json(path: Path, most: int = MOST_JSON) -> Any:
    """The value in a JSON file of any origin.

    Args:
        path: the file.
        most: bytes beyond which it is not read.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is too large, not UTF-8, not JSON, nested too deeply, or holds a number of thousands of digits.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {most} bytes")
    return json_value(content)


def json_value(text: bytes | str) -> Any:
    """The value of a JSON text of any origin, such as a line of a file.

    Raises:
        ValueError: it is not UTF-8, not JSON, nested too deeply, or holds a number of thousands of digits.
    """
    try:
        return json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(str(error).partition(";")[0][:200]) from error


@overload
def replaced(path: Path, mode: Literal["w"] = "w", *, durable: bool = False) -> AbstractContextManager[TextIO]: ...
@overload
def replaced(path: Path, mode: Literal["wb"], *, durable: bool = False) -> AbstractContextManager[BinaryIO]: ...
def replaced(path: Path, mode: str = "w", *, durable: bool = False) -> AbstractContextManager[IO[Any]]:
    """A file to write, which takes the place of `path` when the block ends well and is removed when it does not.

    Args:
        path: its folder is made if it is not there.
        mode: `w` for text, as UTF-8 with `\\n` on every system, or `wb` for bytes.
        durable: flush to the disk.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "new", "notes.txt")
        >>> with replaced(path) as file:
        ...     _ = file.write("whole")
        >>> path.read_text()
        'whole'
    """
    return _opened(path, mode, durable)


@contextmanager
def _opened(path: Path, mode: str, durable: bool) -> Iterator[IO[Any]]:
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    with replaced_path(path, durable=durable) as partial, partial.open(mode, **text) as file:
        yield file


@contextmanager
def replaced_path(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """As `replaced`, for writers that open files themselves: a name beside `path` to write to.

    A pipe or a device (`/dev/stdout`) has no content to keep: it is written to as it is. A link is replaced itself;
    what it leads to stays as it was.

    Raises:
        OSError: the disk is full, or the file cannot be written for another reason; `filename` is `path`, and it is an
            OSError whatever the writer makes of it.
    """
    is_device = path.is_absolute() and path.parts[1:2] in (("dev",), ("proc",))  # /dev/stdout may be a file
    if is_device or (path.exists() and not (path.is_file() or path.is_dir())):
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary_name(path)
    try:
        with system_errors(partial, path):
            yield partial
        if durable:
            _flush(partial)
        partial.replace(path)
        if durable and os.name == "posix":  # elsewhere a folder cannot be flushed
            _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def system_errors(file: Path, path: Path | None = None) -> Iterator[None]:
    """Turn what a library raises when the system does not let it write into the system's own error.

    Libraries name a full disk in words of their own ("System error."), or with the number of the system's error among
    them. Where there is none the system is asked once more: the file, which is thrown away anyway, is made longer.

    Args:
        file: what the block writes.
        path: the name for the message, where it is another one.

    Raises:
        OSError: the file cannot be written; its `filename` is `path`.
    """
    name = str(path or file)
    try:
        yield
    except OSError as error:
        if error.errno is not None:  # without a number a name would take the place of the message
            error.filename = name if error.filename in (None, str(file)) else error.filename
        raise
    except Exception as error:
        refused = _quoted(error) or _refusal(file)
        if refused is None:
            raise
        refused.filename = name
        raise refused from error


def _quoted(error: Exception) -> OSError | None:
    """The system's error that a library written in Rust has put into words: `... (os error 28)`."""
    number = re.search(r"\(os error (\d+)\)", str(error))
    return None if number is None else OSError(int(number[1]), os.strerror(int(number[1])))


def _refusal(file: Path) -> OSError | None:
    """Why the system would not let a file that was begun grow; None where it would."""
    if not file.is_file():
        return None
    try:
        with file.open("ab", buffering=0) as stream:
            stream.write(bytes(1 << 16))
            os.fsync(stream.fileno())
            # a disk with some bytes left takes a part of them, and refuses the next
            stream.write(bytes(1 << 16))
    except OSError as error:
        return error
    return None


def temporary_name(path: Path) -> Path:
    """A new temporary name beside a path."""
    return path.with_name(f".{path.name[:40]}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.partial")


def remove_leftovers(folder: Path) -> int:
    """Remove temporary files and folders that processes which were killed have left below a folder.

    Those of a process that runs are left alone, and those of other machines for a day.

    Returns:
        Number of files and folders that were removed.
    """
    removed = 0
    for here, folders, files in os.walk(folder):
        found = [name for name in (*folders, *files) if _is_leftover(Path(here, name))]
        folders[:] = [name for name in folders if name not in found]
        for name in found:
            discard(Path(here, name))
        removed += len(found)
    return removed


def discard(path: Path) -> None:
    """Remove a file or a folder, if it is there; a folder loses its name first, so that a kill leaves no half of it."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    if not _LEFTOVER.fullmatch(path.name):
        path = path.rename(temporary_name(path))
    shutil.rmtree(path, ignore_errors=True)


def _is_leftover(path: Path) -> bool:
    match = _LEFTOVER.fullmatch(path.name)
    if match is None:
        return False
    if match[1] == _machine() and os.name == "posix":
        return not _runs(int(match[2]))
    try:
        return time.time() - path.lstat().st_mtime > _STALE_SECONDS
    except OSError:
        return False  # its writer has just finished


def _machine() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # of another user
    return True


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` that takes its place when the block ends well.

    An old folder there is replaced; when the block raises, it stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(target)
    temporary.mkdir()
    try:
        with system_errors(temporary, target):
            yield temporary
        _replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of the names and digests of its files."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listed = [f"{file.relative_to(path).as_posix()} {sha256_of(file)}" for file in files]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()


def _flush(path: Path) -> None:
    """Onto the disk: the content of a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(source: Path, target: Path) -> None:
    """Put a finished folder in the place of an old one."""
    old = temporary_name(target)
    if target.exists():
        target.rename(old)
    source.rename(target)
    discard(old)
