"""Masks: True is valid."""

import torch

from noisewise.layers.masking import valid_mask, zero_padding


def test_valid_mask() -> None:
    expected = torch.tensor([[True, True, False], [False, False, False], [True, True, True]])
    assert torch.equal(valid_mask(torch.tensor([2, 0, 3]), 3), expected)


def test_zero_padding_keeps_what_is_valid() -> None:
    features = torch.ones(2, 3, 2)
    zeroed = zero_padding(features, torch.tensor([1, 3]))
    assert zeroed[0].tolist() == [[1, 1], [0, 0], [0, 0]]
    assert torch.equal(zeroed[1], features[1])
