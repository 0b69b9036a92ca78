"""The training loop, top to bottom: batch, loss, step, validate, save; and go on exactly where it stopped.

It knows the `Task` protocol and Lightning Fabric, and no model.
"""

import contextlib
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from noisewise.batch import Batch
from noisewise.config import above, config, within
from noisewise.errors import ConfigError, ModelError, NoisewiseError, RunError, lacks_memory
from noisewise.files import discard
from noisewise.training import checkpoint, log, trackers
from noisewise.training.average import Average
from noisewise.training.health import Guard
from noisewise.training.log import Log, skipped_ids
from noisewise.training.optimizer import OptimizerConfig, build_optimizer
from noisewise.training.processes import let_parent_end, name_parent, watch_parent
from noisewise.training.schedule import Schedule, factor
from noisewise.training.task import Loss, Task
from noisewise.training.trackers import LoggerName

logger = logging.getLogger(__name__)


@config
class RunConfig:
    """How long, how fast, how safe."""

    steps: int = 10_000
    """Optimizer steps in all."""
    seed: int = 0
    """Seed of everything random: initial weights, order, augmentation, noise, dropout."""
    accumulate: int = 1
    """Batches per optimizer step and process."""
    clip_norm: float | None = 5.0
    """Largest gradient norm; null for none."""
    average_decay: float = 0.999
    """Moving average of the weights that is validated and released; 0 for none."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """auto: bf16 on a GPU that has it, else 32-true."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to train on; auto is a GPU where there is one."""
    devices: int = 1
    """Processes on this node."""
    nodes: int = 1
    """Nodes."""
    timeout_seconds: float = 1800.0
    """Seconds that the processes of a run wait for each other; one that is silent for longer is lost, and the others
    end. More than a validation takes, for which the others wait."""
    threads: int | None = None
    """CPU threads of each process; null for PyTorch's choice."""
    log_every: int = 20
    """Steps between log records."""
    validate_every: int = 500
    """Steps between validations."""
    save_every: int = 500
    """Steps between checkpoints."""
    keep: int = 2
    """Newest checkpoints that are kept."""
    release_at: tuple[int, ...] = ()
    """Steps after which the model is released as it is then, as `step_<n>/` beside `best/`."""
    tensorboard: bool = False
    """Also write TensorBoard files (extra `tracking`); the same as among `loggers`."""
    loggers: tuple[LoggerName, ...] = ()
    """Trackers beside `log.jsonl`: tensorboard, wandb, mlflow (extra `tracking`)."""

    def __post_init__(self) -> None:
        within(1, math.inf, steps=self.steps, accumulate=self.accumulate, devices=self.devices, nodes=self.nodes)
        within(1, math.inf, log_every=self.log_every, validate_every=self.validate_every, save_every=self.save_every)
        within(0, 1, average_decay=self.average_decay)
        above(0, timeout_seconds=self.timeout_seconds)

    @property
    def trackers(self) -> tuple[LoggerName, ...]:
        """All trackers that are asked for."""
        return (*self.loggers, "tensorboard") if self.tensorboard else self.loggers


class Source(Protocol):
    """Where batches come from."""

    def training(self, epoch: int, position: int, rank: int, world: int) -> Iterator[tuple[int, int, Batch]]:
        """Endless batches from a position on, each with the epoch and position that follow it."""
        ...

    def validation(self) -> Iterable[Batch]:
        """The validation set, the same every time."""
        ...


