"""The loop: exact resume after a kill, invariance to how a batch is cut, the guard, processes."""

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from noisewise.batch import Batch, Skipped
from noisewise.config import load
from noisewise.errors import ConfigError, ModelError, NoisewiseError, RunError
from noisewise.recipe import Recipe
from noisewise.run import train
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
    found = load_file(checkpoint.folder_of(folder, step) / "model.safetensors")
    return {name: tensor.clone() for name, tensor in found.items()}  # which the file no longer backs


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
    bias = run.task.model.bias.item()
    run.train(seen.append)
    losses = [progress.terms["loss"] for progress in seen]
    assert losses[-1] < 0.2 * losses[0]
    assert seen[-1].step == 60 and seen[-1].seconds_left == 0
    assert run.task.model.bias.item() != bias


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
    stopped.stopping = signal.SIGTERM  # as after SIGTERM: stops after the step in hand
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
    released: Any = run.task.released
    assert released and set(released) == {"best"}
    assert run.state.best == pytest.approx(min(r["error"] for r in log.read(tmp_path, "validation")))
    assert metrics["error"] == log.read(tmp_path, "validation")[-1]["error"]
    assert checkpoint.steps(tmp_path) == [9, 12]


def test_models_are_released_when_asked(tmp_path: Path) -> None:
    run = trainer(tmp_path, Numbers(), release_at=(2, 5))
    seen: list[tuple[str, torch.Tensor]] = []
    run.task.release = lambda folder, config, about: seen.append(  # type: ignore[assignment, method-assign]
        (folder.name, run.task.model.weight.detach().clone())
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
    assert run.state.best_step == 6 and run.task.released == ["best", "best"]


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


def emptied(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(b"no")


def gone(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def foreign(folder: Path) -> None:
    """Weights of another model, in a checkpoint of the form without a manifest."""
    (folder / "manifest.json").unlink()
    save_file({"weight": torch.ones(2)}, folder / "model.safetensors")


DAMAGES = [emptied("model.safetensors"), gone("random_0.pt"), gone("average.safetensors"), foreign]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_is_taken(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer(tmp_path, Numbers()).train()
    whole, records = weights(tmp_path), without_pace(log.read(tmp_path))
    damage(checkpoint.folder_of(tmp_path, 6))
    again = trainer(tmp_path, Numbers())
    assert again.state.step == 3
    assert "step_00000006` must be" in caplog.text and "going on from step 3 instead" in caplog.text
    again.train()
    assert all(torch.equal(weights(tmp_path)[name], tensor) for name, tensor in whole.items())
    assert without_pace(log.read(tmp_path)) == records
    checkpoint.read(checkpoint.folder_of(tmp_path, 6), averaged=True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_without_a_whole_checkpoint_does_not_begin_anew(damage: Callable[[Path], None], tmp_path: Path) -> None:
    trainer(tmp_path, Numbers()).train()
    kept = (tmp_path / "log.jsonl").read_text()
    for step in (3, 6):
        damage(checkpoint.folder_of(tmp_path, step))
    with pytest.raises(ModelError, match=r"none of its 2 is.*step_00000006"):
        trainer(tmp_path, Numbers())
    assert (tmp_path / "log.jsonl").read_text() == kept


def test_a_checkpoint_without_a_manifest_is_gone_on_from(tmp_path: Path) -> None:
    """As versions before the manifest wrote them."""
    trainer(tmp_path, Numbers()).train()
    (checkpoint.folder_of(tmp_path, 6) / "manifest.json").unlink()
    assert trainer(tmp_path, Numbers()).state.step == 6


def test_another_number_of_processes_is_no_damage(tmp_path: Path) -> None:
    first = trainer(tmp_path, Numbers())
    first.state.world = 2
    unfinished = checkpoint.unfinished(tmp_path, 0)
    for rank in (0, 1):
        checkpoint.write_random(unfinished, rank)
    weights = first.task.state_dict()
    checkpoint.write(unfinished, weights, weights, first.optimizer.state_dict(), first.state)
    checkpoint.finish(unfinished, tmp_path, 2)
    with pytest.raises(ConfigError, match=r"run\.devices.*must be 2"):
        trainer(tmp_path, Numbers())


def without_pace(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in record.items() if name != "audio_per_second"} for record in records]


CHANGES = ("rename", "replace", "unlink", "rmdir", "mkdir", "fsync")
"""Calls of the system that change which files there are, or flush them."""


def run_killed(run: Path, at: int) -> bool:
    """Train in a process of its own, and kill it before its `at`-th change of files; whether it was killed."""
    process = os.fork()
    if process == 0:
        count = 0

        def killing(call: Callable[..., Any]) -> Callable[..., Any]:
            def instead(*arguments: Any, **options: Any) -> Any:
                nonlocal count
                count += 1
                if count == at:
                    os._exit(9)
                return call(*arguments, **options)

            return instead

        for name in CHANGES:
            setattr(os, name, killing(getattr(os, name)))
        try:
            trainer(run, Skipping(), **SHORT).train()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 9)
    return os.waitstatus_to_exitcode(status) == 9


class Skipping(Numbers):
    """Each batch has something that could not be used."""

    def batch(self, index: int) -> Batch:
        batch = super().batch(index)
        batch.skipped = [Skipped(f"s{index // 2}", "s.wav", "empty")]
        return batch


SHORT: dict[str, Any] = {"steps": 4, "save_every": 2, "validate_every": 4, "keep": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed_before_any_change_of_files_the_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    trainer(tmp_path / "whole", Skipping(), **SHORT).train()
    whole, records = checkpoint.folder_of(tmp_path / "whole", 4), without_pace(log.read(tmp_path / "whole"))
    at = 1
    while run_killed(tmp_path / str(at), at):
        assert not run_killed(tmp_path / str(at), 1_000_000), "the second run ends"
        run = tmp_path / str(at)
        for file in ("model.safetensors", "average.safetensors", "random_0.pt"):
            assert (checkpoint.folder_of(run, 4) / file).read_bytes() == (whole / file).read_bytes(), (at, file)
        assert without_pace(log.read(run)) == records, at
        left = {path.name for path in (run / "checkpoints").iterdir()}
        assert {"step_00000004"} <= left <= {"step_00000002", "step_00000004"}, at
        at += 1
    assert at > 20


@pytest.mark.parametrize("file", ["model.safetensors", "average.safetensors", "optimizer.pt", "random_0.pt"])
def test_a_full_disk_leaves_what_was_there(file: str, tmp_path: Path) -> None:
    trainer(tmp_path / "whole", Numbers()).train()

    def full(write: Callable[..., None]) -> Callable[..., None]:
        def instead(values: Any, path: Path) -> None:
            if (path.parent.stem, path.name) != ("step_00000006", file):
                return write(values, path)
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        return instead

    with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="No space left") as caught:
        patch.setattr(torch, "save", full(torch.save))
        patch.setattr(checkpoint, "save_file", full(save_file))
        trainer(tmp_path / "full", Numbers()).train()
    assert caught.value.errno == errno.ENOSPC and str(caught.value.filename).endswith(file)
    assert [path.name for path in (tmp_path / "full" / "checkpoints").iterdir()] == ["step_00000003"]
    trainer(tmp_path / "full", Numbers()).train()
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "full")
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: 12 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
def test_a_lack_of_memory_says_what_to_do(error: Exception, tmp_path: Path) -> None:
    class Hungry(Regression):
        def forward(self, batch: Batch) -> Loss:
            raise error

    with pytest.raises(RunError, match=r"train\.batch_seconds.*lower it"):
        trainer(tmp_path, Numbers(), task=Hungry()).train()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_is_named(number: signal.Signals, tmp_path: Path) -> None:
    def ask(progress: Progress) -> None:
        if progress.step == 2:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted, match=r"stopped at step [23] of 6") as caught:
        trainer(tmp_path, Numbers()).train(ask)
    assert caught.value.exit_status == 128 + number
    assert checkpoint.steps(tmp_path)[0] in (2, 3)


def together(run: Callable[[int], object], shown: Path) -> list[int]:
    """Exit statuses of the two processes of one run, which are forked from this one: no interpreter has to start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in (0, 1):
        process = os.fork()
        if process == 0:
            os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
            sys.stdout = sys.stderr = shown.open("a", buffering=1)
            try:
                run(rank)
            except NoisewiseError as error:
                print(f"rank {rank}: {error}", file=sys.stderr)
                os._exit(2)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        processes.append(process)
    return [ended(process, 100) for process in processes]


def ended(process: int, seconds: float) -> int:
    """Exit status of a process that was forked; it is killed at its deadline."""
    deadline = time.monotonic() + seconds
    while (found := os.waitpid(process, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
    return os.waitstatus_to_exitcode(found[1])


def test_two_processes_give_the_loss_of_one(tmp_path: Path) -> None:
    trainer(tmp_path / "one", Numbers(size=4), steps=4, save_every=4).train()
    shown = tmp_path / "shown.txt"

    def run(rank: int) -> None:
        trainer(tmp_path / "two", Numbers(size=2), devices=2, steps=4, save_every=4).train()

    assert together(run, shown) == [0, 0], shown.read_text()
    one, two = log.read(tmp_path / "one", "train"), log.read(tmp_path / "two", "train")
    assert [r["loss"] for r in two] == pytest.approx([r["loss"] for r in one], rel=1e-5)
    for name, tensor in weights(tmp_path / "one", 4).items():
        torch.testing.assert_close(weights(tmp_path / "two", 4)[name], tensor)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_process_that_is_lost_while_stepping_ends_the_other_in_one_line(lost: int, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    values = ["run.devices=2", "train.workers=0", "run.timeout_seconds=300"]
    recipe, shown = load(Recipe, write_recipe(tmp_path), values), tmp_path / "shown.txt"
    gather = Trainer._gather

    def lose(self: Trainer, *arguments: Any) -> Any:
        if self.state.step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return gather(self, *arguments)

    def run(rank: int) -> None:
        if rank == lost:
            Trainer._gather = lose  # type: ignore[assignment, method-assign]
        train(recipe, tmp_path / "run")

    statuses = together(run, shown)
    text = shown.read_text()
    assert (statuses[lost], statuses[1 - lost]) == (-signal.SIGKILL, 2), text
    assert f"process {1 - lost} has lost another one" in text and text.count("\n") == 1, text
    assert "must answer within 300 s (`run.timeout_seconds`)" in text


LOST = """
import os, signal, sys
from pathlib import Path
from noisewise import config, recipe, run
from noisewise.errors import NoisewiseError

rank = int(os.environ.get("LOCAL_RANK", 0))
if rank == 0:  # the other one is started, and then this one is killed before it meets it
    from lightning_fabric import Fabric
    real = Fabric.launch
    def launch(self, *arguments):
        from lightning_fabric.strategies import ddp
        ddp._init_dist_connection = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *arguments)
    Fabric.launch = launch
