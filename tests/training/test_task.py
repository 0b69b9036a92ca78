"""What a task need not say: nothing is frozen, every rate is whole, a test is a validation."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from noisewise.batch import Batch
from noisewise.training.task import Loss, Task


class Least(Task):
    """A task that says what it must."""

    criterion = "loss"

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(1, 1)

    def forward(self, batch: Batch) -> Loss:
        """The number of utterances."""
        return Loss(torch.tensor(float(len(batch))), 1.0)

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Utterances in all."""
        return {"loss": float(sum(len(batch) for batch in batches))}

    def release(self, folder: Path, config: Any, about: dict[str, Any]) -> None:
        """Nothing."""


def test_what_is_not_said() -> None:
    task = Least()
    batch = Batch(waveform=torch.zeros(2, 8), lengths=torch.tensor([8, 8]), ids=["a", "b"], texts=["", ""])
    assert task.test([batch, batch]) == {"metrics": {"loss": 4.0}}
    assert task.frozen(0) == [] and task.lr_scale("model.weight") == 1.0 and task.needs_text
    assert Loss(torch.zeros(()), 1.0).terms is not Loss(torch.zeros(()), 1.0).terms
