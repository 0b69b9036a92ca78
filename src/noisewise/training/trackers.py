"""Trackers of experiments beside `log.jsonl`: TensorBoard, Weights & Biases, MLflow, each through its own library.

A run that goes on continues the run of the tracker, whose id is kept in the run's folder.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from noisewise.config import flat
from noisewise.errors import ConfigError

LoggerName = Literal["tensorboard", "wandb", "mlflow"]
PROJECT = "noisewise"
"""Project of wandb and experiment of MLflow, unless `WANDB_PROJECT` or `MLFLOW_EXPERIMENT_NAME` names one."""


class Tracker(Protocol):
    """Where numbers of a run are sent."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send numbers of a step."""
        ...

    def end(self) -> None:
        """Send what is left."""
        ...


class TensorBoard:
    """Files under `tensorboard/` of the run."""

    def __init__(self, run: Path, recipe: Mapping[str, Any], after_step: int | None = None):
        library = _imported("torch.utils.tensorboard", "tensorboard")
        purge = None if after_step is None else after_step + 1
        self.writer = library.SummaryWriter(run / "tensorboard", purge_step=purge)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send numbers of a step."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def end(self) -> None:
        """Write what is left."""
        self.writer.flush()


class WeightsAndBiases:
    """A run of wandb; its settings and its key come from wandb's own environment variables."""

    def __init__(self, run: Path, recipe: Mapping[str, Any], after_step: int | None = None):
        library = _imported("wandb", "wandb")
        path = run / "wandb_id.txt"
        known = _read(path)
        self.run = library.init(
            project=_named("WANDB_PROJECT"), name=run.name, dir=str(run), config=dict(recipe), id=known, resume="allow"
        )
        path.write_text(str(self.run.id), encoding="utf-8")

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send numbers of a step."""
        self.run.log(dict(values), step=step)

    def end(self) -> None:
        """Send what is left."""
        self.run.finish()


class MLflow:
    """A run of mlflow; the server comes from mlflow's own environment variables."""

    def __init__(self, run: Path, recipe: Mapping[str, Any], after_step: int | None = None):
        self.mlflow = _imported("mlflow", "mlflow")
        self.mlflow.set_experiment(_named("MLFLOW_EXPERIMENT_NAME"))
        path = run / "mlflow_id.txt"
        known = _read(path)
        active = self.mlflow.start_run(run_id=known, run_name=None if known else run.name)
        path.write_text(str(active.info.run_id), encoding="utf-8")
        if known is None:
            self.mlflow.log_params({name: json.dumps(value)[:500] for name, value in flat(recipe).items()})

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send numbers of a step."""
        self.mlflow.log_metrics({name: float(value) for name, value in values.items()}, step=step)

    def end(self) -> None:
        """Send what is left."""
        self.mlflow.end_run()


TRACKERS: dict[str, Callable[[Path, Mapping[str, Any], int | None], Tracker]] = {
    "tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": MLflow,
}  # fmt: skip

MODULES = {"tensorboard": "torch.utils.tensorboard"}
"""Modules that are not called as their trackers are."""


def begin(names: Sequence[str], run: Path, recipe: Mapping[str, Any], after_step: int | None = None) -> list[Tracker]:
    """The trackers of a run.

    Args:
        names: of `LoggerName`.
        run: the run's folder, whose name becomes that of the run.
        recipe: plain values.
        after_step: step that the run goes on from; TensorBoard forgets what it had after it.

    Raises:
        ConfigError: a library is not installed.
    """
    return [TRACKERS[name](run, recipe, after_step) for name in dict.fromkeys(names)]


def must_have(names: Sequence[str]) -> None:
    """Look for the libraries of trackers, before anything is written.

    Args:
        names: of `LoggerName`.

    Raises:
        ConfigError: a library is not installed.
    """
    for name in names:
        _imported(MODULES.get(name, name), name)


def _imported(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"`run.loggers` must name libraries that are installed, but {name} is not; install it with: "
            f"pip install {name}"
        ) from error


def _named(variable: str) -> str:
    return os.environ.get(variable) or PROJECT


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8").strip() or None if path.is_file() else None
