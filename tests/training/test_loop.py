"""The loop: exact resume after a kill, invariance to how a batch is cut, the guard, processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from noisewise.batch import Batch
from noisewise.errors import ConfigError
from noisewise.training import checkpoint, log
from noisewise.training.health import TrainingDiverged
from noisewise.training.loop import Interrupted, Progress, RunConfig, Trainer
from noisewise.training.optimizer import OptimizerConfig
from noisewise.training.schedule import Polynomial
from noisewise.training.task import Loss, Task
from tests.corpus import write_corpus, write_recipe


class Regression(Task):
    """A task small enough to reason about: predict the mean of a waveform."""

    criterion = "error"

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Linear(4, 1)
        self.released: list[str] = []

    def forward(self, batch: Batch) -> Loss:
        error = (self.model(batch.waveform).squeeze(-1) - batch.waveform.mean(-1)).square()
        return Loss(error.sum(), float(len(batch)), {"square": error.detach().sum()})

    def frozen(self, step: int) -> list[nn.Parameter]:
        return [self.model.bias] if step < 2 else []

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        return {"error": sum(float(self(batch).total.detach()) for batch in batches)}

    def release(self, folder: Path, config: Any, about: dict[str, Any]) -> None:
        self.released.append(folder.name)


class Numbers:
    """Batches of random rows; `size` rows each, the same rows in whatever batches."""

    def __init__(self, size: int = 4, bad: tuple[int, ...] = ()):
        self.size, self.bad = size, bad

    def batch(self, index: int) -> Batch:
        rows = [self.row(index * self.size + place) for place in range(self.size)]
        lengths = torch.full((self.size,), 4)
        return Batch(torch.stack(rows), lengths, [f"r{index * self.size + place}" for place in range(self.size)])

    def row(self, number: int) -> torch.Tensor:
        row = torch.randn(4, generator=torch.Generator().manual_seed(number))
        return row * float("nan") if number in self.bad else row

    def training(self, epoch: int, position: int, rank: int, world: int) -> Iterator[tuple[int, int, Batch]]:
        while True:
            yield epoch, position + 1, self.batch(position * world + rank)
            position += 1

    def validation(self) -> Iterable[Batch]:
        return [self.batch(10_000)]


def trainer(folder: Path, source: Numbers, task: Task | None = None, **run: Any) -> Trainer:
    values = {"steps": 6, "validate_every": 3, "save_every": 3, "log_every": 1, "accelerator": "cpu"}
    return Trainer(
        task or Regression(), source, folder, run=RunConfig(**{**values, **run}), optimizer=OptimizerConfig(lr=0.1),
        schedule=Polynomial(), recipe={"a": 1}, version="0", release_config=None,
    )  # fmt: skip


def weights(folder: Path, step: int = 6) -> dict[str, torch.Tensor]:
    return load_file(checkpoint.folder_of(folder, step) / "model.safetensors")


def test_cutting_a_batch_into_pieces_changes_nothing(tmp_path: Path) -> None:
    trainer(tmp_path / "whole", Numbers(size=4)).train()
    trainer(tmp_path / "pieces", Numbers(size=1), accumulate=4).train()
    for name, tensor in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "pieces")[name], tensor)
    whole, pieces = log.read(tmp_path / "whole", "train"), log.read(tmp_path / "pieces", "train")
    assert [r["loss"] for r in whole] == pytest.approx([r["loss"] for r in pieces])


def test_loss_falls_and_frozen_parameters_wait(tmp_path: Path) -> None:
    seen: list[Progress] = []
    run = trainer(tmp_path, Numbers(size=32), steps=60, save_every=2)
    bias = run.task.model.bias.item()  # type: ignore[union-attr, operator]
    run.train(seen.append)
    losses = [progress.terms["loss"] for progress in seen]
    assert losses[-1] < 0.2 * losses[0]
    assert seen[-1].step == 60 and seen[-1].seconds_left == 0
    assert run.task.model.bias.item() != bias  # type: ignore[union-attr, operator]


class Seen(Regression):
    """Notes what it is given, and what becomes of it."""

    def forward(self, batch: Batch) -> Loss:
        if not hasattr(self, "given"):  # in training: validation comes later
            self.given, self.made = batch.waveform.dtype, self.model(batch.waveform).dtype
        return super().forward(batch)


def test_bfloat16_is_for_products_and_not_for_waveforms(tmp_path: Path) -> None:
    task = Seen()
    trainer(tmp_path, Numbers(), task=task, precision="bf16-mixed", steps=1).train()
    assert (task.given, task.made) == (torch.float32, torch.bfloat16)


def test_frozen_start(tmp_path: Path) -> None:
    trainer(tmp_path, Numbers(), steps=2, save_every=1, keep=3).train()
    first = Regression().model.bias
    assert torch.equal(weights(tmp_path, 2)["model.bias"], first.detach())
    assert not torch.equal(weights(tmp_path, 2)["model.weight"], Regression().model.weight.detach())


def test_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    trainer(tmp_path / "whole", Numbers()).train()
    stopped = trainer(tmp_path / "parts", Numbers())
    stopped.stopping = True  # as after SIGTERM: stops after the step in hand
    with pytest.raises(Interrupted, match="stopped at step 1 of 6"):
        stopped.train()
    trainer(tmp_path / "parts", Numbers()).train()
    for name, tensor in weights(tmp_path / "whole").items():
        assert torch.equal(weights(tmp_path / "parts")[name], tensor)
    steps = [record["step"] for record in log.read(tmp_path / "parts", "train")]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_best_is_released_and_old_checkpoints_go(tmp_path: Path) -> None:
    run = trainer(tmp_path, Numbers(), steps=12, keep=2)
    metrics = run.train()
    assert run.task.released and set(run.task.released) == {"best"}  # type: ignore[attr-defined]
    assert run.state.best == pytest.approx(min(r["error"] for r in log.read(tmp_path, "validation")))
    assert metrics["error"] == log.read(tmp_path, "validation")[-1]["error"]
    assert checkpoint.steps(tmp_path) == [9, 12]


def test_models_are_released_when_asked(tmp_path: Path) -> None:
    run = trainer(tmp_path, Numbers(), release_at=(2, 5))
    seen: list[tuple[str, torch.Tensor]] = []
    run.task.release = lambda folder, config, about: seen.append(  # type: ignore[method-assign]
        (folder.name, run.task.model.weight.detach().clone())  # type: ignore[union-attr, operator]
    )
    run.train()
    named = dict(seen)
    assert set(named) == {"step_2", "step_5", "best"} and not torch.equal(named["step_2"], named["step_5"])
    assert run.average is not None
    assert not torch.equal(named["step_5"], run.average.weights["model.weight"]), "the average went on"


def test_what_no_metric_can_choose_is_released_last(tmp_path: Path) -> None:
    run = trainer(tmp_path, Numbers())
    run.task.criterion = None
    run.train()
    assert run.state.best_step == 6 and run.task.released == ["best", "best"]  # type: ignore[attr-defined]


def test_a_bad_step_is_named_kept_and_not_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trainer(tmp_path / "good", Numbers(), steps=1, save_every=1).train()
    trainer(tmp_path / "bad", Numbers(bad=(5,)), steps=2, save_every=1).train()
    before, after = weights(tmp_path / "bad", 1), weights(tmp_path / "bad", 2)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert "r5" in caplog.text
    kept = json.loads((tmp_path / "bad" / "bad_batches" / "step_00000001_0.json").read_text())
    assert "r5" in kept[0]["ids"]
    tensors = load_file(tmp_path / "bad" / "bad_batches" / "step_00000001_0.safetensors")
    assert tensors["0.waveform"][1].isnan().all()


def test_too_many_bad_steps_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"10 steps in a row.*lower optimizer\.lr"):
        trainer(tmp_path, Numbers(bad=tuple(range(100))), steps=20).train()


def test_a_damaged_checkpoint_is_explained(tmp_path: Path) -> None:
    trainer(tmp_path, Numbers()).train()
    (checkpoint.folder_of(tmp_path, 6) / "model.safetensors").write_bytes(b"no")
    with pytest.raises(checkpoint.ModelError, match="delete that folder"):
        trainer(tmp_path, Numbers())


TWO = """
import sys, torch
from pathlib import Path
from tests.training.test_loop import Numbers, trainer
trainer(Path(sys.argv[1]), Numbers(size=2), devices=2, steps=4, save_every=4).train()
"""


def test_two_processes_give_the_loss_of_one(tmp_path: Path) -> None:
    trainer(tmp_path / "one", Numbers(size=4), steps=4, save_every=4).train()
    script = tmp_path / "two.py"
    script.write_text(TWO)
    subprocess.run([sys.executable, script, tmp_path / "two"], check=True, env=environment(), timeout=300)
    one, two = log.read(tmp_path / "one", "train"), log.read(tmp_path / "two", "train")
    assert [r["loss"] for r in two] == pytest.approx([r["loss"] for r in one], rel=1e-5)
    for name, tensor in weights(tmp_path / "one", 4).items():
        torch.testing.assert_close(weights(tmp_path / "two", 4)[name], tensor)


KILLED = """
import os, signal, sys
from pathlib import Path
from noisewise import config, recipe, run

