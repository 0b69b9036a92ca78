"""Safe reading of checkpoints that are pickles: nothing that they name is run.

Two locks, one behind the other. First every name in the pickle is listed, without unpickling: names that rebuild
tensors are allowed, names of settings (argparse, omegaconf, fairseq, ...) are replaced by an inert class, and any
other name is refused. Then torch's weights-only unpickler reads the file with those names alone; it is no Python
unpickler and knows no others. Archives whose parts are compressed, or larger than the file, are refused before.
"""

import pickle
import pickletools
import re
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor
from torch.serialization import safe_globals

from noisewise.errors import InteropError

_KINDS = ("Float", "Half", "Double", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
_DTYPES = ("float32", "float16", "float64", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
TENSORS = frozenset(
    [
        "collections.OrderedDict",
        "_codecs.encode",
        "torch.Size",
        "torch.device",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        *(f"torch.{kind}Storage" for kind in _KINDS),
        *(f"torch.{kind}" for kind in _DTYPES),
    ]
)
"""Names that rebuild tensors."""
SETTINGS = re.compile(
    r"(argparse|omegaconf|fairseq|fairseq_cli|examples|hydra|typing|enum|numpy)\..+"
    r"|collections\.defaultdict|builtins\.(dict|list|tuple|set|int|float|str|bool|object)|copyreg\._reconstructor"
)
"""Names that are replaced by `Inert`."""
MAX_PICKLE = 64 * 2**20
"""Bytes of a pickle without its tensors; those of fairseq have less than one megabyte."""
LEGACY_PICKLES = 5
"""A file that is no archive begins with so many pickles: magic number, protocol, system, content, storage keys."""


class Inert:
    """Stands for an object of any class: keeps the arguments and the state, does nothing."""

    __slots__ = ("arguments", "state")
    arguments: tuple[Any, ...]
    state: dict[Any, Any]

    def __new__(cls, *arguments: Any) -> "Inert":
        """Keep the arguments."""
        made = object.__new__(cls)
        made.arguments, made.state = arguments, {}
        return made

    def __init__(self, *arguments: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        """Keep the state of the object."""
        self.state = state if isinstance(state, dict) else {}


def load(path: Path) -> Any:
    """Read a file of `torch.save`; classes that are not plain values or tensors come out as `Inert`.

    Raises:
        InteropError: the file is no such file, or names something that is not allowed.
    """
    try:
        archive = zipfile.is_zipfile(path)
        names = set(_names_of_archive(path) if archive else _names_of_legacy(path))
        refused = sorted(name for name in names if name not in TENSORS and not SETTINGS.fullmatch(name))
        if refused:
            raise InteropError(
                f"`{path}` must hold tensors and settings alone, but names `{refused[0]}`, which could run code; "
                "do not use this file, whoever gave it to you"
            )
        inert: list[Any] = [(Inert, name) for name in names if SETTINGS.fullmatch(name)]
        with safe_globals(inert):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except InteropError:
        raise
    except (
        *(pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError, MemoryError, RecursionError),
        *(ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError, NotImplementedError),
    ) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InteropError(f"`{path}` must be a checkpoint of PyTorch, but cannot be read: {reason}") from error
    _must_not_outgrow(content, path)
    return content


def plain(value: Any, depth: int = 0) -> Any:
    """Settings as plain values: `Inert` objects become what they hold, nodes of omegaconf their content."""
    if depth > 50:
        raise InteropError("settings must be nested less than 50 deep, but are deeper")
    if isinstance(value, Inert):
        for content in ("_content", "_val"):
            if content in value.state:
                return plain(value.state[content], depth + 1)
        if not value.state and len(value.arguments) == 1:
            return plain(value.arguments[0], depth + 1)
        return plain(value.state, depth + 1)
    if isinstance(value, dict):
        return {key: plain(item, depth + 1) for key, item in value.items() if isinstance(key, str)}
    return [plain(item, depth + 1) for item in value] if isinstance(value, list | tuple) else value


def _names_of_archive(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        stored = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
        if not stored or sum(part.file_size for part in parts) > path.stat().st_size:
            raise InteropError(
                f"`{path}` must hold its parts as they are, as torch.save writes them, but they unpack to more than "
                "the file; do not use it"
            )
        for part in parts:
            if part.filename.endswith("data.pkl"):
                if part.file_size > MAX_PICKLE:
                    raise InteropError(
                        f"`{path}` must hold less than {MAX_PICKLE} bytes beside tensors, but holds more"
                    )
                with archive.open(part) as stream:
                    yield from _names(stream)


def _names_of_legacy(path: Path) -> Iterator[str]:
    with path.open("rb") as stream:
        for _ in range(LEGACY_PICKLES):
            yield from _names(stream)


def _names(stream: IO[bytes]) -> Iterator[str]:
    """Everything that one pickle asks to import."""
    for operation, argument, _ in pickletools.genops(stream):
        if operation.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
            yield f"{module}.{name}"
        elif operation.name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"):
            raise ValueError(f"it holds the operation {operation.name}, which torch.save does not write")


def _must_not_outgrow(content: Any, path: Path) -> None:
    """Refuse tensors that repeat a few bytes many times, and would fill the memory when copied."""
    limit = path.stat().st_size
    waiting, seen = [content], 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            limit -= value.numel() * value.element_size()
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        seen += 1
        if limit < 0 or seen > 10_000_000:
            raise InteropError(f"`{path}` must hold no more than its size, but its tensors are larger; do not use it")
