"""Files and folders that appear whole or not at all, and their digests.

What is written goes to a name beside the target, which is then renamed: a reader, or the run after one that was
killed, finds the old content or the new, never half of it. `durable` also flushes to the disk before and after the
rename, so that the new content survives a loss of power. That takes milliseconds to seconds for each file, so it is
for files that other work is skipped for (a store of embeddings that grows); results and tables, which a lost minute
makes again, go without.
"""

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

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
    try:
        return json.loads(content.decode("utf-8-sig"))
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

    A pipe or a device (`/dev/stdout`) has no content to keep: it is written to as it is.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}.partial")
    try:
        yield partial
        if durable:
            _flush(partial)
        partial.replace(path)
        if durable and os.name == "posix":  # elsewhere a folder cannot be flushed
            _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` that takes its place when the block ends well.

    An old folder there is replaced; when the block raises, it stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
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
    old = target.with_name(f".{target.name}-old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    source.rename(target)
    shutil.rmtree(old, ignore_errors=True)
