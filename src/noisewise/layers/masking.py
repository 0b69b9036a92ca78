"""Masks over time, and statistics over what is valid. `True` is valid; chosen frames are called `where`.

Sums, means and variances of padded batches live here and nowhere else: what stands in the padding, not-a-number
included, changes none of them. A mask has as many dimensions as its values, with size 1 where it does not differ.
"""

import torch
from torch import Tensor


def valid_mask(lengths: Tensor, size: int) -> Tensor:
    """Which positions hold something, for sequences padded to `size`.

    Args:
        lengths: valid positions of each sequence. (B,)
        size: the padded length.

    Returns:
        (B, size) bool, True where valid.

    Example:
        >>> valid_mask(torch.tensor([1, 3]), 3)
        tensor([[ True, False, False],
                [ True,  True,  True]])
    """
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def zero_padding(features: Tensor, lengths: Tensor) -> Tensor:
    """Set the frames past each length to zero. (B, F, D), (B,) -> (B, F, D)"""
    return features * valid_mask(lengths, features.size(1)).unsqueeze(-1).to(features.dtype)


def masked_sum(values: Tensor, valid: Tensor, dim: int | None = None, *, keepdim: bool = False) -> Tensor:
    """Sum of the valid values.

    Args:
        values: (..., F, ...).
        valid: which of them count, of full size along `dim`. (..., F, ...) bool
        dim: the axis that is summed over; None for all.
        keepdim: whether that axis stays, with size 1.
    """
    values = values.masked_fill(~valid, 0)
    return values.sum() if dim is None else values.sum(dim, keepdim=keepdim)


def masked_mean(values: Tensor, valid: Tensor, dim: int | None = None, *, keepdim: bool = False) -> Tensor:
    """Mean of the valid values, 0 where none is valid.

    Args:
        values: (..., F, ...).
        valid: which of them count, of full size along `dim`. (..., F, ...) bool
        dim: the axis that is averaged over; None for all.
        keepdim: whether that axis stays, with size 1.

    Example:
        >>> masked_mean(torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[True, True, False]]), 1)
        tensor([1.5000])
    """
    count = valid.sum() if dim is None else valid.sum(dim, keepdim=keepdim)
    return masked_sum(values, valid, dim, keepdim=keepdim) / count.clamp(min=1)


def masked_variance(values: Tensor, valid: Tensor, dim: int) -> Tensor:
    """Mean square of the valid values about their mean (no correction for few of them); the axis stays, with size 1."""
    mean = masked_mean(values, valid, dim, keepdim=True)
    return masked_mean((values - mean).square(), valid, dim, keepdim=True)


def normalised_over(values: Tensor, valid: Tensor, dim: int, eps: float, counted: Tensor | None = None) -> Tensor:
    """Bring the valid values along an axis to mean 0 and variance 1, and all others to 0.

    Args:
        values: (..., F, ...).
        valid: which of them count. (..., F, ...) bool
        dim: the axis of the statistics.
        eps: what is added to the variance.
        counted: which of the valid values statistics are taken from; all if left out. (..., F, ...) bool

    Returns:
        (values - mean) / sqrt(variance + eps), of the shape of `values`.
    """
    counted = valid if counted is None else counted
    centred = (values - masked_mean(values, counted, dim, keepdim=True)).masked_fill(~valid, 0)
    return centred * (masked_mean(centred.square(), counted, dim, keepdim=True) + eps).rsqrt()


def mean_weights(valid: Tensor) -> Tensor:
    """What a matrix product of values with is their mean: 1 / count where valid, 0 elsewhere. (B, F) -> (B, F)

    For values without not-a-number in the padding; a product is quicker than a masked mean where many are taken.
    """
    return valid / valid.sum(dim=1, keepdim=True).clamp(min=1).float()
