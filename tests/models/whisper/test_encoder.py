"""The encoder of Whisper: the features of transformers, whatever the padding; sizes from its source; frozen layers."""

import json
import shutil
from math import isfinite
from pathlib import Path

import pytest
import torch
import yaml

from noisewise.checkpoints import foreign, model_folder
from noisewise.config import load, parse
from noisewise.errors import ConfigError, ModelError
from noisewise.inference.recogniser import Recogniser
from noisewise.models.any_encoder import build_encoder
from noisewise.models.logmel_transformer import SpecAugmentConfig
from noisewise.models.wav2vec2 import unpadded
from noisewise.models.whisper.encoder import WhisperEncoder, WhisperEncoderConfig, base, sinusoids, tiny
from noisewise.models.whisper.front_end import LONGEST, log_mel
from noisewise.recipe import Recipe
from noisewise.run import train
from noisewise.training import log
from tests.corpus import write_corpus, write_recipe, write_whisper
from tests.models.whisper.conftest import Maker

SMALL = WhisperEncoderConfig(dim=32, layers=2, heads=4, feed_forward=48, positions=200)


@pytest.mark.parametrize("kind", ["ForConditionalGeneration", "Model", "Encoder"])
def test_features_of_30_seconds_are_those_of_transformers(kind: str, a_whisper: Maker) -> None:
    transformers = pytest.importorskip("transformers")
    folder = a_whisper(kind)
    ours = WhisperEncoder(WhisperEncoderConfig(source=str(folder))).eval()
    if kind == "Encoder":
        kinds = transformers.models.whisper.modeling_whisper
        theirs = kinds.WhisperEncoder.from_pretrained(folder).eval()
    else:
        theirs = transformers.AutoModel.from_pretrained(folder).encoder.eval()
    torch.manual_seed(0)
    waveform = torch.randn(1, LONGEST) * 0.1
    made = transformers.WhisperFeatureExtractor()(waveform[0].numpy(), sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        expected = theirs(made.input_features).last_hidden_state
        output = ours(waveform, torch.tensor([LONGEST]))
    assert output.lengths.tolist() == [1500] and (ours.dim, ours.hop) == (32, 320)
    torch.testing.assert_close(output.features, expected, atol=1e-4, rtol=0)


@pytest.mark.real
def test_features_of_real_whispers_are_those_of_transformers(a_real_whisper: Path) -> None:
    """In float64: channels of great size leave transformers itself 4e-4 to 1e-3 from the true value in float32."""
    transformers = pytest.importorskip("transformers")
    ours = WhisperEncoder(WhisperEncoderConfig(source=str(a_real_whisper))).eval()
    theirs = transformers.WhisperModel.from_pretrained(a_real_whisper).encoder.eval()
    torch.manual_seed(0)
    mel, counts = log_mel(torch.randn(1, LONGEST) * 0.1, torch.tensor([LONGEST]))
    with torch.inference_mode():
        single = theirs(mel).last_hidden_state - ours.encode_mel(mel, counts).features
        exact = (
            theirs.double()(mel.double()).last_hidden_state - ours.double().encode_mel(mel.double(), counts).features
        )
    assert exact.abs().max() < 1e-9 and single.square().mean().sqrt() < 1e-5


def test_neither_padding_nor_company_changes_an_utterance() -> None:
    torch.manual_seed(0)
    encoder = build_encoder(SMALL).eval()
    waveform, lengths = torch.full((4, 50_000), float("nan")), [50_000, 20_100, 100, 0]
    for row, samples in enumerate(lengths):
        waveform[row, :samples] = torch.randn(samples) * 10.0**-row
    with torch.inference_mode():
        output = encoder(waveform, torch.tensor(lengths))
        assert output.lengths.tolist() == [157, 63, 1, 0]
        for row, (samples, frames) in enumerate(zip(lengths[:3], output.lengths.tolist(), strict=False)):
            alone = encoder(waveform[row : row + 1, :samples], torch.tensor([samples])).features[0]
            torch.testing.assert_close(output.features[row, :frames], alone, atol=1e-5, rtol=0)
        for row, frames in enumerate(output.lengths.tolist()):
            assert not output.features[row, frames:].any()


def test_learning_from_utterances_one_by_one_is_learning_from_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    encoder = WhisperEncoder(SMALL).train()
    waveform, lengths = torch.randn(3, 60_000), torch.tensor([60_000, 21_000, 25_000])
    found = []
    for apart in (True, False):
        monkeypatch.setattr(unpadded, "suits", lambda *_, learning, apart=apart: apart)
        encoder.zero_grad()
        features = encoder(waveform, lengths).features
        features.square().sum().backward()  # type: ignore[no-untyped-call]
        found.append((features, *(each.grad for each in encoder.parameters())))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=1e-4)


