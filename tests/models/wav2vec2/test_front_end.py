"""Front ends: their configurations, and those of the time when their fields lay beside others of the encoder."""

from typing import Any

import pytest
import torch

from noisewise.config import dump, override, parse
from noisewise.errors import ConfigError
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config, Wav2Vec2Encoder
from noisewise.models.wav2vec2.front_end import LogMelFrontEnd, WaveformFrontEnd, build_front_end, from_flat
from noisewise.recipe import Recipe

FLAT: dict[str, Any] = {
    "kind": "wav2vec2", "front_end": "waveform", "bins": 80, "channels": 64, "kernels": [10, 3], "strides": [5, 2],
    "convolution_bias": True, "convolution_norm": "layer", "normalise": True, "dim": 32,
}  # fmt: skip
"""As config.json of released models and recipe.yaml of runs had it."""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (FLAT, WaveformFrontEnd(channels=64, kernels=(10, 3), strides=(5, 2), bias=True, norm="layer", normalise=True)),
        ({**FLAT, "front_end": "log_mel"}, LogMelFrontEnd(bins=80, channels=64)),
        ({"front_end": "log_mel"}, LogMelFrontEnd()),
        ({"channels": 64}, WaveformFrontEnd(channels=64)),
        ({"front_end": {"kind": "log_mel", "bins": 40}}, LogMelFrontEnd(bins=40)),
        ({"front_end": {"kind": "waveform"}, "channels": 64}, WaveformFrontEnd(channels=64)),
        ({}, WaveformFrontEnd()),
    ],
    ids=["flat", "flat log-mel", "a name alone", "a field alone", "today", "an old override", "defaults"],
)
def test_every_form_that_a_front_end_has_had_is_read(values: dict[str, Any], expected: Any) -> None:
    before = dict(values)
    config = parse(Wav2Vec2Config, values)
    assert config.front_end == expected and values == before
    assert parse(Wav2Vec2Config, dump(config)) == config
    assert from_flat(dump(config)) == dump(config)


def test_overrides_of_either_form_reach_a_recipe_of_either_form() -> None:
    part = {"manifests": ["corpus"]}
    for encoder in ({"front_end": "log_mel", "channels": 32}, {"front_end": {"kind": "log_mel", "channels": 32}}):
        values = {"train": part, "validation": part, "model": {"kind": "ew2", "encoder": encoder}}
        overrides = ["model.encoder.front_end=waveform", "model.encoder.channels=64"]
        recipe: Any = parse(Recipe, override(values, overrides))
        assert recipe.model.encoder.front_end == WaveformFrontEnd(channels=64)


def test_what_never_was_a_field_is_still_refused() -> None:
    with pytest.raises(ConfigError, match=r"front_end\..*strides: unknown key"):
        parse(Wav2Vec2Config, {"front_end": {"kind": "log_mel", "strides": [5]}})
    with pytest.raises(ConfigError, match=r"front_end\.kind: must be one of"):
        parse(Wav2Vec2Config, {"front_end": "spectrogram"})


def test_both_give_a_frame_every_20_ms() -> None:
    waveform, lengths = torch.randn(2, 16_000), torch.tensor([16_000, 8_000])
    for config in (WaveformFrontEnd(channels=8), LogMelFrontEnd(bins=40, channels=8)):
        front_end = build_front_end(config)
        latents, frames = front_end(waveform, lengths)
        assert front_end.hop == 320 and latents.shape[::2] == (2, 8) and 0 <= 50 - int(frames[0]) <= 1


def test_the_names_of_weights_do_not_tell_the_form_of_the_configuration() -> None:
    encoder = Wav2Vec2Encoder(parse(Wav2Vec2Config, {**FLAT, "heads": 4, "layers": 1}))
    assert {"cnn.layers.0.convolution.weight", "cnn.layers.1.norm.bias", "norm.weight"} <= encoder.state_dict().keys()
