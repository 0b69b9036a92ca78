"""The state of a Whisper under the names of noisewise, with its sizes.

The names are those of the state of a whole model: `encoder.…` of `WhisperEncoder`, `decoder.…` of `WhisperDecoder`.
Keys have a bias in noisewise that Whisper lacks; it is 0, and would change nothing: it adds the same to the scores of
every frame, before the softmax.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from noisewise.errors import ModelError

KEY_BIAS = re.compile(r".*attention\.key\.bias")
"""Weights that Whisper lacks."""


@dataclass(frozen=True)
class WhisperWeights:
    """A Whisper that was read, or is to be written."""

    encoder: dict[str, int]
    """Sizes of the encoder: dim, layers, heads, feed_forward, mels and positions."""
    decoder: dict[str, Any]
    """Sizes of the decoder: layers, heads, feed_forward, tokens and positions, and its alignment_heads where they are
    named; empty for an encoder alone."""
    weights: dict[str, Tensor]
    """Weights by their names in noisewise, float32."""


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
    sizes: dict[str, dict[str, Any]] = {"encoder": {}, "decoder": {}}
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


def with_alignment_heads(model: WhisperWeights, heads: Any, source: object) -> WhisperWeights:
    """The same with the heads of the decoder that other programs find times of words by.

    Args:
        model: a Whisper; one without a decoder stays as it is.
        heads: a layer and a head of it for each, as both layouts write them; None or none where they are not named, and
            those of `upper_heads`, which stand for that.
        source: where they come from, for messages.

    Raises:
        ModelError: there is no such head.
    """
    if not model.decoder or heads in (None, [], ()):
        return model
    bounds = model.decoder["layers"], model.decoder["heads"]
    if not isinstance(heads, list | tuple) or not all(_is_head(each, bounds) for each in heads):
        raise ModelError(
            f"`alignment_heads` of `{source}` must be pairs of a layer, 0 to {bounds[0] - 1}, and a head, 0 to "
            f"{bounds[1] - 1}, but are {heads!r:.80} instead; copy the folder whole"
        )
    found = tuple(map(tuple, heads))
    return model if found == upper_heads(model) else replace(model, decoder={**model.decoder, "alignment_heads": found})


def upper_heads(model: WhisperWeights) -> tuple[tuple[int, int], ...]:
    """All heads of the upper half of a decoder, which Whisper itself takes where none are named (`model.py`)."""
    layers, heads = range(model.decoder["layers"]), range(model.decoder["heads"])
    return tuple((layer, head) for layer in layers[len(layers) // 2 :] for head in heads)


def _is_head(pair: Any, bounds: tuple[int, int]) -> bool:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return False
    return all(type(each) is int and 0 <= each < bound for each, bound in zip(pair, bounds, strict=True))


def _shape(weights: Mapping[str, Tensor], name: str, rank: int, source: object) -> tuple[int, ...]:
    if name not in weights or weights[name].dim() != rank:
        raise ModelError(f"`{source}` must hold `{name}` with {rank} axes, but does not; copy the folder whole")
    return tuple(weights[name].shape)