def test_learning_in_bfloat16_gives_finite_gradients_to_all_but_frozen_layers() -> None:
    torch.manual_seed(0)
    encoder = WhisperEncoder(parse(WhisperEncoderConfig, {**vars(SMALL), "frozen_layers": 1})).train()
    with torch.autocast("cpu", torch.bfloat16):
        output = encoder(torch.randn(2, 30_000), torch.tensor([30_000, 9_000]))
    output.features.float().square().sum().backward()  # type: ignore[no-untyped-call]
    trained = {name for name, value in encoder.named_parameters() if value.grad is not None}
    assert trained == {
        name for name in encoder.state_dict() if name.startswith(("transformer.layers.1", "transformer.f"))
    }
    assert all(value.grad.isfinite().all() for value in encoder.parameters() if value.grad is not None)


def test_spectrogram_masks_are_drawn_in_training_alone() -> None:
    torch.manual_seed(0)
    encoder = WhisperEncoder(parse(WhisperEncoderConfig, {**vars(SMALL), "spec_augment": vars(SpecAugmentConfig())}))
    waveform, lengths = torch.randn(1, 30_000), torch.tensor([30_000])
    with torch.no_grad():
        once, again = (encoder.train()(waveform, lengths).features for _ in range(2))
        calm, still = (encoder.eval()(waveform, lengths).features for _ in range(2))
    assert not once.equal(again) and calm.equal(still)


def test_positions_are_those_of_transformers() -> None:
    modeling = pytest.importorskip("transformers.models.whisper.modeling_whisper")
    torch.testing.assert_close(sinusoids(1500, 384), modeling.sinusoids(1500, 384), atol=5e-4, rtol=0)


def test_sizes_come_from_the_source_and_the_settled_configuration_needs_it_no_more(a_whisper: Maker) -> None:
    folder = a_whisper()
    encoder = WhisperEncoder(WhisperEncoderConfig(source=str(folder), dropout=0.2))
    settled = encoder.settled()
    assert settled == WhisperEncoderConfig(dim=32, layers=2, heads=4, feed_forward=48, dropout=0.2)
    assert {name: value.shape for name, value in settled.build().state_dict().items()} == {
        name: value.shape for name, value in encoder.state_dict().items()
    }
    with pytest.raises(ConfigError, match=r"`encoder.dim` must be 32, .* but is 64"):
        WhisperEncoder(WhisperEncoderConfig(source=str(folder), dim=64))


def test_longer_than_its_positions_is_refused_but_not_longer_padding() -> None:
    encoder = WhisperEncoder(SMALL).eval()
    assert encoder(torch.zeros(1, 70_000), torch.tensor([64_000])).lengths.tolist() == [200]
    with pytest.raises(ModelError, match=r"must be 4 s at most for this encoder, but is 4\.00 s"):
        encoder(torch.zeros(1, 70_000), torch.tensor([64_001]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "bert"}, "has the model type bert; take an encoder of kind `pretrained`"),
        ({"encoder_attention_heads": 5}, "heads of .* must divide the width 32, but are 5"),
        ({"encoder_layers": 10**9}, "`encoder_layers` of .* must be 2, the size of its weights"),
        ({"activation_function": "relu"}, "`activation_function` of .* must be gelu"),
    ],
)
def test_other_configurations_are_refused(values: dict[str, object], message: str, a_whisper: Maker) -> None:
    folder = a_whisper()
    known = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**known, **values}))
    with pytest.raises(ModelError, match=message):
        WhisperEncoder(WhisperEncoderConfig(source=str(folder)))


