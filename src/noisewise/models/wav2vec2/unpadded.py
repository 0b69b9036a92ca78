"""Utterances one by one, where a CPU would spend much of a batch on padding: the same features in less time."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import torch
from torch import Tensor

Owner = TypeVar("Owner")


def unpadded_on_cpu(function: Callable[[Owner, Tensor, Tensor], Tensor]) -> Callable[[Owner, Tensor, Tensor], Tensor]:
    """Make a method from features and valid frames to features take utterances one by one where that is quicker.

    Args:
        function: a method of (B, F, D) and (B,) that gives (B, F, D), whose frames do not depend on padding.

    Returns:
        The same method; frames of padding are 0 where utterances went one by one.
    """

    @wraps(function)
    def wrapped(owner: Owner, features: Tensor, frames: Tensor) -> Tensor:
        if not suits(features, frames):
            return function(owner, features, frames)
        apart = torch.zeros_like(features)
        for row, count in enumerate(frames.tolist()):
            if count:
                apart[row, :count] = function(owner, features[row : row + 1, :count], frames[row : row + 1])[0]
        return apart

    return wrapped


def suits(features: Tensor, frames: Tensor, *, learning: bool = False) -> bool:
    """Whether utterances go one by one: no gradient, on a CPU, a second or more each, a tenth of all padding.

    Args:
        features: (B, F, D).
        frames: valid ones. (B,)
        learning: whether they may go one by one with a gradient too.
    """
    if (features.requires_grad and not learning) or features.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    total = int(frames.sum())
    return total >= 50 * len(frames) and total < 0.9 * len(frames) * features.size(1)
