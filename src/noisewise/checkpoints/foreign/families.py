"""Weights of HuBERT, WavLM and data2vec of transformers in an encoder of kind `pretrained`, and back.

That encoder runs the model of transformers itself, so only the prefix of the names differs.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from noisewise.checkpoints.foreign.huggingface import HEADS, modern
from noisewise.errors import InteropError
from noisewise.models.pretrained import PretrainedConfig, PretrainedEncoder

PREFIX = "model."
"""Prefix of the encoder's weights in noisewise."""
PREFIXES = {"wav2vec2": "wav2vec2.", "hubert": "hubert.", "wavlm": "wavlm.", "data2vec-audio": "data2vec_audio."}
"""Model type to the prefix of the encoder's weights in a model with a head."""
CLASSES = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM", "data2vec-audio": "Data2VecAudio"}
"""Model type to the beginning of the names of its classes."""
MEANING = (
    *("model_type", "hidden_act", "feat_extract_activation", "feat_extract_norm", "layer_norm_eps", "conv_stride"),
    *("num_attention_heads", "do_stable_layer_norm", "num_buckets", "max_bucket_distance"),
    *("num_conv_pos_embeddings", "num_conv_pos_embedding_groups", "conv_pos_kernel_size", "conv_pos_batch_norm"),
    *("feat_proj_layer_norm", "num_hidden_layers", "hidden_size", "intermediate_size", "conv_dim", "conv_kernel"),
)
"""Values of a `config.json` that must be the same for weights to mean the same."""


def config_from_huggingface(values: Mapping[str, Any], extractor: Mapping[str, Any] | None) -> PretrainedConfig:
    """The configuration of a `config.json` and, where there are any, of the values of its feature extractor."""
    architecture = {name: value for name, value in values.items() if name not in ("dtype", "torch_dtype")}
    normalise = extractor is not None and bool(extractor.get("do_normalize", True))
    return PretrainedConfig(architecture=architecture, normalise=normalise)


def from_huggingface(state: Mapping[str, Tensor], family: str) -> dict[str, Tensor]:
    """The encoder's weights under the names of noisewise, from a bare model or one with a head."""
    prefix = PREFIXES[family]
    headed = any(name.startswith(prefix) for name in state)
    kept = {name: value for name, value in state.items() if name.startswith(prefix) or not headed}
    named = {name.removeprefix(prefix): value for name, value in kept.items() if not name.startswith(HEADS)}
    return {PREFIX + modern(name): value for name, value in named.items()}


def to_huggingface(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's weights under the names of a bare model; undoes `from_huggingface`."""
    return {name.removeprefix(PREFIX): value for name, value in state.items()}


def left_out(state: Mapping[str, Tensor], family: str) -> tuple[str, ...]:
    """Parts of a model beside its encoder and its CTC head."""
    if not any(name.startswith(PREFIXES[family]) for name in state):
        return ()
    return tuple(sorted({name.partition(".")[0] for name in state} - {PREFIXES[family][:-1], "lm_head"}))


def without_adapters(values: Mapping[str, Any], source: object) -> None:
    """Refuse models with convolutions behind the encoder (`add_adapter`), which change its frame rate.

    Raises:
        InteropError: it is one.
    """
    if values.get("add_adapter"):
        raise InteropError(
            f"`{source}` must be a model without adapters behind its encoder, but has add_adapter="
            f"{values['add_adapter']!r:.80}; transformers itself runs it: noisewise evaluate --model hf:{source}"
        )


def differing(one: PretrainedEncoder, other: PretrainedEncoder) -> list[str]:
    """Names of the values by which two encoders compute different features."""
    settings: tuple[Any, Any] = (one.model.config, other.model.config)
    names = [name for name in MEANING if getattr(settings[0], name, None) != getattr(settings[1], name, None)]
    return names + ["normalise"] * (one.config.normalise != other.config.normalise)