@dataclass(frozen=True)
class Progress:
    """What the loop tells those who watch."""

    step: int
    steps: int
    terms: dict[str, float]
    metrics: dict[str, float]
    seconds_left: float
    audio_per_second: float
    is_validation: bool = False
    """Whether the metrics are of a validation at this step."""
    examples: Sequence[tuple[str, str]] = ()
    """References and hypotheses of a few utterances of the validation."""
    best: tuple[str, float, int] | None = None
    """Metric that chooses the best checkpoint, its best value and the step of that."""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Values up to here of the loss and of the metric that chooses the best checkpoint."""

    @property
    def is_last(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.steps


class Interrupted(NoisewiseError):
    """The run was asked to stop, by the signal of this number; it has saved its state."""

    def __init__(self, message: str, number: int = signal.SIGTERM):
        super().__init__(message)
        self.exit_status = 128 + int(number)


def fabric_for(run: RunConfig) -> Fabric:
    """The device, precision and processes that a run asks for."""
    cuda = run.accelerator == "cuda" or (run.accelerator == "auto" and torch.cuda.is_available())
    bf16 = run.precision == "bf16-mixed" or (run.precision == "auto" and cuda and torch.cuda.is_bf16_supported())
    many = run.devices * run.nodes > 1
    strategy = DDPStrategy(
        find_unused_parameters=True,
        process_group_backend=None if cuda else "gloo",
        timeout=timedelta(seconds=run.timeout_seconds),
    )
    accelerator = "cuda" if cuda else "cpu"
    fabric = Fabric(
        accelerator=accelerator,
        devices=run.devices,
        num_nodes=run.nodes,
        strategy=strategy if many else "auto",
        plugins=BFloat16Autocast("bf16-mixed", accelerator) if bf16 else None,
    )
    if many:
        name_parent()
        watch_parent(run.devices * run.nodes, run.timeout_seconds)
        fabric.launch()
    return fabric


class BFloat16Autocast(MixedPrecision):
    """bfloat16 where it is safe, by autocast alone: Fabric's own would also round the waveforms to 8 bits."""

    def convert_input(self, data: Any) -> Any:
        """What goes in stays as it is."""
        return data


