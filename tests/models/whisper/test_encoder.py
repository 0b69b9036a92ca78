"""The encoder of Whisper: the features of transformers, whatever the padding; sizes from its source; frozen layers."""

import json
from pathlib import Path

import pytest
import torch

from noisewise.config import parse
from noisewise.errors import ConfigError, ModelError
from noisewise.models.any_encoder import build_encoder
from noisewise.models.logmel_transformer import SpecAugmentConfig
from noisewise.models.wav2vec2 import unpadded
from noisewise.models.whisper.encoder import WhisperEncoder, WhisperEncoderConfig, base, sinusoids, tiny
from noisewise.models.whisper.front_end import LONGEST, log_mel
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
