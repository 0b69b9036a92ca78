"""Where a result comes from, in terms that hold on another machine: paths, versions, the command."""

import os
import platform
import re
import shlex
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from noisewise.safe_text import RUN, masked

DATA_ROOT = "NOISEWISE_DATA"
"""Environment variable: the folder of corpora. Paths under it are stored as `$NOISEWISE_DATA/...`."""
PACKAGES = ("noisewise", "numpy", "soundfile", "soxr", "lhotse", "jiwer", "torch")


def portable(text: str) -> str:
    """A path or a recogniser without the absolute paths of this machine.

    A path under the folder of corpora starts with `$NOISEWISE_DATA`, one under the current folder becomes
    relative, and of any other absolute path only the last name stays. Relative paths stay as given. Secrets are masked.
    """
    text = masked(text, shortest=RUN)
    kind, colon, rest = text.partition(":")
    if colon and kind == "command":
        return "command:" + " ".join(portable(word) for word in rest.split(" "))
    if colon and kind in ("hf", "whisper", "onnx"):
        return f"{kind}:" + portable(rest)
    option, equals, value = text.partition("=")
    if equals and option.startswith("--"):
        return f"{option}={portable(value)}"
    path, sharp, fragment = text.partition("#")
    return (_relative(path) if os.path.isabs(path) else path) + sharp + fragment


def command(words: Sequence[str]) -> str:
    """A shell line that runs `words`, without absolute paths; `$NOISEWISE_DATA` is left to the shell."""
    return " ".join(_quoted(portable(word)) for word in words)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that can move a number."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _relative(text: str) -> str:
    path = Path(os.path.normpath(text))
    root = os.environ.get(DATA_ROOT)
    if root and path.is_relative_to(os.path.abspath(root)):
        return (Path(f"${DATA_ROOT}") / path.relative_to(os.path.abspath(root))).as_posix()
    if path.is_relative_to(Path.cwd()):
        return path.relative_to(Path.cwd()).as_posix()
    return path.name


def _quoted(word: str) -> str:
    """Quoted for the shell; a leading `$NOISEWISE_DATA` stays open to it."""
    head = f"${DATA_ROOT}/"
    rest = word.removeprefix(head)
    plain = re.fullmatch(r"[\w@%+=:,./-][\w@%+=:,./#-]*", rest)
    return (head if rest != word else "") + (rest if plain else shlex.quote(rest))
