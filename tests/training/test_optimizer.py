"""Weight decay reaches matrices, not biases and norms."""

import pytest
import torch
from torch import nn

from noisewise.errors import ConfigError
from noisewise.training.optimizer import OptimizerConfig, build_optimizer


def test_decay_groups() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    optimizer = build_optimizer(OptimizerConfig(lr=0.1, weight_decay=0.5), module)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    weight, bias, scale, shift = module.parameters()
    torch.testing.assert_close(weight.detach(), before[0] * (1 - 0.1 * 0.5))
    for parameter, old in zip((bias, scale, shift), before[1:], strict=True):
        assert torch.equal(parameter.detach(), old)


def test_frozen_parameters_are_left_out() -> None:
    module = nn.Linear(3, 2)
    module.bias.requires_grad_(False)
    optimizer = build_optimizer(OptimizerConfig(), module)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 1


def test_values_that_no_optimizer_takes() -> None:
    with pytest.raises(ConfigError, match="`lr` must be 0 or more, but is -1"):
        OptimizerConfig(lr=-1.0)
    with pytest.raises(ConfigError, match=r"`betas.0` must be between 0 and 1, but is 2"):
        OptimizerConfig(betas=(2.0, 0.9))
