"""Encoders of transformers behind our interface: the same features, whatever the padding; fine-tuned by a recipe."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from noisewise.checkpoints import model_folder
from noisewise.config import load
from noisewise.errors import ModelError
from noisewise.models.pretrained import PretrainedConfig, PretrainedEncoder
from noisewise.recipe import Recipe
from noisewise.run import train
from tests.checkpoints.foreign.conftest import LARGE, Maker, a_folder
from tests.corpus import write_corpus, write_recipe

__all__ = ["a_folder"]

FAMILIES: dict[str, dict[str, Any]] = {
    "Wav2Vec2": LARGE,  # XLS-R
    "Hubert": {},
    "WavLM": {"num_buckets": 20, "max_bucket_distance": 40},
    "Data2VecAudio": {"conv_pos_kernel_size": 5},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_those_of_transformers_whatever_the_padding(family: str, a_folder: Maker) -> None:
    transformers = pytest.importorskip("transformers")
    folder = a_folder("Model", family=family, normalise=False, **FAMILIES[family])
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    ours = PretrainedEncoder(PretrainedConfig(source=str(folder))).eval()
    waveform, lengths = torch.randn(3, 9_000), torch.tensor([9_000, 5_000, 300])
    waveform[1, 5_000:] = 7.0
    with torch.inference_mode():
        output = ours(waveform, lengths)
        assert output.lengths.tolist() == [27, 15, 0]
        for row, (samples, frames) in enumerate([(9_000, 27), (5_000, 15)]):
            expected = theirs(waveform[row : row + 1, :samples]).last_hidden_state[0]
            torch.testing.assert_close(output.features[row, :frames], expected, atol=1e-5, rtol=0)
            assert output.features[row, frames:].abs().sum() == 0
    assert (ours.dim, ours.hop) == (64, 320)


def test_normalise_is_what_the_folder_says(a_folder: Maker) -> None:
    encoder = PretrainedEncoder(PretrainedConfig(source=str(a_folder("Model", family="Hubert", normalise=True)))).eval()
    waveform, lengths = torch.randn(1, 4_000), torch.tensor([4_000])
    with torch.inference_mode():
        plain, louder = (encoder(each, lengths).features for each in (waveform, waveform * 9 + 3))
    torch.testing.assert_close(plain, louder, atol=1e-4, rtol=0)


def test_masks_repeat_with_the_seed_and_the_convolutions_are_frozen(a_folder: Maker) -> None:
    source = str(a_folder("Model", family="Hubert", hidden_dropout=0.0, attention_dropout=0.0, layerdrop=0.0,
                          activation_dropout=0.0, feat_proj_dropout=0.0))  # fmt: skip
    encoder = PretrainedEncoder(PretrainedConfig(source=source, time_mask_probability=0.65)).train()
    waveform, lengths = torch.randn(1, 9_000), torch.tensor([9_000])
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(encoder(waveform, lengths).features)
    assert found[0].equal(found[1]) and not found[0].equal(found[2])
    found[0].square().sum().backward()
    gradients = {name.split(".")[1]: value.grad is not None for name, value in encoder.named_parameters()}
    assert not gradients["feature_extractor"] and gradients["encoder"] and gradients["masked_spec_embed"]


def test_a_recipe_fine_tunes_it_and_the_release_needs_no_source(a_folder: Maker, tmp_path: Path) -> None:
    source = a_folder("Model", family="WavLM", **FAMILIES["WavLM"])
    write_corpus(tmp_path)
    quick = ["train.workers=0", "run.steps=1", "run.validate_every=1", "run.average_decay=0", "optimizer.lr=1e-2"]
    chosen = load(Recipe, write_recipe(tmp_path, "pretrained"), [f"model.encoder.source={source}", *quick])
    train(chosen, tmp_path / "run")
    before = PretrainedEncoder(PretrainedConfig(source=str(source)))
    shutil.rmtree(source)
    loaded = model_folder.load(tmp_path / "run" / "best")
    moved = [
        name for name, value in loaded.model.encoder.state_dict().items() if not value.equal(before.state_dict()[name])
    ]
    assert any("encoder.layers" in name for name in moved)
    assert not any("feature_extractor" in name for name in moved)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (PretrainedConfig(), "`encoder.source` must be a folder"),
        (PretrainedConfig(architecture={"model_type": "bert"}), "must be one of wav2vec2, hubert"),
        (PretrainedConfig(architecture={"model_type": "whisper"}), "write `kind: whisper` in the place of"),
        (PretrainedConfig(architecture={"model_type": "hubert", "hidden_size": 7}), "cannot be built"),
    ],
)
def test_what_is_no_encoder_is_refused(config: PretrainedConfig, message: str) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(ModelError, match=message):
        PretrainedEncoder(config)
