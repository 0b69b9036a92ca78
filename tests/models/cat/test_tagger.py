"""The head for labels: pooling, losses by formula, freezing, learning rates by layer."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from noisewise.models.cat.encoder import CAT, CATConfig
from noisewise.models.cat.tagger import CATTagger, CATTaggerConfig, layer_scale

ENCODER = CATConfig(channels=(8, 12, 32), blocks=1, bins=32, dim=32, layers=2, heads=2, feed_forward=48)


def tagger(**changes: Any) -> CATTagger:
    torch.manual_seed(0)
    return CATTagger(CATTaggerConfig(**{"encoder": ENCODER, "classes": 5, **changes}))


def clips() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(3, 24_000) * 0.05, torch.tensor([24_000, 9_000, 16_000])


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_and_batch_change_nothing(pooling: str) -> None:
    model = tagger(pooling=pooling).eval()
    waveform, lengths = clips()
    together = model(waveform, lengths)
    assert together.shape == (3, 5)
    for row, length in enumerate(lengths.tolist()):
        alone = model(waveform[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(together[row], alone[0], atol=1e-4, rtol=1e-4)


def test_pooling_is_what_it_says() -> None:
    waveform, lengths = clips()
    for pooling in ("cls", "mean"):
        model = tagger(pooling=pooling).eval()
        output = model.encoder(waveform, lengths)
        pooled = output.clip if pooling == "cls" else output.pooled()
        torch.testing.assert_close(model(waveform, lengths), model.head(model.norm(pooled)))


def test_losses_by_formula() -> None:
    waveform, lengths = clips()
    many = torch.tensor([[1.0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 1]])
    model = tagger().eval()
    probabilities = model.probabilities(waveform, lengths)
    expected = -(many * probabilities.log() + (1 - many) * (1 - probabilities).log()).mean(dim=1)
    torch.testing.assert_close(model.loss(waveform, lengths, many), expected)
    one = torch.eye(5)[[2, 0, 4]]
    model = tagger(labels="one", label_smoothing=0.1).eval()
    probabilities = model.probabilities(waveform, lengths)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3))
    expected = -((0.9 * one + 0.02) * probabilities.log()).sum(dim=1)
    torch.testing.assert_close(model.loss(waveform, lengths, one), expected)


def test_training_masks_and_mixes_and_evaluation_does_not() -> None:
    waveform, lengths = clips()
    labels = torch.eye(5)[[2, 0, 4]]
    for changes in ({"mixup": 0.0}, {"mask_fraction": 0.0, "mixup_chance": 1.0}):
        model = tagger(**changes)
        assert not torch.equal(model.loss(waveform, lengths, labels), model.loss(waveform, lengths, labels))
        model.eval()
        assert torch.equal(model.loss(waveform, lengths, labels), model.loss(waveform, lengths, labels))
    still = tagger(mixup=0.0, mask_fraction=0.0)
    torch.testing.assert_close(still.loss(waveform, lengths, labels), still.eval().loss(waveform, lengths, labels))


def test_it_learns_three_clips() -> None:
    waveform, lengths = clips()
    labels = torch.eye(5)[[2, 0, 4]]
    model = tagger(labels="one", mixup=0.0, mask_fraction=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    before = model.loss(waveform, lengths, labels).mean().item()
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(waveform, lengths, labels).mean().backward()
        optimizer.step()
    assert model.loss(waveform, lengths, labels).mean().item() < before / 4
    assert model.eval()(waveform, lengths).argmax(dim=1).tolist() == [2, 0, 4]


def test_a_probe_leaves_the_encoder_alone_and_in_evaluation() -> None:
    waveform, lengths = clips()
    encoder = CATConfig(**{**vars(ENCODER), "drop_path": 0.5})
    model = tagger(encoder=encoder, frozen=True, mixup=0.0, mask_fraction=0.0).train()
    assert model.training and not model.encoder.training
    labels = torch.eye(5)[[2, 0, 4]]
    losses = model.loss(waveform, lengths, labels)
    assert torch.equal(losses, model.loss(waveform, lengths, labels))
    losses.sum().backward()
    assert {name for name, value in model.named_parameters() if value.grad is not None} == {
        "norm.weight",
        "norm.bias",
        "head.weight",
        "head.bias",
    }


def test_it_starts_from_a_pre_trained_encoder_whole_or_not_at_all() -> None:
    torch.manual_seed(7)
    encoder = CAT(ENCODER)
    model = tagger()
    model.start_from(encoder.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(model.encoder.parameters(), encoder.parameters(), strict=True))
    weights = encoder.state_dict()
    del weights["cls"]
    with pytest.raises(RuntimeError, match="cls"):
        model.start_from(weights)


def test_learning_rates_fall_from_the_head_down() -> None:
    names = [name for name, _ in tagger().named_parameters()]
    scales = {name: layer_scale(name, 2, 0.5) for name in names}
    assert {scales[name] for name in names if name.startswith("encoder.layers.0.")} == {0.25}
    assert {scales[name] for name in names if name.startswith("encoder.layers.1.")} == {0.5}
    assert {scales[name] for name in names if not name.startswith("encoder.layers.")} == {1.0}
    slowed = {name: layer_scale(name, 2, 0.5, stem=True) for name in names}
    assert {slowed[name] for name in names if name.startswith(("encoder.stem", "encoder.cls"))} == {0.125}
    assert slowed["head.weight"] == slowed["norm.bias"] == 1.0


def test_the_smoothing_of_bce_is_none() -> None:
    """Label smoothing is of the cross-entropy alone, as in the paper's code."""
    waveform, lengths = clips()
    labels = torch.zeros(3, 5)
    plain, smooth = tagger().eval(), tagger(label_smoothing=0.5).eval()
    torch.testing.assert_close(plain.loss(waveform, lengths, labels), smooth.loss(waveform, lengths, labels))
    expected = F.softplus(plain(waveform, lengths)).mean(dim=1)
    torch.testing.assert_close(plain.loss(waveform, lengths, labels), expected)