class Trainer:
    """One run: a task, its optimizer, its data and its folder."""

    def __init__(
        self,
        task: Task,
        source: Source,
        folder: Path,
        *,
        run: RunConfig,
        optimizer: OptimizerConfig,
        schedule: Schedule,
        recipe: dict[str, Any],
        version: str,
        release_config: Any,
        fabric: Fabric | None = None,
    ):
        self.run, self.schedule, self.peak_lr = run, schedule, optimizer.lr
        self.source, self.folder = source, folder
        self.fabric = fabric or fabric_for(run)
        if run.threads:
            torch.set_num_threads(run.threads)
        self.task = task
        self.module, self.optimizer = self.fabric.setup(task, build_optimizer(optimizer, task, task.lr_scale))
        self.parameters = [parameter for parameter in task.parameters() if parameter.requires_grad]
        self.average = Average(task, run.average_decay) if run.average_decay else None
        self.state = checkpoint.State(recipe=recipe, version=version, world=self.fabric.world_size)
        self.release_config = release_config
        self.guard = Guard(folder)
        self.stopping: int = 0
        """Number of the signal that asks this process to stop; 0 for none."""
        self._stopping_together = False
        folder.mkdir(parents=True, exist_ok=True)
        first = self.fabric.is_global_zero
        self._resume()
        after = self.state.step if first else None
        self.log = Log(
            folder, trackers=trackers.begin(run.trackers, folder, recipe, after) if first else (), after_step=after
        )
        self.fabric.barrier()
        self.skipped = skipped_ids(folder)

    def train(self, watch: Callable[[Progress], None] = lambda progress: None) -> dict[str, float]:
        """Step until the end; gives the metrics of the last validation.

        Raises:
            Interrupted: SIGINT or SIGTERM came; the state is saved, the same command goes on.
            TrainingDiverged: too many steps in a row could not be taken.
            RunError: a batch does not fit into memory.
            OSError: the disk is full, or cannot be written to; nothing unfinished is left.
        """
        try:
            metrics = self._train(watch)
        except (MemoryError, RuntimeError) as error:
            if not lacks_memory(error):
                raise
            why = " ".join(str(error).split())[:200] or "MemoryError"
            raise RunError(
                f"`train.batch_seconds` must let a batch fit into memory, but it does not after step {self.state.step} "
                f"({why}); lower it and raise `run.accumulate` in a new folder, or end other programs and run the same "
                "command again"
            ) from error
        let_parent_end()
        return metrics

    def _train(self, watch: Callable[[Progress], None]) -> dict[str, float]:
        state, run = self.state, self.run
        if state.step == 0:
            self._initialise()
        batches = self.source.training(state.epoch, state.position, self.fabric.global_rank, self.fabric.world_size)
        self.module.train()
        with _stop_on_signals(self):
            while state.step < run.steps:
                started = time.monotonic()
                terms = self._step(batches)
                state.seconds += time.monotonic() - started
                if state.step % run.log_every == 0 or state.step == run.steps:
                    self._report(terms, watch)
                if state.step % run.validate_every == 0 or state.step == run.steps:
                    self._validate(terms, watch)
                if state.step in run.release_at:
                    self._release_now()
                stopping = self._stopping_together or (self.stopping and self.fabric.world_size == 1)
                if state.step % run.save_every == 0 or state.step == run.steps or stopping:
                    self.save()
                if stopping and state.step < run.steps:
                    raise Interrupted(
                        f"stopped at step {state.step} of {run.steps}; the same command goes on",
                        self.stopping or signal.SIGTERM,
                    )
        self.log.end()
        return state.metrics

    def _step(self, batches: Iterator[tuple[int, int, Batch]]) -> dict[str, float]:
        """One optimizer step over `accumulate` batches on every process."""
        state = self.state
        self._set_lr()
        self.task.begin(state.step)
        self.optimizer.zero_grad()
        used: list[Batch] = []
        losses: list[Loss] = []
        for index in range(self.run.accumulate):
            state.epoch, state.position, batch = next(batches)
            self._report_skipped(batch)
            batch = batch.to(self.fabric.device)
            with self.fabric.no_backward_sync(self.module, enabled=index < self.run.accumulate - 1):
                loss = self.module(batch)
                self.fabric.backward(loss.total)
            used.append(batch)
            losses.append(loss)
        total, weight, seconds, terms = self._gather(losses, used)
        norm = self._scale_gradients(weight)
        if self.guard.passes(total, norm):
            self.optimizer.step()
            self.task.after_step(state.step + 1)
        else:
            self.guard.record(state.step, used, float(total), float(norm), self.fabric.global_rank)
        state.step += 1
        state.audio_seconds += seconds
        if self.average is not None:
            self.average.update(_bare(self.module), state.step)
        return {"loss": float(total) / weight, **terms, "gradient_norm": float(norm)}

    def _gather(self, losses: list[Loss], used: list[Batch]) -> tuple[Tensor, float, float, dict[str, float]]:
        """Sums over batches and processes."""
        names = sorted(losses[0].terms)
        rows = [
            torch.stack([loss.total.detach().float(), *(loss.terms[name].detach().float() for name in names)])
            for loss in losses
        ]
        extra = torch.tensor(
            [float(self.stopping > 0), sum(loss.weight for loss in losses), sum(batch.seconds for batch in used)],
            device=self.fabric.device,
        )
        sums = torch.cat((torch.stack(rows).sum(dim=0), extra.float()))
        if self.fabric.world_size > 1:
            sums = torch.as_tensor(self.fabric.all_reduce(sums, reduce_op="sum"))
        weight = max(float(sums[-2]), 1.0)
        terms = {name: float(value) / weight for name, value in zip(names, sums[1:-3], strict=True)}
        self._stopping_together = float(sums[-3]) > 0  # all stop after the same step, whoever was asked to
        return sums[0], weight, float(sums[-1]), terms

    def _scale_gradients(self, weight: float) -> Tensor:
        """Turn gradients of sums, averaged over processes, into gradients of the mean; then clip."""
        for parameter in self.task.frozen(self.state.step):
            parameter.grad = None
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        torch._foreach_mul_(gradients, self.fabric.world_size / weight)
        largest = self.run.clip_norm if self.run.clip_norm is not None else float("inf")
        return torch.nn.utils.clip_grad_norm_(self.parameters, largest, foreach=True)

    def _set_lr(self) -> None:
        lr = self.peak_lr * factor(self.schedule, self.state.step, self.run.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["scale"]

    def _initialise(self) -> None:
        """Let the task look at the first batches of a run; every process sees the same."""
        batches = self.source.training(0, 0, 0, 1)
        self.task.initialise(batch.to(self.fabric.device) for _, _, batch in batches)
        if self.average is not None:
            self.average = Average(self.task, self.run.average_decay)

    def _report(self, terms: dict[str, float], watch: Callable[[Progress], None]) -> None:
        state = self.state
        if not self.fabric.is_global_zero:
            return
        per_step = state.seconds / state.step
        rate = state.audio_seconds / max(state.seconds, 1e-9)
        lr = self.peak_lr * factor(self.schedule, state.step - 1, self.run.steps)
        self.log.write("train", state.step, epoch=state.epoch, lr=lr, audio_per_second=round(rate, 1), **terms)
        left = per_step * (self.run.steps - state.step)
        watch(Progress(state.step, self.run.steps, terms, state.metrics, left, rate, best=self._best()))

    def _best(self) -> tuple[str, float, int] | None:
        """The metric that chooses the best checkpoint, its best value so far and the step of that."""
        state, criterion = self.state, self.task.criterion
        return None if criterion is None or state.best is None else (criterion, state.best, state.best_step)

    def _report_validation(self, terms: dict[str, float], watch: Callable[[Progress], None]) -> None:
        """Write metrics and examples of a validation into the log, and tell them."""
        state, criterion = self.state, self.task.criterion
        last = {"last": True} if state.step == self.run.steps else {}
        self.log.write("validation", state.step, **state.metrics, **last)
        for reference, hypothesis in self.task.examples:
            self.log.write("example", state.step, reference=reference, hypothesis=hypothesis)
        left = state.seconds / max(state.step, 1) * (self.run.steps - state.step)
        curves = {"loss": log.curve(self.folder, "train", "loss")}
        if criterion is not None:
            curves[criterion] = log.curve(self.folder, "validation", criterion)
        watch(
            Progress(
                state.step, self.run.steps, terms, state.metrics, left, state.audio_seconds / max(state.seconds, 1e-9),
                is_validation=True, examples=self.task.examples, best=self._best(), curves=curves,
            )
        )  # fmt: skip

    def _report_skipped(self, batch: Batch) -> None:
        """Write items that could not be used into the log, once each."""
        for item in batch.skipped:
            if item.id not in self.skipped:
                self.skipped.add(item.id)
                self.log.write("skipped", self.state.step, id=item.id, path=item.path, reason=item.reason)

    def _validate(self, terms: dict[str, float], watch: Callable[[Progress], None]) -> None:
        """Validate the averaged weights on the first process; release them if they are the best so far."""
        state = self.state
        if self.fabric.is_global_zero:
            bare = _bare(self.module)
            random = checkpoint.random_state()
            with self.average.applied(bare) if self.average is not None else contextlib.nullcontext():
                batches = (batch.to(self.fabric.device) for batch in self.source.validation())
                state.metrics = self.task.validate(batches)
                criterion = self.task.criterion
                value = float(-state.step) if criterion is None else state.metrics[criterion]
                if state.best is None or value < state.best:
                    state.best, state.best_step = value, state.step
                    self._release("best")
            checkpoint.restore_random_state(random)
            self._report_validation(terms, watch)
        self.fabric.barrier()
        self.module.train()

    def _release_now(self) -> None:
        """Release the averaged weights of this step, whatever validation says of them."""
        if self.fabric.is_global_zero:
            bare = _bare(self.module)
            with self.average.applied(bare) if self.average is not None else contextlib.nullcontext():
                self._release(f"step_{self.state.step}")
        self.fabric.barrier()

    def _release(self, name: str) -> None:
        state = self.state
        about = {
            "version": state.version, "step": state.step, "metrics": state.metrics, "recipe": state.recipe,
        }  # fmt: skip
        self.task.release(self.folder / name, self.release_config, about)

    def save(self) -> None:
        """Write a checkpoint; every process adds its random state."""
        unfinished = checkpoint.unfinished_folder(self.folder, self.state.step)
        try:
            if self.fabric.is_global_zero:
                checkpoint.unfinished(self.folder, self.state.step)
            self.fabric.barrier()
            checkpoint.write_random(unfinished, self.fabric.global_rank)
            self.fabric.barrier()
            if self.fabric.is_global_zero:
                weights = _bare(self.module).state_dict()
                average = None if self.average is None else self.average.weights
                checkpoint.write(unfinished, weights, average, self.optimizer.state_dict(), self.state)
                checkpoint.finish(unfinished, self.folder, self.run.keep)
        except OSError:
            discard(unfinished)  # the room that it takes is needed
            raise
        self.fabric.barrier()

    def _resume(self) -> None:
        """Load the newest checkpoint of the folder that is whole and of this run, if there is one.

        Raises:
            ConfigError: the run began with another number of processes.
            ModelError: there are checkpoints, and none can be used.
        """
        torch.manual_seed(self.run.seed + 7919 * self.fabric.global_rank)
        if self.fabric.is_global_zero:
            checkpoint.remove_unfinished(self.folder)
        found = self.fabric.broadcast(checkpoint.steps(self.folder))  # all take the same one
        newest: str | None = None
        for step in reversed(found):
            saved, why = self._read(checkpoint.folder_of(self.folder, step))
            bad = torch.tensor(float(saved is None), device=self.fabric.device)
            if float(torch.as_tensor(self.fabric.all_reduce(bad, reduce_op="sum"))) == 0 and saved is not None:
                if newest is not None:
                    logger.warning("going on from step %d instead", step)
                self._take(saved)
                return
            why = (
                why or f"`{checkpoint.folder_of(self.folder, step)}` must be whole, but another process finds it is not"
            )
            logger.warning("%s", why)
            newest = newest or why
        if newest is not None:
            raise ModelError(
                f"`{self.folder}` must hold a whole checkpoint to go on from, but none of its {len(found)} is; put the "
                f"files of one back, or begin anew in another folder. The newest: {newest}"
            )

    def _read(self, folder: Path) -> tuple[checkpoint.Checkpoint | None, str]:
        """A checkpoint that fits this run, or why there is none."""
        try:
            saved = checkpoint.read(folder, self.fabric.global_rank, averaged=self.average is not None)
            if saved.state.world == self.fabric.world_size:
                checkpoint.must_fit(saved, _bare(self.module), self.optimizer, folder)
                return saved, ""
        except ModelError as error:
            return None, str(error)
        raise ConfigError(
            f"`run.devices` x `run.nodes` must be {saved.state.world}, as when the run began, "
            f"but is {self.fabric.world_size} instead"
        )

    def _take(self, saved: checkpoint.Checkpoint) -> None:
        """Go on where a checkpoint stands."""
        _bare(self.module).load_state_dict(saved.weights)
        self.optimizer.load_state_dict(saved.optimizer)
        if self.average is not None and saved.average is not None:
            self.average.weights = {name: tensor.to(self.fabric.device) for name, tensor in saved.average.items()}
        checkpoint.restore_random_state(saved.random)
        recipe, version = self.state.recipe, self.state.version
        self.state = saved.state
        self.state.recipe, self.state.version = recipe, version


def _bare(module: Any) -> nn.Module:
    """The task without Fabric's and DDP's wrapping."""
    inner: nn.Module = module.module
    return inner


class _stop_on_signals:
    """SIGINT and SIGTERM end the run after the step in hand; a second one ends it at once."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        self.old: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self.old = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *error: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: object) -> None:
        self.trainer.stopping = number
        for signum, handler in self.old.items():
            signal.signal(signum, handler)
