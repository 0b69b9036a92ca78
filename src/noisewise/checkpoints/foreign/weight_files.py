"""The weights of a folder of transformers: safetensors or old pickles of tensors, whole or in shards."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from noisewise.checkpoints.foreign import unpickle
from noisewise.errors import InteropError
from noisewise.files import read_json

WEIGHTS = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
"""Files that may hold the weights; the first that is there is read."""


def read(folder: Path) -> dict[str, Tensor]:
    """Names and tensors of a folder, whichever of `WEIGHTS` it holds; those of half precision as float32."""
    found = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if not found:
        raise InteropError(f"`{folder}` must hold model.safetensors, but does not; download it whole")
    return _read_shards(found[0]) if found[0].suffix == ".json" else read_one(found[0])


def paths(folder: Path) -> list[Path]:
    """The files that `read` reads."""
    found = next((folder / name for name in WEIGHTS if (folder / name).is_file()), folder / WEIGHTS[0])
    return [found] if found.suffix != ".json" else [found, *_shards(found)]


def read_one(path: Path) -> dict[str, Tensor]:
    """The tensors of one file, safetensors or an old pickle of them, of which nothing is run.

    Raises:
        InteropError: it is neither, or holds something else.
    """
    state = unpickle.load(path) if path.suffix == ".bin" else _read_safetensors(path)
    if not isinstance(state, dict) or not all(is_weight(name, value) for name, value in state.items()):
        raise InteropError(f"`{path}` must hold names and tensors, but does not")
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def is_weight(name: Any, value: Any) -> bool:
    """Whether an item of a file is a name and a tensor."""
    return isinstance(name, str) and isinstance(value, Tensor)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise InteropError(f"`{path}` must be a safetensors file, but cannot be read: {error}") from error


def _read_shards(index: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for shard in _shards(index):
        if not shard.is_file():
            raise InteropError(f"`{index}` names {shard.name}, but there is no such file; download the folder whole")
        state |= read_one(shard)
    missing = sorted(values_of(index)["weight_map"].keys() - state.keys())
    if missing:
        raise InteropError(f"`{index}` names the weight `{missing[0]}`, but no shard holds it")
    return state


def _shards(index: Path) -> list[Path]:
    names = values_of(index).get("weight_map")
    suffix = Path(index.name.removesuffix(".index.json")).suffix
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise InteropError(f"`{index}` must hold a `weight_map` of weights to files, but does not")
    outside = [name for name in names.values() if Path(name).name != name or not name.endswith(suffix)]
    if outside:
        raise InteropError(f"`{index}` must name {suffix[1:]} files beside it, but names {outside[0]!r:.80}")
    return [index.parent / name for name in sorted(set(names.values()))]


def values_of(path: Path) -> dict[str, Any]:
    """The names and values of a JSON file.

    Raises:
        InteropError: it is missing, broken, or holds something else.
    """
    try:
        values = read_json(path)
    except FileNotFoundError as error:
        raise InteropError(f"`{path}` must be there, but is not; download the folder whole") from error
    except (OSError, ValueError) as error:
        raise InteropError(f"`{path}` must be JSON, but is not: {error}") from error
    if not isinstance(values, dict):
        raise InteropError(f"`{path}` must hold names and values, but holds a {type(values).__name__} instead")
    return values
