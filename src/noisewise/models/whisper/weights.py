"""Weights of Whisper under the names of noisewise, read from folders of transformers and of CTranslate2."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from noisewise import hub
from noisewise.errors import ModelError
from noisewise.files import read_json
from noisewise.models.whisper import ctranslate2
from noisewise.models.whisper.state import KEY_BIAS, WhisperWeights, sized, with_alignment_heads, with_key_biases

__all__ = [
    "WhisperWeights",
    "fetch",
    "fill",
    "from_transformers",
    "is_ctranslate2",
    "json_values",
    "read",
    "read_transformers",
    "to_transformers",
]

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
"""Files of a folder of transformers; the last where the weights are in shards."""
GENERATION = "generation_config.json"
"""What transformers decodes by."""
Names = tuple[tuple[str, str], ...]
"""Beginnings of names: of transformers, of noisewise."""
ENCODER: Names = (
    ("conv1.", "subsampling.convolutions.0."),
    ("conv2.", "subsampling.convolutions.1."),
)
"""Beginnings of names of the encoder alone: of transformers, of noisewise."""
DECODER: Names = (("embed_tokens.", "embedding."),)
"""The same of the decoder."""
BOTH: Names = (
    ("embed_positions.weight", "positions"),
    ("layer_norm.", "transformer.final_norm."),
)
"""The same of both."""
LAYER: Names = (
    ("self_attn_layer_norm.", "attention_norm."),
    ("self_attn.q_proj.", "attention.query."),
    ("self_attn.k_proj.", "attention.key."),
    ("self_attn.v_proj.", "attention.value."),
    ("self_attn.out_proj.", "attention.output."),
    ("encoder_attn_layer_norm.", "cross_attention_norm."),
    ("encoder_attn.q_proj.", "cross_attention.query."),
    ("encoder_attn.k_proj.", "cross_attention.key."),
    ("encoder_attn.v_proj.", "cross_attention.value."),
    ("encoder_attn.out_proj.", "cross_attention.output."),
    ("fc1.", "feed_forward.inner."),
    ("fc2.", "feed_forward.outer."),
    ("final_layer_norm.", "feed_forward_norm."),
)
"""The same of a layer, in transformers `layers.N.`, in noisewise `transformer.layers.N.`."""
ENCODER_SIZES = {
    "dim": "d_model",
    "layers": "encoder_layers",
    "heads": "encoder_attention_heads",
    "feed_forward": "encoder_ffn_dim",
    "mels": "num_mel_bins",
    "positions": "max_source_positions",
}
"""Sizes of an encoder: of noisewise, of transformers."""
DECODER_SIZES = {
    "layers": "decoder_layers",
    "heads": "decoder_attention_heads",
    "feed_forward": "decoder_ffn_dim",
    "tokens": "vocab_size",
    "positions": "max_target_positions",
}
"""The same of a decoder."""
SAME = {"activation_function": "gelu", "scale_embedding": False, "tie_word_embeddings": True}
"""Values that every Whisper has, which a `config.json` may leave out."""


def fetch(source: str) -> Path:
    """The folder of a source: a path, or `hf:ORGANISATION/NAME@REVISION`.

    Raises:
        ModelError: there is no such folder, or the hub does not have it.
    """
    if source.startswith(hub.PREFIX):
        return hub.fetch(source)
    if not (Path(source) / CONFIG).is_file():
        raise ModelError(
            "`source` must be the folder of a Whisper with config.json and its weights, or "
            f"hf:ORGANISATION/NAME@REVISION, but is '{source}' instead"
        )
    return Path(source)


def read(source: str, parts: Sequence[str] = ("encoder", "decoder")) -> WhisperWeights:
    """Read a Whisper.

    Args:
        source: see `fetch`.
        parts: what is read of it.

    Raises:
        ModelError: there is none, or a file of it cannot be used.
    """
    folder = fetch(source)
    if is_ctranslate2(folder):
        found, beside = ctranslate2.read(folder / ctranslate2.FILE, parts), folder / CONFIG
    else:
        found, beside = read_transformers(folder, parts), folder / GENERATION
    values = json_values(beside) if found.decoder and beside.is_file() else {}
    return with_alignment_heads(found, values.get("alignment_heads"), beside)


def is_ctranslate2(folder: Path) -> bool:
    """Whether a folder is of CTranslate2: it has a `model.bin` and no safetensors file."""
    return (folder / ctranslate2.FILE).is_file() and not any((folder / name).is_file() for name in (WEIGHTS, INDEX))


def read_transformers(folder: Path, parts: Sequence[str] = ("encoder", "decoder")) -> WhisperWeights:
    """Read a folder of transformers: a `WhisperForConditionalGeneration`, `WhisperModel` or encoder alone.

    Raises:
        ModelError: it is of another model, or files are missing or do not agree.
    """
    values = json_values(folder / CONFIG)
    if values.get("model_type") != "whisper":
        raise ModelError(
            f"`{folder}` must hold a Whisper, but its config.json has the model type {values.get('model_type')!s:.80}; "
            "take an encoder of kind `pretrained` for wav2vec 2.0, HuBERT, WavLM and data2vec"
        )
    for name, value in SAME.items():
        if values.get(name, value) != value:
            raise ModelError(f"`{name}` of `{folder}` must be {value}, but is {values[name]!r:.80} instead")
    weights = from_transformers(_tensors(folder), parts)
    heads = {part: values.get(f"{part}_attention_heads") for part in parts}
    found = sized(weights, heads, folder)
    for sizes, names in ((found.encoder, ENCODER_SIZES), (found.decoder, DECODER_SIZES)):
        for own, size in sizes.items():
            if values.get(names[own], size) != size:
                raise ModelError(
                    f"`{names[own]}` of `{folder / CONFIG}` must be {size}, the size of its weights, but is "
                    f"{values[names[own]]!r:.80} instead; copy the folder whole"
                )
    return found


def from_transformers(state: Mapping[str, Tensor], parts: Sequence[str]) -> dict[str, Tensor]:
    """Weights of transformers, whatever its class, under the names of noisewise.

    Raises:
        ModelError: a name is unknown.
    """
    bare = {name.removeprefix("model."): value for name, value in state.items()}
    if not any(name.startswith(("encoder.", "decoder.")) for name in bare):
        bare = {f"encoder.{name}": value for name, value in bare.items()}
    found = {_own(name): value.float() for name, value in bare.items() if name.partition(".")[0] in parts}
    return with_key_biases(found)


def to_transformers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of noisewise under the names of `WhisperModel`; undoes `from_transformers`."""
    return {_theirs(name): value for name, value in weights.items() if not KEY_BIAS.fullmatch(name)}


