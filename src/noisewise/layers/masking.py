"""Masks over time. `True` is valid; chosen frames are called `where`."""

import torch
from torch import Tensor


def valid_mask(lengths: Tensor, size: int) -> Tensor:
    """Which positions hold something, for sequences padded to `size`.

    Args:
        lengths: valid positions of each sequence. (B,)
        size: the padded length.

    Returns:
        (B, size) bool, True where valid.
    """
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def zero_padding(features: Tensor, lengths: Tensor) -> Tensor:
    """Set the frames past each length to zero. (B, F, D), (B,) -> (B, F, D)"""
    return features * valid_mask(lengths, features.size(1)).unsqueeze(-1).to(features.dtype)


def valid_mean(values: Tensor, frames: Tensor) -> Tensor:
    """Mean over the valid frames of a batch. (B, F), (B,) -> ()"""
    valid = valid_mask(frames, values.size(1))
    return (values * valid).sum() / valid.sum().clamp(min=1)
