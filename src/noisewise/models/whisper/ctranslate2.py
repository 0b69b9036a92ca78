"""The `model.bin` of CTranslate2, as faster-whisper loads it: its variables, and those of Whisper.

The format, number 6 (OpenNMT, CTranslate2, `python/ctranslate2/specs/model_spec.py`), all numbers little-endian: the
format (4 bytes), name of the model, its revision (4), the number of variables (4); for each its name, rank (1), axes
(4 each), type (1), bytes (4) and values; then aliases: their number (4), for each two names. A name is its length (2),
the zero at its end included, and its bytes. A matrix of int8 or int16 has a variable `NAME_scale` beside it, of one
number for each row, or one in all, by which it is divided.

Legend: R rows, C columns.
"""

import math
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.errors import ModelError
from noisewise.models.whisper.state import KEY_BIAS, WhisperWeights, sized, with_key_biases

FILE = "model.bin"
"""Name of the file in its folder."""
FORMAT, MODEL, REVISION = 6, "WhisperSpec", 3
GELU = 3
"""CTranslate2's number for the activation of Whisper."""
TYPES: dict[int, Any] = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16, 5: np.uint16}
"""Numbers of types; 5 is bfloat16, the upper half of a float32."""
BFLOAT16 = 5
MOST_AXES = 8
"""Rank of a variable at most."""
Precision = Literal["float32", "float16", "int8", "int16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8", "int16")
Variables = dict[str, NDArray[Any]]

LINEAR = {
    "self_attention/linear_0": ("attention.query", "attention.key", "attention.value"),
    "self_attention/linear_1": ("attention.output",),
    "attention/linear_0": ("cross_attention.query",),
    "attention/linear_1": ("cross_attention.key", "cross_attention.value"),
    "attention/linear_2": ("cross_attention.output",),
    "ffn/linear_0": ("feed_forward.inner",),
    "ffn/linear_1": ("feed_forward.outer",),
}
"""Linear maps of a layer: of CTranslate2, and those of noisewise whose rows it holds one below the other."""
NORMS = {
    "self_attention/layer_norm": "attention_norm",
    "attention/layer_norm": "cross_attention_norm",
    "ffn/layer_norm": "feed_forward_norm",
}
"""Norms of a layer: of CTranslate2, of noisewise."""
CONVOLUTIONS = {"conv1": "subsampling.convolutions.0", "conv2": "subsampling.convolutions.1"}
SCALARS: dict[str, NDArray[Any]] = {
    "decoder/activation": np.array(GELU, np.int8),
    "decoder/alibi": np.array(0, np.int8),
    "decoder/alignment_heads": np.array(1, np.int16),
    "decoder/alignment_layer": np.array(-1, np.int16),
    "decoder/pre_norm": np.array(1, np.int8),
    "decoder/scale_embeddings": np.array(0, np.int8),
    "decoder/start_from_zero_embedding": np.array(0, np.int8),
}
"""What every Whisper has, beside its weights and its heads."""
MEANING = ("decoder/activation", "decoder/alibi", "decoder/pre_norm", "decoder/scale_embeddings")
"""Those that must be the same for weights to mean the same."""
EMBEDDING, PROJECTION = "decoder/embeddings/weight", "decoder/projection/weight"
"""The embedding of the tokens, and its alias, the last layer of the decoder."""


def read(path: Path, parts: Sequence[str] = ("encoder", "decoder")) -> WhisperWeights:
    """Read the `model.bin` of a Whisper.

    Args:
        path: the file.
        parts: what is kept of it.

    Raises:
        ModelError: it is not of this format, cut short, or not that of a Whisper.
    """
    variables = read_variables(path)
    for name in MEANING:
        if int(variables.get(name, SCALARS[name])) != int(SCALARS[name]):
            raise ModelError(f"`{name}` of `{path}` must be {SCALARS[name]}, but is {variables[name]} instead")
    heads = {part: _number(variables, f"{part}/num_heads", path) for part in parts}
    return sized(with_key_biases(from_variables(variables, parts, path)), heads, path)


def write(path: Path, model: WhisperWeights, precision: Precision = "float16") -> None:
    """Write the `model.bin` of a whole Whisper.

    Args:
        path: the file.
        model: what is written.
        precision: type of the weights; int8 and int16 are of the matrices and convolutions, the rest is float32.

    Raises:
        ModelError: there is no such precision, or the model has no decoder.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"`precision` must be one of {', '.join(PRECISIONS)}, but is '{precision:.80}' instead")
    if not model.encoder or not model.decoder:
        raise ModelError("`model` must have encoder and decoder for CTranslate2, but lacks one of them")
    heads = {f"{part}/num_heads": np.array(getattr(model, part)["heads"], np.int16) for part in ("encoder", "decoder")}
    stored = _stored(to_variables(model.weights), precision)
    write_variables(path, {**SCALARS, **heads, **stored}, {PROJECTION: EMBEDDING})


def read_variables(path: Path) -> Variables:
    """Names and values of a `model.bin`, whatever its model; aliases are checked and left out.

    Raises:
        ModelError: it is not of this format, or cut short.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise ModelError(f"`{path}` must be a {FILE} of CTranslate2, but cannot be read: {error}") from error
    try:
        return _parsed(content)
    except (struct.error, ValueError, IndexError) as error:
        raise ModelError(
            f"`{path}` must be a {FILE} of CTranslate2 in format {FORMAT}, but is not: {error}; download it whole"
        ) from error


