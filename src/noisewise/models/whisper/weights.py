"""Weights of Whisper under the names of noisewise, read from folders of others.

The names are those of the state of a whole model: `encoder.…` of `WhisperEncoder`, `decoder.…` of `WhisperDecoder`.
Keys have a bias in noisewise that Whisper lacks; it is 0, and would change nothing: it adds the same to the scores of
every frame, before the softmax.

Legend: D width, M mel bands, P positions.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from noisewise import hub
from noisewise.errors import ModelError
from noisewise.files import read_json

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
"""Files of a folder of transformers; the last where the weights are in shards."""
ENCODER = (
    ("conv1.", "subsampling.convolutions.0."),
    ("conv2.", "subsampling.convolutions.1."),
)
"""Beginnings of names of the encoder alone: of transformers, of noisewise."""
DECODER = (("embed_tokens.", "embedding."),)
"""The same of the decoder."""
BOTH = (
    ("embed_positions.weight", "positions"),
    ("layer_norm.", "transformer.final_norm."),
)
"""The same of both."""
LAYER = (
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
KEY_BIAS = re.compile(r".*attention\.key\.bias")
"""Weights that Whisper lacks."""
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


@dataclass(frozen=True)
class WhisperWeights:
    """A Whisper that was read, or is to be written."""

    encoder: dict[str, int]
    """Sizes of the encoder: dim, layers, heads, feed_forward, mels and positions."""
    decoder: dict[str, int]
    """Sizes of the decoder: layers, heads, feed_forward, tokens and positions; empty for an encoder alone."""
    weights: dict[str, Tensor]
    """Weights by their names in noisewise, float32."""


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
    return read_transformers(fetch(source), parts)


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


def with_key_biases(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, and a bias of 0 for every key."""
    biases = {
        f"{name.removesuffix('.weight')}.bias": torch.zeros(len(value))
        for name, value in weights.items()
        if KEY_BIAS.fullmatch(f"{name.removesuffix('.weight')}.bias")
    }
    return {**biases, **weights}


def sized(weights: dict[str, Tensor], heads: Mapping[str, Any], source: object) -> WhisperWeights:
    """Weights with the sizes that they have.

    Args:
        weights: by their names in noisewise.
        heads: attention heads of each part, which the weights do not show.
        source: where they come from, for messages.

    Raises:
        ModelError: a weight is missing, or sizes do not agree.
    """
    sizes: dict[str, dict[str, int]] = {"encoder": {}, "decoder": {}}
    for part in heads:
        if not any(name.startswith(f"{part}.") for name in weights):
            continue
        dim, number = _shape(weights, f"{part}.transformer.final_norm.weight", 1, source)[0], heads[part]
        if type(number) is not int or not 1 <= number <= dim or dim % number:
            raise ModelError(
                f"the attention heads of `{source}` must divide the width {dim}, but are {number!r:.80} instead"
            )
        layers = {name.split(".")[3] for name in weights if name.startswith(f"{part}.transformer.layers.")}
        sizes[part] = {
            "layers": len(layers),
            "heads": number,
            "feed_forward": _shape(weights, f"{part}.transformer.layers.0.feed_forward.inner.weight", 2, source)[0],
            "positions": _shape(weights, f"{part}.positions", 2, source)[0],
        }
        if part == "encoder":
            mels = _shape(weights, "encoder.subsampling.convolutions.0.weight", 3, source)[1]
            sizes[part] |= {"dim": dim, "mels": mels}
        else:
            sizes[part] |= {"tokens": _shape(weights, "decoder.embedding.weight", 2, source)[0]}
    return WhisperWeights(sizes["encoder"], sizes["decoder"], weights)


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


def _shape(weights: Mapping[str, Tensor], name: str, rank: int, source: object) -> tuple[int, ...]:
    if name not in weights or weights[name].dim() != rank:
        raise ModelError(f"`{source}` must hold `{name}` with {rank} axes, but does not; copy the folder whole")
    return tuple(weights[name].shape)
