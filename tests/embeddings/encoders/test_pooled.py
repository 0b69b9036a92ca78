"""Pooling, windows, rates and batches, over an encoder that is written down here."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from noisewise.embeddings.encoders.pooled import PooledEncoder
from noisewise.embeddings.encoders.protocol import Encoding, FrozenEncoder
from noisewise.errors import ModelError


class Blocks(FrozenEncoder):
    """A frame is the mean and the maximum of ten samples; CLS is the number of samples."""

    name, sample_rate, window, pooling = "blocks", 8_000, None, None
    weights_sha256 = None
    details: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, window: int | None = None) -> None:
        self.window = window
        self.sizes: list[list[int]] = []

    def encode(self, clips: Sequence[Tensor]) -> list[Encoding]:
        self.sizes.append([len(clip) for clip in clips])
        return [self.one(clip) for clip in clips]

    def one(self, clip: Tensor) -> Encoding:
        frames = clip[: len(clip) // 10 * 10].view(-1, 10)
        return Encoding(
            torch.stack((frames.mean(dim=1), frames.amax(dim=1)), dim=1), cls=torch.tensor([float(len(clip))])
        )


def test_the_first_pooling_that_there_is_or_the_one_that_is_asked_for() -> None:
    clip = torch.arange(40.0)
    (mean,) = PooledEncoder(Blocks()).vectors([clip])
    assert mean.tolist() == [19.5, 24.0]
    encoder = PooledEncoder(Blocks(), pooling="cls")
    assert encoder.vectors([clip])[0].tolist() == [40] and encoder.dim == 1 and encoder.frame_dim == 2
    with pytest.raises(ModelError, match="`pooling` must be one of mean, cls for `blocks`, but is 'pooler'"):
        PooledEncoder(Blocks(), pooling="pooler")


def test_a_longer_clip_is_encoded_in_equal_parts_and_their_vectors_are_averaged() -> None:
    inner = Blocks(window=50)
    encoder, clip = PooledEncoder(inner), torch.arange(120.0)
    (vector,) = encoder.vectors([clip])
    assert inner.sizes[-1] == [40, 40, 40]
    assert torch.allclose(vector, torch.stack([inner.one(part).frames.mean(0) for part in clip.chunk(3)]).mean(0))
    (frames,) = encoder.frame_vectors([clip])
    assert torch.equal(frames, inner.one(clip).frames)  # type: ignore[arg-type]
    inner.sizes.clear()
    PooledEncoder(inner, window_seconds=0.004).vectors([clip, clip[:30]])  # 32 samples at 8 kHz
    assert inner.sizes[-1] == [30, 30, 30, 30, 30]
    for wrong in (0, 1.0):
        with pytest.raises(ModelError, match=r"`window_seconds` must be positive and at most 0\.01, but is"):
            PooledEncoder(inner, window_seconds=wrong)


def test_a_batch_is_resampled_without_its_padding() -> None:
    waveform = torch.full((2, 400), 0.25)
    waveform[1, 200:] = 99
    encoder = PooledEncoder(Blocks(), pooling="cls")
    assert encoder(waveform, torch.tensor([400, 200])).tolist() == [[200], [100]]  # 16 kHz to 8 kHz
    assert encoder(waveform, torch.tensor([400, 200]), 8_000).tolist() == [[400], [200]]
    frames, counts = encoder.frames(waveform, torch.tensor([400, 200]), 8_000)
    assert counts.tolist() == [40, 20] and not frames[1, 20:].any() and (frames[:, :20] == 0.25).all()


def test_vectors_of_length_1() -> None:
    encoder = PooledEncoder(Blocks(), normalise=True)
    assert encoder.vectors([torch.arange(40.0)])[0].norm() == pytest.approx(1)
    assert encoder.frame_vectors([torch.arange(40.0)])[0].norm(dim=1).tolist() == pytest.approx([1] * 4)


def test_a_clip_without_a_frame_is_refused() -> None:
    for pooling in ("mean", "cls"):
        with pytest.raises(ModelError, match="must be long enough for a frame of `blocks`"):
            PooledEncoder(Blocks(), pooling=pooling).vectors([torch.zeros(9)])