def write_variables(path: Path, variables: Mapping[str, NDArray[Any]], aliases: Mapping[str, str]) -> None:
    """Write a `model.bin`; `read_variables` undoes it."""
    types = {np.dtype(kind): number for number, kind in TYPES.items() if number != BFLOAT16}
    with path.open("wb") as file:
        file.write(struct.pack("<I", FORMAT) + _named(MODEL) + struct.pack("<II", REVISION, len(variables)))
        for name, value in sorted(variables.items()):
            head = struct.pack(f"<B{value.ndim}IBI", value.ndim, *value.shape, types[value.dtype], value.nbytes)
            file.write(_named(name) + head)
            file.write(np.ascontiguousarray(value).tobytes())
        file.write(struct.pack("<I", len(aliases)))
        for alias, name in aliases.items():
            file.write(_named(alias) + _named(name))


def from_variables(
    variables: Mapping[str, NDArray[Any]], parts: Sequence[str], path: object = FILE
) -> dict[str, Tensor]:
    """Weights under the names of noisewise, float32, of the variables of a Whisper.

    Raises:
        ModelError: a variable is unknown.
    """
    found: dict[str, Tensor] = {}
    for name, value in variables.items():
        part, _, rest = name.partition("/")
        if part not in parts or value.ndim == 0 or rest.endswith("_scale") or name == PROJECTION:
            continue
        owners, end = _owners(part, rest)
        if not owners:
            raise ModelError(f"`{path}` must hold the variables of a Whisper, but `{name:.120}` is not one")
        whole = _widened(value, variables.get(f"{name}_scale"))
        if len(whole) % len(owners):
            raise ModelError(f"`{name}` of `{path}` must have {len(owners)} parts, but has {len(whole)} rows")
        for owner, piece in zip(owners, np.split(whole, len(owners)), strict=True):
            found[f"{owner}{end}"] = torch.from_numpy(piece.copy())
    return found


def to_variables(state: Mapping[str, Tensor]) -> Variables:
    """The variables of weights of noisewise, float32; undoes `from_variables`. A bias of keys is written as 0."""
    arrays = {name: value.detach().float().cpu().numpy() for name, value in state.items()}
    arrays |= {name: np.zeros_like(value) for name, value in arrays.items() if KEY_BIAS.fullmatch(name)}
    found: Variables = {}
    for name in arrays:
        part, _, rest = name.partition(".")
        if match := re.match(r"transformer\.layers\.(\d+)\.(.+)\.(weight|bias)$", rest):
            scope, module, end = f"{part}.transformer.layers.{match[1]}.", match[2], match[3]
            start = f"{part}/layer_{match[1]}/"
            if norm := next((theirs for theirs, own in NORMS.items() if own == module), None):
                found[f"{start}{norm}/{_gamma(end)}"] = arrays[name]
            else:
                theirs = next(theirs for theirs, own in LINEAR.items() if module in own)
                pieces = [arrays[f"{scope}{own}.{end}"] for own in LINEAR[theirs]]
                found[f"{start}{theirs}/{end}"] = np.concatenate(pieces)
        else:
            found[f"{part}/{_outer(rest)}"] = arrays[name]
    return found


def _owners(part: str, rest: str) -> tuple[list[str], str]:
    """The modules of noisewise that a variable belongs to, and the end of their weights' names."""
    scope, _, end = rest.rpartition("/")
    if match := re.match(r"layer_(\d{1,6})/(.+)$", scope):
        start, module = f"{part}.transformer.layers.{match[1]}.", match[2]
        if module in NORMS and end in ("gamma", "beta"):
            return [start + NORMS[module]], ".weight" if end == "gamma" else ".bias"
        if module in LINEAR and end in ("weight", "bias"):
            return [start + own for own in LINEAR[module]], f".{end}"
    if scope == "layer_norm" and end in ("gamma", "beta"):
        return [f"{part}.transformer.final_norm"], ".weight" if end == "gamma" else ".bias"
    if scope in CONVOLUTIONS and part == "encoder" and end in ("weight", "bias"):
        return [f"{part}.{CONVOLUTIONS[scope]}"], f".{end}"
    if rest == "position_encodings/encodings":
        return [f"{part}.positions"], ""
    return ([f"{part}.embedding"], ".weight") if f"{part}/{rest}" == EMBEDDING else ([], "")


