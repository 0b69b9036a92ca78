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
MAX_OPERATIONS = 2_000_000
"""Operations of the pickles of a file, each of which makes a value or less."""
MAX_NODES, MAX_DEPTH = 1_000_000, 50
"""Values that are walked through, each as often as it is named, and how deep they may be nested."""
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
        settings: set[str] = set()
        for number, name in enumerate(_names_of_archive(path) if archive else _names_of_legacy(path)):
            if number > MAX_OPERATIONS:
                raise InteropError(f"`{path}` must hold less than {MAX_OPERATIONS} values, but holds more")
            if name is None or name in TENSORS:
                continue
            if not SETTINGS.fullmatch(name):
                raise InteropError(
                    f"`{path}` must hold tensors and settings alone, but names `{name:.80}`, which could run code; "
                    "do not use this file, whoever gave it to you"
                )
            settings.add(name)
        inert: list[Any] = [(Inert, name) for name in settings]
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


def plain(value: Any) -> Any:
    """Settings as plain values: `Inert` objects become what they hold, nodes of omegaconf their content; tensors, which
    are no settings, become None.

    Raises:
        InteropError: they are nested more than `MAX_DEPTH` deep, as values that hold themselves are, or too many.
    """
    return _plain(value, 0, iter(range(MAX_NODES)))


def _plain(value: Any, depth: int, budget: Iterator[int]) -> Any:
    if depth > MAX_DEPTH or next(budget, None) is None:
        raise InteropError(
            f"settings must be nested less than {MAX_DEPTH} deep, and fewer than {MAX_NODES}, but are not"
        )
    if isinstance(value, Inert):
        for content in ("_content", "_val"):
            if content in value.state:
                return _plain(value.state[content], depth + 1, budget)
        if not value.state and len(value.arguments) == 1:
            return _plain(value.arguments[0], depth + 1, budget)
        return _plain(value.state, depth + 1, budget)
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1, budget) for key, item in value.items() if isinstance(key, str)}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1, budget) for item in value]
    return None if isinstance(value, Tensor) else value


def _names_of_archive(path: Path) -> Iterator[str | None]:
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


def _names_of_legacy(path: Path) -> Iterator[str | None]:
    with path.open("rb") as stream:
        for _ in range(LEGACY_PICKLES):
            yield from _names(stream)


def _names(stream: IO[bytes]) -> Iterator[str | None]:
    """For each operation of one pickle what it asks to import, or None."""
    for operation, argument, _ in pickletools.genops(stream):
        if operation.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
            yield f"{module}.{name}"
        elif operation.name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"):
            raise ValueError(f"it holds the operation {operation.name}, which torch.save does not write")
        else:
            yield None


def _must_not_outgrow(content: Any, path: Path) -> None:
    """Refuse tensors that repeat a few bytes many times and would fill the memory when copied, and too many values.

    A container is walked through once, for values may hold themselves, as nodes of omegaconf do.
    """
    limit, nodes = path.stat().st_size, 0
    waiting, walked = [content], set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            limit -= value.numel() * value.element_size()
        elif isinstance(value, Inert | dict | list | tuple | set | frozenset) and id(value) not in walked:
            walked.add(id(value))
            parts = _parts(value)
            nodes += len(parts)
            waiting.extend(parts if nodes <= MAX_NODES else ())
        if limit < 0 or nodes > MAX_NODES:
            raise InteropError(
                f"`{path}` must hold no more than its size, but its tensors are larger, or its values are more than "
                f"{MAX_NODES}; do not use it"
            )


def _parts(value: Any) -> list[Any]:
    """What a container holds."""
    if isinstance(value, Inert):
        return [*value.arguments, *value.state.values()]  # the state itself may be made anew
    return [*value.values()] if isinstance(value, dict) else [*value]
