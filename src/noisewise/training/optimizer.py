"""Optimizers."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from noisewise.config import config, within


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
    """Decoupled weight decay of matrices and kernels; biases and norms have none."""

    def __post_init__(self) -> None:
        within(0, math.inf, lr=self.lr, eps=self.eps, weight_decay=self.weight_decay)
        within(0, 1, **{f"betas.{place}": beta for place, beta in enumerate(self.betas)})


def build_optimizer(
    config: OptimizerConfig, module: nn.Module, scale: Callable[[str], float] = lambda name: 1.0
) -> torch.optim.Optimizer:
    """AdamW over the parameters of a module that learn.

    Args:
        config: its values.
        module: whose parameters.
        scale: parameter name to the factor on its learning rate; kept as `scale` in each group.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((scale(name), parameter.dim() >= 2), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": config.weight_decay if decayed else 0.0, "scale": factor}
            for (factor, decayed), parameters in sorted(groups.items(), key=lambda item: item[0], reverse=True)
        ],
        lr=config.lr, betas=config.betas, eps=config.eps, fused=True,
    )  # fmt: skip
