"""Weights of `Wav2Vec2Model` of transformers in the wav2vec 2.0 encoder of noisewise, and back.

Works on plain state dicts and on the values of a `config.json`; transformers itself is not needed.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from noisewise.config import parse
from noisewise.errors import InteropError
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.front_end import WaveformFrontEnd

TABLE = (
    (r"masked_spec_embed", "mask_embedding"),
    (r"feature_extractor.conv_layers.(\d+).conv.", "cnn.layers.{}.convolution."),
    (r"feature_extractor.conv_layers.(\d+).layer_norm.", "cnn.layers.{}.norm."),
    (r"feature_projection.layer_norm.", "norm."),
    (r"feature_projection.projection.", "projection."),
    (r"encoder.pos_conv_embed.conv.", "position.convolution."),
    (r"encoder.layer_norm.", "context_norm."),
    (r"encoder.layers.(\d+).attention.q_proj.", "transformer.layers.{}.attention.query."),
    (r"encoder.layers.(\d+).attention.k_proj.", "transformer.layers.{}.attention.key."),
    (r"encoder.layers.(\d+).attention.v_proj.", "transformer.layers.{}.attention.value."),
    (r"encoder.layers.(\d+).attention.out_proj.", "transformer.layers.{}.attention.output."),
    (r"encoder.layers.(\d+).layer_norm.", "transformer.layers.{}.attention_norm."),
    (r"encoder.layers.(\d+).feed_forward.intermediate_dense.", "transformer.layers.{}.feed_forward.inner."),
    (r"encoder.layers.(\d+).feed_forward.output_dense.", "transformer.layers.{}.feed_forward.outer."),
    (r"encoder.layers.(\d+).final_layer_norm.", "transformer.layers.{}.feed_forward_norm."),
)
"""Beginnings of names: of transformers, of noisewise. The last part, `weight` or `bias`, is the same on both sides."""

OLD_WEIGHT_NORM = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}
"""Ends of names: the weight norm in files of fairseq and of PyTorch before 2.1, and that of today."""

HEADS = ("lm_head.", "quantizer.", "project_hid.", "project_q.", "projector.", "classifier.")
"""Beginnings of names beside the encoder in `Wav2Vec2ForCTC`, `Wav2Vec2ForPreTraining` and the classifiers."""


MASK_EMBEDDINGS = ("mask_embedding", "model.masked_spec_embed")
"""Names in noisewise of the weight that may be absent: models without masks lack it, and only training uses it."""

_REMEDY = "build the encoder with `config_from_huggingface` from the config.json beside the weights"


def from_huggingface(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a `Wav2Vec2Model`, or of the one inside a `Wav2Vec2For...`, leaving its heads.

    Raises:
        InteropError: a name that the table does not know.
    """
    state = {name.removeprefix("wav2vec2."): value for name, value in state.items() if not name.startswith(HEADS)}
    return renamed({modern(name): value for name, value in state.items()}, TABLE, "transformers' Wav2Vec2Model")