def fill(module: torch.nn.Module, weights: Mapping[str, Tensor], source: object) -> None:
    """Put weights into a part of a model, whose names they have.

    Raises:
        ModelError: one is missing, has no place, or another shape.
    """
    own = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in weights.items()}
    wrong = [name for name in sorted(own.keys() | given.keys()) if own.get(name) != given.get(name)]
    if wrong:
        wanted, found = (each.get(wrong[0], "absent") for each in (own, given))
        raise ModelError(
            f"`{source}` must hold the weights of this model, but `{wrong[0]}` must be {wanted} and is {found}"
        )
    module.load_state_dict(dict(weights))


def json_values(path: Path) -> dict[str, Any]:
    """The names and values of a JSON file.

    Raises:
        ModelError: it is missing, broken, or holds something else.
    """
    try:
        values = read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"`{path}` must be JSON, but is not: {error}") from error
    if not isinstance(values, dict):
        raise ModelError(f"`{path}` must hold names and values, but holds a {type(values).__name__} instead")
    return values


def _own(name: str) -> str:
    """The name in noisewise of a name of transformers."""
    part, _, rest = name.partition(".")
    if match := re.match(r"layers\.(\d+)\.", rest):
        table, start, rest = LAYER, f"{part}.transformer.layers.{match[1]}.", rest[match.end() :]
    else:
        table, start = ((*ENCODER, *BOTH) if part == "encoder" else (*DECODER, *BOTH)), f"{part}."
    for theirs, own in table:
        if rest.startswith(theirs):
            return start + own + rest.removeprefix(theirs)
    raise ModelError(f"the names must be those of transformers' Whisper, but `{name:.120}` is not")


def _theirs(name: str) -> str:
    """The name in transformers of a name of noisewise."""
    part, _, rest = name.partition(".")
    if match := re.match(r"transformer\.layers\.(\d+)\.", rest):
        table, start, rest = LAYER, f"{part}.layers.{match[1]}.", rest[match.end() :]
    else:
        table, start = ((*ENCODER, *BOTH) if part == "encoder" else (*DECODER, *BOTH)), f"{part}."
    for theirs, own in table:
        if rest.startswith(own):
            return start + theirs + rest.removeprefix(own)
    raise ModelError(f"the names must be those of Whisper, but `{name:.120}` is not")


def _tensors(folder: Path) -> dict[str, Tensor]:
    """Names and tensors of the safetensors files of a folder."""
    files = [folder / WEIGHTS]
    if not files[0].is_file():
        named = json_values(folder / INDEX).get("weight_map") if (folder / INDEX).is_file() else None
        if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
            raise ModelError(f"`{folder}` must hold {WEIGHTS}, but does not; download it whole")
        files = [folder / Path(name).name for name in sorted(set(named.values()))]
    found: dict[str, Tensor] = {}
    for path in files:
        try:
            with safe_open(path, "pt") as file:
                found |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ModelError(f"`{path}` must be a safetensors file, but cannot be read: {error}") from error
    return found