def _outer(rest: str) -> str:
    """The variable of a weight outside the layers."""
    module, _, end = rest.rpartition(".")
    for theirs, own in CONVOLUTIONS.items():
        if own == module:
            return f"{theirs}/{end}"
    known = {"positions": "position_encodings/encodings", "embedding.weight": "embeddings/weight"}
    return known[rest] if rest in known else f"layer_norm/{_gamma(end)}"


def _gamma(end: str) -> str:
    return "gamma" if end == "weight" else "beta"


def _number(variables: Variables, name: str, path: Path) -> int:
    if name not in variables or variables[name].size != 1:
        raise ModelError(f"`{path}` must be that of a Whisper, but lacks `{name}`; is it of another model?")
    return int(variables[name].reshape(()))


def _stored(variables: Variables, precision: Precision) -> Variables:
    """The values as they are written, and the scales beside those of int8 and int16."""
    if precision in ("float32", "float16"):
        return {name: value.astype(precision) for name, value in variables.items()}
    found = dict(variables)
    for name, value in variables.items():
        if name.endswith("/weight"):
            found[name], found[f"{name}_scale"] = _quantised(value, precision)
    return found


def _quantised(value: NDArray[Any], precision: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Whole numbers, and what they are divided by: of each row for int8, of all for int16, in 10 bits.

    (R, C) or (R, C, W) float32 -> the same shape, (R,) or ()
    """
    flat = np.abs(value).reshape(len(value), -1)
    most = flat.max(axis=1) if precision == "int8" else flat.max()
    limit = 127 if precision == "int8" else 1024
    scale = (limit / np.where(most > limit / np.finfo(np.float32).max, most, limit)).astype(np.float32)
    spread = scale.reshape(-1, *[1] * (value.ndim - 1)) if precision == "int8" else scale
    return np.rint(value * spread).astype(precision), np.asarray(scale)


def _widened(value: NDArray[Any], scale: NDArray[Any] | None) -> NDArray[np.float32]:
    """float32 of any type that is stored."""
    if value.dtype == np.uint16:  # bfloat16
        return (value.astype(np.uint32) << 16).view(np.float32)
    if scale is None or value.dtype not in (np.int8, np.int16):
        return value.astype(np.float32)
    if scale.size not in (1, len(value)) or not np.all(scale.astype(np.float32) > 0):
        raise ModelError(f"a scale must be positive, one for each of {len(value)} rows, but is not; download it whole")
    spread = scale.astype(np.float32).reshape(-1, *[1] * (value.ndim - 1))
    return np.asarray(value.astype(np.float32) / spread, np.float32)


def _parsed(content: memoryview) -> Variables:
    """The variables of a file; nothing is made that is larger than the file.

    Raises:
        ValueError: a value is out of its range.
        struct.error: it ends too early.
    """
    (version,), place = struct.unpack_from("<I", content, 0), 4
    if version != FORMAT:
        raise ValueError(f"its format is {version}")
    _, place = _text(content, place)
    _, count = struct.unpack_from("<II", content, place)
    place += 8
    found: Variables = {}
    for _ in range(count):
        name, place = _text(content, place)
        if name in found:
            raise ValueError(f"`{name:.120}` stands twice")
        found[name], place = _value(content, place, name)
    (count,) = struct.unpack_from("<I", content, place)
    place += 4
    for _ in range(count):
        (_, place), (of, place) = _text(content, place), _text(content, _text(content, place)[1])
        if of not in found:
            raise ValueError(f"an alias names `{of:.120}`, which is not there")
    return found


def _value(content: memoryview, place: int, name: str) -> tuple[NDArray[Any], int]:
    """One variable, a view of the file, and the place behind it."""
    rank = content[place]
    if rank > MOST_AXES:
        raise ValueError(f"`{name:.120}` has {rank} axes")
    *shape, kind, size = struct.unpack_from(f"<{rank}IBI", content, place + 1)
    place += 1 + 4 * rank + 5
    if kind not in TYPES:
        raise ValueError(f"`{name:.120}` has the type {kind}")
    if math.prod(shape) * np.dtype(TYPES[kind]).itemsize != size or size > len(content) - place:
        raise ValueError(f"`{name:.120}` must have {size} bytes, which its axes {shape} or the file do not have")
    return np.frombuffer(content[place : place + size], TYPES[kind]).reshape(shape), place + size


def _text(content: memoryview, place: int) -> tuple[str, int]:
    (size,) = struct.unpack_from("<H", content, place)
    end = place + 2 + size
    if size < 1 or end > len(content) or content[end - 1]:
        raise ValueError("a name has no end")
    return bytes(content[place + 2 : end - 1]).decode("utf-8"), end


def _named(name: str) -> bytes:
    encoded = name.encode("utf-8")
    return struct.pack("<H", len(encoded) + 1) + encoded + b"\0"
