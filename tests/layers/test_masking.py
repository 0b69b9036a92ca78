"""Masks and the statistics over what is valid: equal to those of each sequence by itself, whatever padding holds."""

import math

import pytest
import torch
from torch import Tensor

from noisewise.layers.masking import (
    masked_mean,
    masked_sum,
    masked_variance,
    mean_weights,
    normalised_over,
    valid_mask,
    zero_padding,
)

LENGTHS = torch.tensor([7, 3, 1])


@pytest.fixture(params=[0.0, 1e4, math.nan], ids=["zeros", "noise", "nan"])
def values(request: pytest.FixtureRequest) -> Tensor:
    """Sequences of three lengths, with something in the padding. (3, 7, 4)"""
    torch.manual_seed(0)
    drawn = torch.randn(3, 7, 4) * 3 + 5
    return drawn.masked_fill(~valid_mask(LENGTHS, 7).unsqueeze(2), request.param)


def test_valid_mask() -> None:
    expected = torch.tensor([[True, True, False], [False, False, False], [True, True, True]])
    assert torch.equal(valid_mask(torch.tensor([2, 0, 3]), 3), expected)


def test_zero_padding_keeps_what_is_valid() -> None:
    features = torch.ones(2, 3, 2)
    zeroed = zero_padding(features, torch.tensor([1, 3]))
    assert zeroed[0].tolist() == [[1, 1], [0, 0], [0, 0]]
    assert torch.equal(zeroed[1], features[1])


def test_statistics_are_those_of_each_sequence_by_itself(values: Tensor) -> None:
    valid = valid_mask(LENGTHS, 7).unsqueeze(2)
    for row, count in enumerate(LENGTHS.tolist()):
        alone = values[row, :count]
        torch.testing.assert_close(masked_sum(values, valid, 1)[row], alone.sum(dim=0))
        torch.testing.assert_close(masked_mean(values, valid, 1)[row], alone.mean(dim=0))
        torch.testing.assert_close(masked_variance(values, valid, 1)[row, 0], alone.var(dim=0, correction=0))


def test_statistics_of_all_and_along_another_axis(values: Tensor) -> None:
    channel = values[:, :, 0]
    valid = valid_mask(LENGTHS, 7)
    torch.testing.assert_close(masked_mean(channel, valid), channel[valid].mean())
    turned = masked_variance(values.transpose(1, 2), valid.unsqueeze(1), 2)  # (3, 4, 1)
    torch.testing.assert_close(turned.squeeze(2), masked_variance(values, valid.unsqueeze(2), 1).squeeze(1))


def test_a_sequence_without_anything_valid_is_zero() -> None:
    nothing = torch.zeros(1, 4, dtype=torch.bool)
    assert masked_mean(torch.full((1, 4), math.nan), nothing, 1).tolist() == [0]
    assert normalised_over(torch.ones(1, 4), nothing, 1, 1e-5).tolist() == [[0] * 4]


def test_normalised_values_have_mean_0_and_variance_1_and_padding_is_zero(values: Tensor) -> None:
    found = normalised_over(values, valid_mask(LENGTHS, 7).unsqueeze(2), 1, 1e-7)
    assert not found[1, 3:].any() and not found[2, 1:].any()
    torch.testing.assert_close(found[1, :3].mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1, :3].var(dim=0, correction=0), torch.ones(4))


def test_a_product_with_the_weights_is_the_mean() -> None:
    torch.manual_seed(0)
    values, valid = torch.randn(3, 7, 4), valid_mask(LENGTHS, 7)
    product = mean_weights(valid).unsqueeze(1) @ values
    torch.testing.assert_close(product.squeeze(1), masked_mean(values, valid.unsqueeze(2), 1))
