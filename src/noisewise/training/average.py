"""The moving average of the weights, which is what is validated and released."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average; early steps weigh less, so that it does not remember the random start."""

    def __init__(self, module: nn.Module, decay: float):
        self.decay = decay
        self.weights = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the weights after `step` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        new = module.state_dict()
        moving = [name for name, tensor in new.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.weights[name] for name in moving], [new[name] for name in moving], 1 - decay)
        for name in new.keys() - set(moving):
            self.weights[name].copy_(new[name])

    @contextlib.contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Lend the averaged weights to the module."""
        own: dict[str, Tensor] = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        module.load_state_dict(self.weights)
        try:
            yield
        finally:
            module.load_state_dict(own)
