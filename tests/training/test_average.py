"""The moving average of the weights."""

import torch
from torch import nn

from noisewise.training.average import Average


def test_average_is_the_recursion_and_is_lent_for_a_while() -> None:
    module = nn.Linear(2, 1)
    average = Average(module, decay=0.9)
    expected = module.weight.detach().clone()
    for step in range(1, 4):
        with torch.no_grad():
            module.weight.add_(1.0)
        average.update(module, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * module.weight.detach()
    torch.testing.assert_close(average.weights["weight"], expected)
    own = module.weight.detach().clone()
    with average.applied(module):
        torch.testing.assert_close(module.weight.detach(), expected)
    assert torch.equal(module.weight.detach(), own)
