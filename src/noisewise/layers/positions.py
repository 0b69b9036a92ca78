"""Positions in time: sinusoids."""

import math

import torch
from torch import Tensor


def sinusoids(frames: int, dim: int) -> Tensor:
    """Fixed positions (Vaswani et al. 2017, Sec. 3.5). -> (F, D)"""
    rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000) / dim))
    angles = torch.arange(frames)[:, None] * rates
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)
