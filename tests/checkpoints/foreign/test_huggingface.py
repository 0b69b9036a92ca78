from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.checkpoints.foreign import huggingface
from noisewise.errors import InteropError
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config, Wav2Vec2Encoder, base, tiny
from noisewise.models.wav2vec2.front_end import WaveformFrontEnd

SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "conv_dim": [32] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


@pytest.fixture
def encoder() -> Wav2Vec2Encoder:
    torch.manual_seed(0)
    return Wav2Vec2Encoder(tiny())


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(left[name].equal(right[name]) for name in left)


@pytest.mark.parametrize("shape", [{}, {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}])
def test_there_and_back(shape: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Wav2Vec2Config(**SMALL, **shape)
    reference = transformers.Wav2Vec2Model(config)
    own = Wav2Vec2Encoder(huggingface.config_from_huggingface(config.to_dict()))
    huggingface.load(own, reference.state_dict())
    assert same(huggingface.to_huggingface(own.state_dict()), reference.state_dict())
    reference.load_state_dict(huggingface.to_huggingface(own.state_dict()))


def test_old_names_of_the_weight_norm(encoder: Wav2Vec2Encoder) -> None:
    state = huggingface.to_huggingface(encoder.state_dict())
    conv = "encoder.pos_conv_embed.conv."
    state[f"{conv}weight_g"] = state.pop(f"{conv}parametrizations.weight.original0")
    state[f"{conv}weight_v"] = state.pop(f"{conv}parametrizations.weight.original1")
    other = Wav2Vec2Encoder(tiny())
    huggingface.load(other, state)
    assert same(other.state_dict(), encoder.state_dict())


def test_the_encoder_inside_a_model_with_heads(encoder: Wav2Vec2Encoder) -> None:
    plain = huggingface.to_huggingface(encoder.state_dict())
    state = {f"wav2vec2.{name}": value for name, value in plain.items()}
    state |= {"lm_head.weight": torch.zeros(32, 64), "quantizer.codevectors": torch.zeros(1)}
    assert same(huggingface.from_huggingface(state), encoder.state_dict())


def test_a_missing_mask_embedding_leaves_ours(encoder: Wav2Vec2Encoder) -> None:
    state = huggingface.to_huggingface(encoder.state_dict())
    del state["masked_spec_embed"]
    other = Wav2Vec2Encoder(tiny())
    kept = other.mask_embedding.clone()
    huggingface.load(other, state)
    assert other.mask_embedding.equal(kept)
    assert other.projection.weight.equal(encoder.projection.weight)


def test_an_unknown_name_is_an_error(encoder: Wav2Vec2Encoder) -> None:
    state = huggingface.to_huggingface(encoder.state_dict())
    state["adapter.proj.weight"] = torch.zeros(1)
    with pytest.raises(InteropError, match=r"must be those of transformers' Wav2Vec2Model, but `adapter.proj.weight`"):
        huggingface.load(encoder, state)


def test_missing_and_unexpected_names_are_an_error(encoder: Wav2Vec2Encoder) -> None:
    state = huggingface.to_huggingface(encoder.state_dict())
    state["encoder.layers.7.layer_norm.bias"] = state.pop("encoder.layers.1.layer_norm.bias")
    before = encoder.projection.weight.clone()
    with pytest.raises(InteropError) as error:
        huggingface.load(encoder, {**state, "feature_projection.projection.weight": torch.ones(64, 32)})
    assert "missing are `transformer.layers.1.attention_norm.bias`" in str(error.value)
    assert "`transformer.layers.7.attention_norm.bias`" in str(error.value)
    assert encoder.projection.weight.equal(before)


def test_another_shape_is_an_error(encoder: Wav2Vec2Encoder) -> None:
    state = huggingface.to_huggingface(Wav2Vec2Encoder(replace(tiny(), feed_forward=96)).state_dict())
    with pytest.raises(InteropError, match=r"feed_forward.inner.weight` must be \(128, 64\), but is \(96, 64\)"):
        huggingface.load(encoder, state)


def test_names_of_ours_that_transformers_does_not_have() -> None:
    with pytest.raises(InteropError, match=r"must be those of Wav2Vec2Encoder, but `head.weight` are not"):
        huggingface.to_huggingface({"head.weight": torch.zeros(1)})


def test_config() -> None:
    values = {"model_type": "wav2vec2", "vocab_size": 32, **SMALL, "layerdrop": 0.0, "feat_extract_norm": "layer"}
    config = huggingface.config_from_huggingface(values)
    assert config == Wav2Vec2Config(
        front_end=WaveformFrontEnd(channels=32, norm="layer", normalise=True),
        dim=64,
        layers=2,
        heads=4,
        feed_forward=128,
        position_kernel=16,
        position_groups=4,
        layer_drop=0.0,
    )
    assert huggingface.config_from_huggingface({}) == base()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "hubert"}, "`model_type` must be wav2vec2, but is hubert instead"),
        ({"hidden_act": "relu"}, "`hidden_act` must be gelu, but is relu instead"),
        ({"add_adapter": True}, "`add_adapter` must be False, but is True instead"),
        ({"conv_dim": [32, 64]}, "`conv_dim` must be one width"),
    ],
)
def test_a_config_that_no_encoder_of_ours_can_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InteropError, match=message):
        huggingface.config_from_huggingface(values)
