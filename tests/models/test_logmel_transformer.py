"""The lecture's encoder: frame rate, positions, size."""

import math

import torch

from noisewise.models.logmel_transformer import (
    LogMelTransformer,
    LogMelTransformerConfig,
    sinusoids,
    small,
    tiny,
)


def test_hop_is_the_frame_rate() -> None:
    for strides, hop in (((2, 2), 640), ((2, 1), 320)):
        config = LogMelTransformerConfig(dim=16, layers=1, heads=2, feed_forward=16, strides=strides)
        encoder = LogMelTransformer(config)
        assert encoder.hop == hop
        output = encoder(torch.randn(1, 32_000), torch.tensor([32_000]))
        assert abs(output.features.size(1) - 32_000 / hop) <= 1


def test_sinusoids_are_the_formula() -> None:
    positions = sinusoids(7, 6)
    for position in range(7):
        for pair in range(3):
            angle = position / 10_000 ** (2 * pair / 6)
            assert math.isclose(positions[position, 2 * pair].item(), math.sin(angle), abs_tol=1e-6)
            assert math.isclose(positions[position, 2 * pair + 1].item(), math.cos(angle), abs_tol=1e-6)


def test_masks_act_in_training_only() -> None:
    torch.manual_seed(0)
    encoder = LogMelTransformer(tiny()).eval()
    waveform, lengths = torch.randn(1, 32_000) * 0.1, torch.tensor([32_000])
    assert torch.equal(encoder(waveform, lengths).features, encoder(waveform, lengths).features)
    encoder.train()
    assert not torch.equal(encoder(waveform, lengths).features, encoder(waveform, lengths).features)


def test_level_does_not_matter() -> None:
    torch.manual_seed(0)
    encoder = LogMelTransformer(tiny()).eval()
    waveform, lengths = torch.randn(1, 16_000) * 0.3, torch.tensor([16_000])
    loud, soft = encoder(waveform, lengths).features, encoder(waveform * 0.01, lengths).features
    torch.testing.assert_close(loud, soft, atol=1e-3, rtol=1e-3)


def test_size_of_the_box() -> None:
    count = sum(parameter.numel() for parameter in LogMelTransformer(small()).parameters())
    assert 4.4e6 < count < 4.9e6
