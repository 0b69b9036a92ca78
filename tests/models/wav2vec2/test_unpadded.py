"""Utterances go one by one where a CPU would spend much of a batch on padding, and their features stay the same."""

import pytest
import torch
from torch import Tensor

from noisewise.models.wav2vec2.encoder import Wav2Vec2Encoder, tiny
from noisewise.models.wav2vec2.unpadded import suits, unpadded_on_cpu


def test_short_utterances_go_together_and_long_ones_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, batches = Wav2Vec2Encoder(tiny()).eval(), list[int]()
    plain = encoder.transformer.forward

    def watched(features: Tensor, lengths: Tensor) -> Tensor:
        batches.append(len(features))
        return plain(features, lengths)

    monkeypatch.setattr(encoder.transformer, "forward", watched)
    with torch.inference_mode():
        encoder(torch.randn(3, 9_000), torch.tensor([9_000, 4_000, 3_000]))
        assert batches == [3]
        encoder(torch.randn(3, 90_000), torch.tensor([90_000, 40_000, 30_000]))
        assert batches == [3, 1, 1, 1]


class Doubled:
    """A method that remembers what it was given."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    @unpadded_on_cpu
    def forward(self, features: Tensor, frames: Tensor) -> Tensor:
        self.shapes.append(tuple(features.shape))
        return features * 2


def test_one_by_one_gives_the_same_and_zero_padding() -> None:
    features, frames = torch.randn(3, 200, 4), torch.tensor([200, 60, 0])
    owner = Doubled()
    found = owner.forward(features, frames)
    assert owner.shapes == [(1, 200, 4), (1, 60, 4)]
    assert torch.equal(found[1, :60], features[1, :60] * 2)
    assert not found[1, 60:].any() and not found[2].any()


def test_not_when_learning_nor_without_much_padding() -> None:
    features = torch.randn(2, 200, 4)
    assert suits(features, torch.tensor([200, 100]))
    assert not suits(features, torch.tensor([200, 190]))
    assert not suits(features.requires_grad_(), torch.tensor([200, 100]))
