"""Pre-training goes on from public checkpoints: quantizer and projections of fairseq's and transformers' files."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from noisewise.checkpoints import foreign, model_folder
from noisewise.config import dump, load
from noisewise.errors import InteropError
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.ew2 import EW2, EW2Config
from noisewise.models.wav2vec2.front_end import LogMelFrontEnd, WaveformFrontEnd
from noisewise.models.wav2vec2.pretraining import ContrastConfig, Wav2Vec2Pretraining, Wav2Vec2PretrainingConfig
from noisewise.recipe import Recipe
from noisewise.run import train
from noisewise.text.tokenizer import CharacterTokenizer
from tests.checkpoints.foreign.conftest import SMALL, Maker
from tests.checkpoints.foreign.test_fairseq import renamed, saved, settings
from tests.corpus import write_corpus, write_recipe

HEADS = {"num_codevectors_per_group": 6, "codevector_dim": 12, "proj_codevector_dim": 10}
CONTRAST = ContrastConfig(groups=2, entries=6, quantized_dim=12, contrast_dim=10)
PARTS = ("context_projection", "quantizer", "target_projection")
LAYOUTS = ("transformers", "fairseq")


@pytest.fixture(params=LAYOUTS)
def public(request: pytest.FixtureRequest, a_folder: Maker, tmp_path: Path) -> tuple[Path, Any]:
    """A checkpoint before fine-tuning, and the same model in transformers."""
    transformers = pytest.importorskip("transformers")
    folder = a_folder("ForPreTraining", normalise=False, **HEADS)
    reference = transformers.Wav2Vec2ForPreTraining.from_pretrained(folder).eval()
    return (folder if request.param == "transformers" else a_file(tmp_path / "small.pt", folder)), reference


def a_file(path: Path, folder: Path) -> Path:
    """wav2vec_small.pt in small: fairseq's names, all of them at the top."""
    state = {}
    for name, value in renamed(load_file(folder / "model.safetensors"), False).items():
        name = name.removeprefix("w2v_encoder.w2v_model.")
        name = name.replace("project_hid.", "final_proj.").replace("codevectors", "vars")
        state[name] = value
    assert {"quantizer.vars", "quantizer.weight_proj.weight", "project_q.bias", "final_proj.weight"} <= state.keys()
    return saved(path, {"cfg": {"model": settings(), "task": {"normalize": False}}, "args": None, "model": state})


def an_encoder() -> Wav2Vec2Config:
    return Wav2Vec2Config(
        front_end=WaveformFrontEnd(channels=32),
        dim=64, layers=2, heads=4, feed_forward=SMALL["intermediate_size"], position_kernel=16,
        position_groups=4,
    )  # fmt: skip


def test_contexts_and_quantized_targets_are_those_of_transformers(public: tuple[Path, Any]) -> None:
    path, reference = public
    own = Wav2Vec2Pretraining(Wav2Vec2PretrainingConfig(encoder=an_encoder(), contrast=CONTRAST)).eval()
    assert foreign.read(path).begin(own, CharacterTokenizer()) == ("encoder", *PARTS)
    waveform, lengths = torch.randn(2, 6_000), torch.tensor([6_000, 6_000])
    with torch.inference_mode():
        expected = reference(waveform)
        latents, frames = own.encoder.latents(waveform, lengths)
        context = own.encoder.contextualise(own.encoder.project(latents), frames)
        targets = own.quantizer(own.encoder.norm(latents).flatten(0, 1), 1.0).vectors.view(2, -1, 12)
        torch.testing.assert_close(own.context_projection(context), expected.projected_states, atol=1e-4, rtol=0)
        quantized = own.target_projection(targets)
        torch.testing.assert_close(quantized, expected.projected_quantized_states, atol=1e-4, rtol=0)
    assert quantized.std(dim=1).min() > 1e-3, "several entries must have been chosen"


def test_ew2_goes_on_from_it_by_a_recipe(public: tuple[Path, Any], tmp_path: Path) -> None:
    path, reference = public
    write_corpus(tmp_path)
    sizes = [
        f"model.contrast.{name}={getattr(CONTRAST, name)}" for name in ("entries", "quantized_dim", "contrast_dim")
    ]
    quick = ["train.workers=0", "run.steps=1", "run.validate_every=1", "run.average_decay=0", "optimizer.lr=0"]
    encoder = f"model.encoder={dump(an_encoder())}"
    recipe = load(Recipe, write_recipe(tmp_path, "ew2"), [encoder, *sizes, *quick, f"start_from={path}"])
    train(recipe, tmp_path / "run")
    stage = model_folder.load_stored(tmp_path / "run" / "best")
    assert stage.config.kind == "ew2"
    own, state = stage.weights, reference.state_dict()
    assert own["quantizer.entries"].view(1, 12, 6).equal(state["quantizer.codevectors"])
    assert own["quantizer.logits.weight"].equal(state["quantizer.weight_proj.weight"])
    assert own["target_projection.weight"].equal(state["project_q.weight"])
    assert own["context_projection.bias"].equal(state["project_hid.bias"])
    assert own["encoder.mask_embedding"].equal(state["wav2vec2.masked_spec_embed"])


@pytest.mark.parametrize(
    "changes", [{"entries": 5}, {"groups": 1, "entries": 12, "quantized_dim": 6}, {"contrast_dim": 9}], ids=str
)
def test_other_sizes_begin_at_random_and_the_fields_are_named(
    changes: dict[str, int], public: tuple[Path, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """One group of twelve entries has as many numbers as two of six."""
    model = EW2(EW2Config(encoder=an_encoder(), contrast=replace(CONTRAST, **changes)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        assert foreign.read(public[0]).begin(model, CharacterTokenizer()) == ("encoder",)
    for name, value in model.state_dict().items():
        assert value.equal(before[name]) != name.startswith("encoder."), name
    assert "its quantizer and projections have other shapes, and begin at random; to take them, set" in caplog.text
    for field in ("groups=2", "entries=6", "quantized_dim=12", "contrast_dim=10"):
        assert f"model.contrast.{field}" in caplog.text


def test_an_encoder_alone_leaves_the_rest_as_it_is(a_folder: Maker, caplog: pytest.LogCaptureFixture) -> None:
    model = EW2(EW2Config(encoder=an_encoder(), contrast=CONTRAST))
    for kind in ("Model", "ForCTC"):
        checkpoint = foreign.read(a_folder(kind, normalise=False, name=kind))
        assert checkpoint.pretraining == {}
        assert checkpoint.begin(model, CharacterTokenizer()) == ("encoder",)
    assert not caplog.records


def test_another_feature_encoder_is_refused(public: tuple[Path, Any]) -> None:
    encoder = replace(an_encoder(), front_end=LogMelFrontEnd(channels=32), convolution_kernel=7)
    model = EW2(EW2Config(encoder=encoder, contrast=CONTRAST))
    with pytest.raises(InteropError, match=r"differs; set front_end\.kind=waveform, .*convolution_kernel=0"):
        foreign.read(public[0]).begin(model, CharacterTokenizer())