def watch(progress):
    if progress.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    run.train(config.load(recipe.Recipe, sys.argv[1]), Path(sys.argv[2]), watch)
"""


def test_exact_resume_after_kill_9(tmp_path: Path) -> None:
    """Six steps equal three, two lost with the process, and three more: bit for bit, with workers and noise."""
    write_corpus(tmp_path)
    recipe = str(write_recipe(tmp_path))
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, "-m", "noisewise", "train", recipe, "--output"]
    subprocess.run([*command, tmp_path / "whole"], check=True, env=environment(), timeout=300)
    killed = subprocess.run([sys.executable, script, recipe, tmp_path / "killed"], env=environment(), timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert checkpoint.steps(tmp_path / "killed") == [3]
    subprocess.run([*command, tmp_path / "killed"], check=True, env=environment(), timeout=300)
    for file in ("model.safetensors", "average.safetensors"):
        whole, resumed = (load_file(checkpoint.folder_of(tmp_path / run, 6) / file) for run in ("whole", "killed"))
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    losses = [[r["loss"] for r in log.read(tmp_path / run, "train")] for run in ("whole", "killed")]
    assert losses[0] == losses[1] and len(losses[0]) == 6


def test_an_error_ends_the_workers_too(tmp_path: Path) -> None:
    """They are deaf to SIGTERM, by which an interpreter that ends would ask them to."""
    write_corpus(tmp_path)
    recipe = str(write_recipe(tmp_path))
    script = tmp_path / "failing.py"
    script.write_text(KILLED.replace("os.kill(os.getpid(), signal.SIGKILL)", "raise ArithmeticError('as planned')"))
    failed = subprocess.run(
        [sys.executable, script, recipe, tmp_path / "run"], env=environment(), timeout=120, capture_output=True
    )
    assert failed.returncode == 1 and b"ArithmeticError: as planned" in failed.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("values", [{"steps": -5}, {"validate_every": 0}, {"average_decay": 7.0}])
def test_a_run_that_could_not_be_run_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"`{next(iter(values))}` must be"):
        RunConfig(**values)
