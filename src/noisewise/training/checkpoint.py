"""Checkpoints: everything that a run needs to go on as if it had never stopped.

A checkpoint is a folder `step_00001000/` that appears whole or not at all:
`model.safetensors`, `average.safetensors` (the moving average, if kept), `optimizer.pt` (tensors and numbers,
read with `weights_only=True`), `random_<rank>.pt`, `state.json` (step, position, metrics, recipe, version).
"""

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from noisewise.errors import ModelError

_NAME = re.compile(r"step_(\d{8})")


@dataclass
class State:
    """Where a run stands, in plain values."""

    step: int = 0
    """Optimizer steps done."""
    epoch: int = 0
    """Epoch of the next batch."""
    position: int = 0
    """Batches of that epoch already used, on each process."""
    best: float | None = None
    """Best value of the task's criterion so far."""
    best_step: int = 0
    """Step at which it was reached."""
    seconds: float = 0.0
    """Time spent stepping, over all resumptions."""
    audio_seconds: float = 0.0
    """Audio seen, over all processes."""
    metrics: dict[str, float] = field(default_factory=dict)
    """The last validation."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """The recipe as plain values."""
    version: str = ""
    """The noisewise that wrote it."""
    world: int = 1
    """Processes of the run."""


def folder_of(run: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run / "checkpoints" / f"step_{step:08d}"


def steps(run: Path) -> list[int]:
    """Steps with a whole checkpoint, in order."""
    found = (_NAME.fullmatch(path.name) for path in (run / "checkpoints").glob("step_*") if path.is_dir())
    return sorted(int(match[1]) for match in found if match)


def random_state() -> dict[str, Tensor]:
    """State of PyTorch's generators on this process: dropout, SpecAugment, layer drop."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: dict[str, Tensor]) -> None:
    """Undo `random_state`."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def write_random(folder: Path, rank: int) -> None:
    """Each process adds its own random state to the unfinished checkpoint."""
    torch.save(random_state(), folder / f"random_{rank}.pt")


def unfinished(run: Path, step: int) -> Path:
    """A fresh folder under a name that `steps` does not count."""
    folder = folder_of(run, step).with_suffix(".unfinished")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def write(
    folder: Path,
    weights: dict[str, Tensor],
    average: dict[str, Tensor] | None,
    optimizer: dict[str, Any],
    state: State,
) -> None:
    """Fill an unfinished checkpoint and flush it to disk."""
    save_file(_own(weights), folder / "model.safetensors")
    if average is not None:
        save_file(_own(average), folder / "average.safetensors")
    torch.save(optimizer, folder / "optimizer.pt")
    (folder / "state.json").write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def finish(folder: Path, run: Path, keep: int) -> Path:
    """Give a filled checkpoint its name and remove all but the newest `keep`."""
    target = folder.with_suffix("")
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)
    for step in steps(run)[:-keep]:
        shutil.rmtree(folder_of(run, step), ignore_errors=True)
    return target


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory."""

    weights: dict[str, Tensor]
    average: dict[str, Tensor] | None
    optimizer: dict[str, Any]
    random: dict[str, Tensor] | None
    state: State


def read(folder: Path, rank: int = 0) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ModelError: a file is missing or damaged.
    """
    try:
        average = folder / "average.safetensors"
        random = folder / f"random_{rank}.pt"
        return Checkpoint(
            weights=load_file(folder / "model.safetensors"),
            average=load_file(average) if average.is_file() else None,
            optimizer=torch.load(folder / "optimizer.pt", weights_only=True, map_location="cpu"),
            random=torch.load(random, weights_only=True) if random.is_file() else None,
            state=State(**json.loads((folder / "state.json").read_text(encoding="utf-8"))),
        )
    except Exception as error:
        raise ModelError(
            f"`{folder}` must be a whole checkpoint, but cannot be read ({' '.join(str(error).split())}); "
            "delete that folder to go on from the one before"
        ) from error


def _own(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
