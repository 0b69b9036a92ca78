"""Models of shapes alone, bounded by their weights."""

import threading
from typing import Any

import pytest
import torch
from torch import nn

from noisewise.checkpoints import shapes
from noisewise.errors import InteropError, ModelError

WEIGHTS = {"weight": torch.zeros(1)}


def test_a_model_takes_no_memory() -> None:
    model = shapes.build(lambda: nn.Linear(10**6, 10**6), WEIGHTS, "config.json", ModelError)
    assert model.weight.is_meta and model.weight.shape == (10**6, 10**6)


@pytest.mark.parametrize("error", [ModelError, InteropError])
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(*(nn.Linear(1, 1) for _ in range(10**4))),
        lambda: nn.ModuleList(nn.Sequential(nn.ReLU()) for _ in range(10**9)),
        lambda: nn.Linear(-1, 2),
        lambda: nn.Conv1d(4, 4, 3, groups=0),
        lambda: 1 // 0,
        lambda: dict[str, Any]()["x"],
    ],
)
def test_what_describes_no_model(make: object, error: type[ModelError]) -> None:
    with pytest.raises(error, match=r"`config\.json` must describe a model that fits its weights"):
        shapes.build(make, WEIGHTS, "config.json", error)  # type: ignore[arg-type]


def test_models_of_other_threads_are_not_counted() -> None:
    def make() -> nn.Module:
        other = threading.Thread(target=lambda: nn.Sequential(*(nn.ReLU() for _ in range(1000))))
        other.start()
        other.join()
        return nn.Linear(1, 1)

    assert shapes.build(make, {}, "config.json", ModelError).weight.is_meta
    nn.Sequential(*(nn.ReLU() for _ in range(1000)))  # and the bound is gone
