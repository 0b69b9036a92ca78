"""Optimizers."""

from typing import Literal

import torch
from torch import nn

from noisewise.config import config


@config
class OptimizerConfig:
    """Adam with decoupled weight decay."""

    kind: Literal["adamw"] = "adamw"
    lr: float = 5e-4
    """Peak learning rate; the schedule multiplies it."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay of the two moments (fairseq's wav2vec 2.0 values)."""
    eps: float = 1e-6
    """Term in the denominator."""
    weight_decay: float = 0.01
    """On matrices and kernels; biases and norms go without."""


def build_optimizer(config: OptimizerConfig, module: nn.Module) -> torch.optim.Optimizer:
    """AdamW over the parameters of a module, in two groups: with and without weight decay."""
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learned if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in learned if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr, betas=config.betas, eps=config.eps, fused=True,
    )  # fmt: skip
