"""Encoders of transformers give here what transformers itself gives for one clip, whatever the batch."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.audio.waveform import resample
from noisewise.embeddings.encoders import PooledEncoder, load
from noisewise.errors import ModelError
from tests.embeddings.encoders.conftest import Write

transformers: Any = pytest.importorskip("transformers")

SPEECH = ("wav2vec2", "hubert", "wavlm", "data2vec")
EVERY = ("ast", "clap", "clap-fused", "whisper", "wav2vec2-bert", *SPEECH)


def clip(seconds: float, seed: int = 0, rate: int = 16_000) -> Tensor:
    return 0.1 * torch.randn(round(seconds * rate), generator=torch.Generator().manual_seed(seed))


def reference(folder: Path, waveform: Tensor, rate: int = 16_000) -> tuple[Any, Any]:
    """Model of the folder and its output for one clip, without any code of noisewise."""
    extractor: Any = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model: Any = transformers.AutoModel.from_pretrained(folder).eval()
    model = model.encoder if folder.name == "tiny-whisper" else model
    inputs = extractor(waveform.numpy(), sampling_rate=rate, return_tensors="pt")
    with torch.no_grad():
        if "clap" in folder.name:
            return model, model.get_audio_features(**{key: value for key, value in inputs.items()})
        return model, model(**inputs)


def alone(encoder: PooledEncoder, waveform: Tensor, rate: int = 16_000) -> Tensor:
    return encoder(waveform[None], torch.tensor([len(waveform)]), rate)[0]


@pytest.mark.parametrize("family", [*SPEECH, "wav2vec2-bert"])
def test_speech_encoders_give_the_mean_of_their_frames(write: Write, family: str) -> None:
    waveform = clip(1.3)
    _, output = reference(write(family), waveform)
    encoder = load(str(write(family)))
    torch.testing.assert_close(alone(encoder, waveform), output.last_hidden_state[0].mean(dim=0), rtol=1e-4, atol=1e-5)
    frames, counts = encoder.frames(waveform[None], torch.tensor([len(waveform)]))
    torch.testing.assert_close(frames[0], output.last_hidden_state[0], rtol=1e-4, atol=1e-5)
    assert counts.tolist() == [output.last_hidden_state.size(1)] and encoder.dim == encoder.frame_dim == 32


def test_ast_gives_its_pooler_cls_and_patches(write: Write) -> None:
    waveform = clip(1.0)
    _, output = reference(write("ast"), waveform)
    hidden = output.last_hidden_state[0]  # CLS, distillation, 12 bands of 19 times
    expected = {"pooler": output.pooler_output[0], "cls": hidden[0]}
    times = (1 + (16_000 - 400) // 160 + 9) // 10  # those that begin in the clip
    patches = [[hidden[2 + band * 19 + time] for band in range(12)] for time in range(times)]
    frames = torch.stack([torch.stack(bands).mean(dim=0) for bands in patches])
    expected["mean"] = frames.mean(dim=0)
    for pooling, vector in expected.items():
        found = alone(load(str(write("ast")), pooling=pooling), waveform)
        torch.testing.assert_close(found, vector, rtol=1e-4, atol=1e-5)
    assert load(str(write("ast"))).pooling == "pooler"
    found, counts = load(str(write("ast"))).frames(waveform[None], torch.tensor([16_000]))
    assert counts.tolist() == [times]
    torch.testing.assert_close(found[0], frames, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["clap", "clap-fused"])
def test_clap_gives_its_vector_in_the_space_of_audio_and_text(write: Write, family: str) -> None:
    waveform = clip(1.0, rate=48_000)
    _, output = reference(write(family), waveform, 48_000)
    expected = output if isinstance(output, Tensor) else output.pooler_output
    encoder = load(str(write(family)))
    assert encoder.pooling == "pooler" and encoder.sample_rate == 48_000 and encoder.dim == 24
    torch.testing.assert_close(alone(encoder, waveform, 48_000), expected[0], rtol=1e-4, atol=1e-5)


def test_whisper_is_encoded_at_the_length_of_the_clip(write: Write) -> None:
    waveform = clip(2.0)
    waveform[-400:] = 0  # what transformers mirrors at the end of its 2 s
    _, output = reference(write("whisper"), waveform)
    expected = output.last_hidden_state[0].mean(dim=0)
    encoder = load(str(write("whisper")))
    torch.testing.assert_close(alone(encoder, waveform), expected, rtol=1e-4, atol=1e-4)
    assert encoder.frames(waveform[None, :16_000], torch.tensor([16_000]))[1].tolist() == [50]  # 20 ms each


@pytest.mark.parametrize("family", EVERY)
def test_neither_padding_nor_the_batch_changes_a_vector(write: Write, family: str) -> None:
    encoder = load(str(write(family)))
    clips = [clip(seconds, seed) for seed, seconds in enumerate((0.6, 1.1, 0.6))]
    lengths = torch.tensor([len(each) for each in clips])
    batch = 5 * torch.randn(3, 20_000, generator=torch.Generator().manual_seed(9))  # loud where nothing is valid
    for row, each in enumerate(clips):
        batch[row, : len(each)] = each
    together, (frames, counts) = encoder(batch, lengths), encoder.frames(batch, lengths)
    assert together.shape == (3, encoder.dim)
    for row, each in enumerate(clips):
        torch.testing.assert_close(together[row], alone(encoder, each), rtol=1e-4, atol=1e-5)
        own, count = encoder.frames(each[None], lengths[row : row + 1])
        assert counts[row] == count[0] and not frames[row, counts[row] :].any()
        torch.testing.assert_close(frames[row, : counts[row]], own[0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[2], atol=1e-3)  # clips of the same length are not mixed up


def test_other_rates_are_resampled(write: Write) -> None:
    encoder, waveform = load(str(write("clap"))), clip(0.5)
    expected = alone(encoder, torch.from_numpy(resample(waveform.numpy(), 16_000, 48_000)), 48_000)
    torch.testing.assert_close(alone(encoder, waveform), expected)
    assert not torch.allclose(alone(encoder, waveform, 48_000), expected, atol=1e-3)


def test_longer_clips_are_encoded_in_equal_parts(write: Write) -> None:
    encoder, waveform = load(str(write("whisper"))), clip(5.0)  # its longest input is 2 s
    parts = [waveform[start : start + 26_667] for start in (0, 26_667, 53_334)]
    expected = torch.stack([alone(encoder, part) for part in parts]).mean(dim=0)
    torch.testing.assert_close(alone(encoder, waveform), expected, rtol=1e-4, atol=1e-5)
    speech = load(str(write("hubert")), window_seconds=0.5)
    halves = torch.stack([alone(speech, half) for half in clip(1.0).chunk(2)]).mean(dim=0)
    torch.testing.assert_close(alone(speech, clip(1.0)), halves, rtol=1e-4, atol=1e-5)
    with pytest.raises(ModelError, match=r"`window_seconds` must be positive and at most 2.00, but is 3"):
        load(str(write("whisper")), window_seconds=3)


def test_random_truncation_of_clap_is_never_reached(write: Write) -> None:
    encoder, waveform = load(str(write("clap"))), clip(11, rate=48_000)
    torch.testing.assert_close(alone(encoder, waveform, 48_000), alone(encoder, waveform, 48_000), rtol=0, atol=0)


def test_a_checkpoint_with_a_head_gives_its_encoder(write: Write) -> None:
    folder, waveform = write("wav2vec2-ctc"), clip(0.7)
    model: Any = transformers.Wav2Vec2ForCTC.from_pretrained(folder).eval()
    inputs = transformers.AutoFeatureExtractor.from_pretrained(folder)(
        waveform.numpy(), sampling_rate=16_000, return_tensors="pt"
    )
    with torch.no_grad():
        expected = model.wav2vec2(**inputs).last_hidden_state[0].mean(dim=0)
    torch.testing.assert_close(alone(load(str(folder)), waveform), expected, rtol=1e-4, atol=1e-5)


def test_what_is_no_audio_encoder_is_refused(write: Write, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    bare = tmp_path / "bare"
    shutil.copytree(write("hubert"), bare)
    (bare / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="must be an audio encoder of transformers with its extractor"):
        load(str(bare))
    partial = tmp_path / "partial"
    shutil.copytree(write("hubert"), partial)
    weights = load_file(partial / "model.safetensors")
    weights.pop("feature_projection.projection.weight")
    save_file(weights, partial / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"must hold every weight, but lacks `feature_projection\.projection\.weight`"):
        load(str(partial))
    with pytest.raises(ModelError, match="`pooling` must be one of mean for"):
        load(str(write("hubert")), pooling="cls")


def test_too_short_a_clip_is_refused(write: Write) -> None:
    with pytest.raises((ModelError, RuntimeError)):
        alone(load(str(write("wav2vec2"))), clip(0.01))
