"""The encoders of models of noisewise: their frames, whatever the batch; CLS and times of CAT."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from noisewise.checkpoints import model_folder
from noisewise.embeddings.encoders import PooledEncoder, load
from noisewise.embeddings.encoders.noisewise_model import NoisewiseEncoder
from noisewise.errors import ModelError, NoisewiseError
from noisewise.models.cat.encoder import CAT, CATConfig


def batch() -> tuple[Tensor, Tensor]:
    """Three clips with loud rubbish behind the shorter ones."""
    waveform = torch.randn(3, 16_000, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([16_000, 5_000, 9_000])
    return waveform, lengths


def small_cat(frames: int = 0) -> PooledEncoder:
    torch.manual_seed(2)
    config = CATConfig(
        strides=(4, 8, 16), channels=(8, 12, 16), dim=16, layers=2, heads=2, feed_forward=32, frames=frames
    )
    return PooledEncoder(NoisewiseEncoder("cat", CAT(config), "0", "cpu"))


def test_a_recogniser_gives_the_mean_of_its_encoders_frames(model_dir: Path) -> None:
    waveform, lengths = batch()
    encoder = load(str(model_dir))
    output = model_folder.load(model_dir).model.encoder(waveform, lengths)
    expected = torch.stack(
        [row[:count].mean(dim=0) for row, count in zip(output.features, output.lengths, strict=True)]
    )
    torch.testing.assert_close(encoder(waveform, lengths), expected.detach(), rtol=1e-4, atol=1e-5)
    frames, counts = encoder.frames(waveform, lengths)
    assert torch.equal(counts, output.lengths)
    torch.testing.assert_close(frames, output.features.detach(), rtol=1e-4, atol=1e-5)
    assert encoder.dim == 64 and encoder.pooling == "mean" and encoder.name == model_dir.name
    assert encoder.encoder.weights_sha256 == model_folder.weights_hash(model_dir)


@pytest.mark.parametrize("kind", ["recogniser", "cat"])
def test_neither_padding_nor_the_batch_changes_a_vector(kind: str, model_dir: Path) -> None:
    waveform, lengths = batch()
    encoder = small_cat() if kind == "cat" else load(str(model_dir))
    together = encoder(waveform, lengths)
    for row, count in enumerate(lengths.tolist()):
        alone = encoder(waveform[row : row + 1, :count], lengths[row : row + 1])[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-5)
    waveform[1, 5_000:] = 0
    torch.testing.assert_close(encoder(waveform, lengths), together, rtol=0, atol=0)


def test_cat_gives_its_cls_token_or_the_mean_of_its_times() -> None:
    encoder = small_cat()
    waveform, lengths = batch()
    cat = encoder.encoder.encoder  # type: ignore[attr-defined]
    output = cat(waveform[1:2, :5_000], lengths[1:2])
    assert encoder.pooling == "cls"
    torch.testing.assert_close(encoder(waveform, lengths)[1], output.clip[0], rtol=1e-4, atol=1e-5)
    frames, counts = encoder.frames(waveform, lengths)
    bands = output.tokens.size(1) // int(counts[1])
    assert counts.tolist() == [7, 2, 4] and bands == 8  # 160 ms each
    expected = torch.stack([output.tokens[0, time * bands : (time + 1) * bands].mean(dim=0) for time in range(2)])
    torch.testing.assert_close(frames[1, :2], expected, rtol=1e-4, atol=1e-5)


def test_a_cat_of_so_many_frames_encodes_a_longer_clip_in_parts() -> None:
    """0.64 s at once, of clips of 1 s that differ at their end."""
    encoder = small_cat(frames=64)
    waveform, _ = batch()
    other = waveform[:1].clone()
    other[:, 14_000:] = 0
    lengths = torch.tensor([16_000])
    assert encoder.window == 64 * 160
    assert (encoder(waveform[:1], lengths) - encoder(other, lengths)).abs().max() > 1e-3


def test_vectors_have_no_gradient_and_draw_nothing(model_dir: Path) -> None:
    waveform, lengths = batch()
    waveform.requires_grad_()
    before = torch.random.get_rng_state()
    vectors = load(str(model_dir), normalise=True)(waveform, lengths)
    assert not vectors.requires_grad and torch.equal(before, torch.random.get_rng_state())
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    (torch.nn.Linear(64, 1)(vectors).sum()).backward()  # a training may use them as targets or inputs


def test_a_training_in_half_precision_gets_the_same_vectors(model_dir: Path) -> None:
    encoder, (waveform, lengths) = load(str(model_dir)), batch()
    expected = encoder(waveform, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(encoder(waveform, lengths), expected)


def test_the_box_is_known_by_name_and_nonsense_is_not(tmp_path: Path) -> None:
    assert load("box").name == "box"
    with pytest.raises(NoisewiseError, match="`encoder` must be box, a model folder, a folder of transformers, hf:"):
        load("bix")
    with pytest.raises(NoisewiseError, match="lacks config"):
        load(str(tmp_path))


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("frames", [0, 64])
def test_a_clip_without_a_frame_has_no_vector(pooling: str, frames: int) -> None:
    encoder = PooledEncoder(small_cat(frames).encoder, pooling=pooling)
    waveform, _ = batch()
    encoder(waveform, torch.tensor([16_000, 500, 9_000]))
    with pytest.raises(ModelError, match="must be long enough for a frame"):
        encoder(waveform, torch.tensor([16_000, 300, 9_000]))
