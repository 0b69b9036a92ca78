"""Trackers, against fake libraries that note what they are given."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from noisewise.errors import ConfigError
from noisewise.training import trackers

RECIPE = {"optimizer": {"lr": 0.1}, "run": {"steps": 3}}


def fake(name: str, monkeypatch: pytest.MonkeyPatch, **functions: Any) -> list[tuple[str, Any, Any]]:
    """Put a library in place whose functions note their arguments."""
    calls: list[tuple[str, Any, Any]] = []
    module: Any = ModuleType(name)
    for function, result in functions.items():

        def noted(*args: Any, function: str = function, result: Any = result, **named: Any) -> Any:
            calls.append((function, args, named))
            return result

        setattr(module, function, noted)
    monkeypatch.setitem(sys.modules, name, module)
    return calls


def test_wandb_gets_recipe_and_numbers_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    sent: list[Any] = []
    run = SimpleNamespace(
        id="abc", log=lambda values, step: sent.append((values, step)), finish=lambda: sent.append("end")
    )
    calls = fake("wandb", monkeypatch, init=run)
    (tracker,) = trackers.begin(["wandb", "wandb"], tmp_path, RECIPE)
    tracker.log({"train/loss": 1.5}, 2)
    tracker.end()
    assert sent == [({"train/loss": 1.5}, 2), "end"]
    trackers.begin(["wandb"], tmp_path, RECIPE)
    (_, _, first), (_, _, second) = calls
    assert (first["project"], first["config"], first["id"], second["id"]) == ("mine", RECIPE, None, "abc")


def test_mlflow_gets_recipe_and_numbers_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = SimpleNamespace(info=SimpleNamespace(run_id="r1"))
    calls = fake(
        "mlflow", monkeypatch, set_experiment=None, start_run=run, log_params=None, log_metrics=None, end_run=None
    )
    (tracker,) = trackers.begin(["mlflow"], tmp_path, RECIPE)
    tracker.log({"validation/wer": 1}, 3)
    tracker.end()
    assert [name for name, _, _ in calls] == ["set_experiment", "start_run", "log_params", "log_metrics", "end_run"]
    assert calls[2][1] == ({"optimizer.lr": "0.1", "run.steps": "3"},) and calls[3][2] == {"step": 3}
    calls.clear()
    trackers.begin(["mlflow"], tmp_path, RECIPE)
    assert calls[1][2]["run_id"] == "r1" and len(calls) == 2, "its parameters are there already"


def test_tensorboard_gets_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    writer = SimpleNamespace(add_scalar=lambda *values: sent.append(values), flush=lambda: sent.append("end"))
    fake("torch.utils.tensorboard", monkeypatch, SummaryWriter=writer)
    (tracker,) = trackers.begin(["tensorboard"], tmp_path, RECIPE)
    tracker.log({"train/loss": 2.0}, 1)
    tracker.end()
    assert sent == [("train/loss", 2.0, 1), "end"]


@pytest.mark.parametrize(
    ("name", "module"), [("wandb", "wandb"), ("mlflow", "mlflow"), ("tensorboard", "torch.utils.tensorboard")]
)
def test_a_library_that_is_missing_is_named(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=f"pip install {name}"):
        trackers.begin([name], tmp_path, RECIPE)