def to_huggingface(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of an encoder of noisewise to those of a `Wav2Vec2Model`; undoes `from_huggingface`.

    Raises:
        InteropError: a name that the table does not know.
    """
    table = tuple(
        (re.escape(name).replace(r"\{\}", r"(\d+)"), foreign.replace(r"(\d+)", "{}")) for foreign, name in TABLE
    )
    return renamed(state, table, "Wav2Vec2Encoder")


def load(encoder: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put the weights of a `Wav2Vec2Model` into a `Wav2Vec2Encoder`.

    Every weight must be there and fit. One may be absent: the mask embedding, which models built without
    masking do not have and which only training uses.

    Raises:
        InteropError: names that are unknown or missing, or shapes that differ.
    """
    fit(encoder, from_huggingface(state))


def fit(encoder: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put weights under the names of noisewise into a `Wav2Vec2Encoder`, as `load` does after renaming.

    Raises:
        InteropError: names that are missing or have no place, or shapes that differ.
    """
    encoder.load_state_dict(matched(encoder, state))


def matched(encoder: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that `fit` puts in, once every name and shape is known to be right.

    Raises:
        InteropError: names that are missing or have no place, or shapes that differ.
    """
    own, given = encoder.state_dict(), dict(state)
    given |= {name: own[name] for name in MASK_EMBEDDINGS if name in own and name not in given}
    missing, unexpected = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    if missing or unexpected:
        raise InteropError(
            f"the weights must be those of this encoder, but missing are {some(missing)} and without place "
            f"in it {some(unexpected)}; {_REMEDY}"
        )
    for name, value in given.items():
        if value.shape != own[name].shape:
            raise InteropError(
                f"`{name}` must be {tuple(own[name].shape)}, but is {tuple(value.shape)} instead; {_REMEDY}"
            )
    return given


OWN: dict[str, Any] = {
    "model_type": "wav2vec2",
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "layer_norm_eps": 1e-5,
    "add_adapter": False,
    "adapter_attn_dim": None,
}
"""Values of a `config.json` that the encoder of noisewise cannot have otherwise."""


def beyond_own(values: Mapping[str, Any]) -> str | None:
    """Name of a value of a `config.json` that the encoder of noisewise cannot have; None without any."""
    for name, wanted in OWN.items():
        if values.get(name, wanted) != wanted:
            return name
    widths = values.get("conv_dim") or [512]
    same = isinstance(widths, list | tuple) and all(type(width) is int and width == widths[0] for width in widths)
    return None if same else "conv_dim"


def config_from_huggingface(values: Mapping[str, Any]) -> Wav2Vec2Config:
    """The configuration that a `config.json` of model type wav2vec2 describes.

    What it leaves out is as in the base size. Masking stays off: set it for fine-tuning.

    Raises:
        InteropError: it describes something that the encoder of noisewise cannot be.
    """
    beyond = beyond_own(values)
    if beyond == "conv_dim":
        raise InteropError(f"`conv_dim` must be one width for all layers, but is {values[beyond]!r:.80} instead")
    if beyond is not None:
        raise InteropError(
            f"`{beyond}` must be {OWN[beyond]}, but is {values[beyond]!s:.80} instead; noisewise has no such encoder"
        )
    widths = values.get("conv_dim") or [512]
    front_end = {name: values[foreign] for foreign, name in CONVOLUTIONS.items() if foreign in values}
    front_end |= {name: tuple(value) for name, value in front_end.items() if isinstance(value, list | tuple)}
    normalise = values.get("feat_extract_norm") == "layer"
    front_end |= {"kind": "waveform", "channels": widths[0], "normalise": normalise}
    named = {name: values[foreign] for foreign, name in FIELDS.items() if foreign in values}
    return parse(Wav2Vec2Config, {**named, "front_end": front_end})


def config_to_huggingface(config: Wav2Vec2Config) -> dict[str, Any]:
    """The values of a `config.json` for an encoder of noisewise; `config_from_huggingface` undoes it.

    Masks that noisewise leaves off stay as transformers has them, since a model without masks there has no mask
    embedding.

    Raises:
        InteropError: the encoder works on log-mel, which transformers does not know.
    """
    front_end = config.front_end
    if not isinstance(front_end, WaveformFrontEnd):
        raise InteropError(f"`front_end` must be waveform, but is {front_end.kind}, which transformers does not have")
    values = {foreign: getattr(front_end, name) for foreign, name in CONVOLUTIONS.items()}
    values |= {foreign: getattr(config, name) for foreign, name in FIELDS.items()}
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {
        **values,
        "model_type": "wav2vec2",
        "conv_dim": [front_end.channels] * len(front_end.kernels),
        "num_feat_extract_layers": len(front_end.kernels),
        "hidden_act": "gelu",
        "feat_extract_activation": "gelu",
        "layer_norm_eps": 1e-5,
        "mask_time_prob": config.time_mask_probability or 0.05,
        "mask_time_length": config.time_mask_span,
        "mask_feature_prob": config.channel_mask_probability,
        "mask_feature_length": config.channel_mask_span,
    }


CONVOLUTIONS = {
    "conv_kernel": "kernels",
    "conv_stride": "strides",
    "conv_bias": "bias",
    "feat_extract_norm": "norm",
}
"""Fields of a front end: theirs, ours."""
FIELDS = {
    "hidden_size": "dim",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "intermediate_size": "feed_forward",
    "do_stable_layer_norm": "norm_first",
    "num_conv_pos_embeddings": "position_kernel",
    "num_conv_pos_embedding_groups": "position_groups",
    "feat_proj_dropout": "input_dropout",
    "hidden_dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "layerdrop": "layer_drop",
}
"""Fields of a configuration: of transformers, of noisewise."""


def modern(name: str) -> str:
    """The name of a weight as PyTorch spells weight norm today."""
    start, _, end = name.rpartition(".")
    return f"{start}.{OLD_WEIGHT_NORM[end]}" if end in OLD_WEIGHT_NORM else name


def renamed(state: Mapping[str, Tensor], table: tuple[tuple[str, str], ...], source: str) -> dict[str, Tensor]:
    """Weights under the names that a table gives them.

    Raises:
        InteropError: a name that the table does not know.
    """
    renamed = {_name(name, table): value for name, value in state.items()}
    unknown = [name for name in state if _name(name, table) is None]
    if unknown:
        raise InteropError(f"the names must be those of {source}, but {some(unknown)} are not")
    return {name: value for name, value in renamed.items() if name is not None}


def _name(name: str, table: tuple[tuple[str, str], ...]) -> str | None:
    for pattern, new in table:
        if match := re.match(pattern, name):
            return new.format(*match.groups()) + name[match.end() :]
    return None


def some(names: list[str]) -> str:
    """A few names and how many more."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"`{name}`" for name in names[:3]) + more if names else "none"
