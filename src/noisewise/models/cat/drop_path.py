"""Stochastic depth."""

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """In training, drop a residual branch of whole examples by chance and scale up the rest (Huang et al. 2016)."""

    def __init__(self, chance: float = 0.0):
        super().__init__()
        if not 0 <= chance < 1:
            raise ValueError(f"`chance` must be in [0, 1), but is {chance} instead")
        self.chance = chance

    def forward(self, branch: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)"""
        if not self.training or self.chance == 0:
            return branch
        kept = torch.rand(len(branch), *[1] * (branch.ndim - 1), device=branch.device) >= self.chance
        return branch * kept.to(branch.dtype) / (1 - self.chance)
