"""What the loop asks of a task."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


class Task(nn.Module, ABC):
    """A model and what it learns: what is the loss, what is validated, what is released."""

    criterion: str | None
    """The metric of `validate` that chooses the best checkpoint; lower is better. None where no metric can tell: then
    the last is released."""
    needs_text = True
    """Whether batches must carry transcripts."""
    examples: Sequence[tuple[str, str]] = ()
    """References and hypotheses of a few utterances of the last validation, for tasks that have some."""

    @abstractmethod
    def forward(self, batch: Batch) -> Loss:
        """The loss of a batch."""

    @abstractmethod
    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Metrics over a validation set."""

    def test(self, batches: Iterable[Batch]) -> dict[str, Any]:
        """What is said of a test set, in plain values; the metrics, and item by item where a task has that."""
        return {"metrics": self.validate(batches)}

    @abstractmethod
    def release(self, folder: Path, config: Any, about: dict[str, Any]) -> None:
        """Write the model in the form that is used."""

    def initialise(self, batches: Iterable[Batch]) -> None:
        """Look at training batches before the first step; not called when a run goes on."""

    def begin(self, step: int) -> None:
        """Called before each step, for what changes with time."""

    def after_step(self, step: int) -> None:
        """Called after each step that the optimizer has taken, `step` counting it, for what follows the weights."""

    def frozen(self, step: int) -> list[nn.Parameter]:
        """Parameters that do not learn at this step."""
        return []

    def lr_scale(self, name: str) -> float:
        """Factor on the learning rate of the parameter of this name."""
        return 1.0