def test_broken_folders_are_refused(a_whisper: Maker, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="must be the folder of a Whisper"):
        WhisperEncoder(WhisperEncoderConfig(source=str(tmp_path / "absent")))
    folder = a_whisper()
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:1000])
    with pytest.raises(ModelError, match="must be a safetensors file"):
        WhisperEncoder(WhisperEncoderConfig(source=str(folder)))
    with pytest.raises(ConfigError, match="`frozen_layers` must be 0 to 2"):
        WhisperEncoder(parse(WhisperEncoderConfig, {**vars(SMALL), "frozen_layers": 3}))


def test_named_sizes() -> None:
    with torch.device("meta"):
        models = [size.build() for size in (tiny(), base())]
    assert [sum(each.numel() for each in model.state_dict().values()) for model in models] == [8_209_920, 20_593_664]


QUICK = ("train.workers=0", "run.steps=1", "run.validate_every=1", "run.average_decay=0", "optimizer.lr=1e-2")


def test_ctc_over_it_is_trained_released_without_its_source_aligns_and_transcribes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path)
    write_whisper(tmp_path / "whisper")
    begun = WhisperEncoderConfig(source="whisper").build().state_dict()
    train(load(Recipe, write_recipe(tmp_path, "whisper_ctc"), QUICK), tmp_path / "run")
    shutil.rmtree(tmp_path / "whisper")
    loaded = model_folder.load(tmp_path / "run" / "best")
    assert isinstance(loaded.config.encoder, WhisperEncoderConfig)
    assert loaded.config.encoder.dim == 16 and not loaded.config.encoder.source
    learned = loaded.model.encoder.state_dict()
    changed = {name for name, value in begun.items() if not value.equal(learned[name])}
    assert changed and all(name.startswith(("transformer.layers.1.", "transformer.final_norm.")) for name in changed)
    recogniser, waveform = Recogniser(loaded), torch.randn(40_000).numpy() * 0.1
    transcript = recogniser.transcribe(waveform, beam=4)
    assert transcript.error is None and all(0 <= word.start <= word.end <= 2.5 for word in transcript.words)
    ((_, aligned),) = recogniser.align([(waveform, "go home")])
    assert [word.text for word in aligned.words] == ["go", "home"] and aligned.words[-1].end <= 2.5


def test_stages_2_and_3_of_wav2code_learn_on_it_from_a_public_folder_and_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path)
    write_whisper(tmp_path / "whisper")
    begun = foreign.read(tmp_path / "whisper").weights
    for name in ("codebook", "wav2code"):
        path = write_recipe(tmp_path, name)
        known = yaml.safe_load(path.read_text())
        known["model"]["encoder"], known["start_from"] = {"kind": "whisper"}, "whisper"
        path.write_text(yaml.safe_dump(known))
        for steps in (1, 2):  # the second goes on from the checkpoint of the first
            train(load(Recipe, path, [*QUICK, f"run.steps={steps}", "run.save_every=1"]), tmp_path / "runs" / name)
        records = log.read(tmp_path / "runs" / name, "train")
        assert [record["step"] for record in records] == [1, 2]
        assert all(isfinite(record["loss"]) for record in records)
    stages = [model_folder.load_stored(tmp_path / "runs" / name / "best") for name in ("codebook", "wav2code")]
    for stored in stages:
        assert stored.config.encoder == WhisperEncoderConfig(dim=16, layers=2, heads=2, feed_forward=32)
    codes = [stored.weights["codebook.entries"] for stored in stages]
    assert codes[0].equal(codes[1])
    name = "transformer.layers.1.feed_forward.inner.weight"
    assert not stages[1].weights[f"encoder.{name}"].equal(begun[name])
    recogniser = Recogniser.load(tmp_path / "runs" / "wav2code" / "best")
    assert recogniser.transcribe(torch.randn(16_000).numpy()).error is None