values = ["run.devices=2", "run.accelerator=cpu", "train.workers=0", "run.timeout_seconds=300"]
try:
    run.train(config.load(recipe.Recipe, sys.argv[1], values), Path(sys.argv[2]))
except NoisewiseError as error:
    print(f"rank {rank}: {error}", file=sys.stderr, flush=True)
    os._exit(2)
"""


def test_the_loss_of_the_process_that_started_the_others_ends_them_in_one_line(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    recipe = str(write_recipe(tmp_path))
    script = tmp_path / "lost.py"
    script.write_text(LOST)
    shown = tmp_path / "shown.txt"
    with shown.open("wb") as file:
        words = [sys.executable, str(script), recipe, str(tmp_path / "run")]
        first = subprocess.Popen(words, env=environment(), stderr=file, stdout=file, start_new_session=True)
        try:
            first.wait(timeout=240)
            deadline = time.monotonic() + 100
            while is_alive(first.pid) and time.monotonic() < deadline:
                time.sleep(0.2)
            assert not is_alive(first.pid), "the other process has ended"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(first.pid, signal.SIGKILL)
    text = shown.read_text()
    assert "must answer within 300 s (`run.timeout_seconds`)" in text and "has lost another one" in text, text
    assert "Traceback" not in text, text


def is_alive(group: int) -> bool:
    """Whether a process of a group still runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


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
    """Six steps equal three, two lost with the process, and three more: bit for bit, with noise and with workers."""
    write_corpus(tmp_path)
    recipe = str(write_recipe(tmp_path))
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, "-m", "noisewise", "train", recipe, "--output"]
    train(load(Recipe, recipe, ["train.workers=0"]), tmp_path / "whole")
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
    recipe = write_recipe(tmp_path)
    recipe.write_text(recipe.read_text().replace("workers: 2", "workers: 1"))
    script = tmp_path / "failing.py"
    script.write_text(KILLED.replace("os.kill(os.getpid(), signal.SIGKILL)", "raise ArithmeticError('as planned')"))
    failed = subprocess.run(
        [sys.executable, script, recipe, tmp_path / "run"], env=environment(), timeout=120, capture_output=True
    )
    assert failed.returncode == 1 and b"ArithmeticError: as planned" in failed.stderr


def environment() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}", "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("values", [{"steps": -5}, {"validate_every": 0}, {"average_decay": 7.0}])
def test_a_run_that_could_not_be_run_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"`{next(iter(values))}` must be"):
        RunConfig(**values)
