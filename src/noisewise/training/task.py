"""The protocol between the loop and a task."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from noisewise.batch import Batch


@dataclass
class Loss:
    """A sum over items and how many items it sums.

    The loop divides the gradient by the weight of the whole step, over micro-batches and processes, so the
    result does not depend on how a batch was cut.
    """

    total: Tensor
    """Sum over the items of a batch, with gradient. ()"""
    weight: float
    """Items: utterances for CTC, masked frames for a contrast."""
    terms: dict[str, Tensor] = field(default_factory=dict)
    """Parts of the total, as sums, to be logged per item."""


class Task(Protocol):
    """An `nn.Module` whose `forward(batch)` gives a `Loss`, and what else the loop asks of it."""

    criterion: str
    """The metric of `validate` that chooses the best checkpoint; lower is better."""

    def frozen(self, step: int) -> list[nn.Parameter]:
        """Parameters that do not learn at this step."""
        ...

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Metrics over a validation set."""
        ...

    def release(self, folder: Path, config: Any, about: dict[str, Any]) -> None:
        """Write the model in the form that is used."""
        ...
