"""Checkpoints: everything that a run needs to go on as if it had never stopped.

A checkpoint is a folder `step_00001000/` that appears whole or not at all:
`model.safetensors`, `average.safetensors` (the moving average, if kept), `optimizer.pt` (tensors and numbers,
read with `weights_only=True`), `random_<rank>.pt`, `state.json` (step, position, metrics, recipe, version), and
`manifest.json`, which is written last, with the size and SHA-256 of the others:

    {"format": 1, "files": {"model.safetensors": {"bytes": 1234, "sha256": "..."}, ...}}

Checkpoints of versions before the manifest are read too, if they have the files that their run needs.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from noisewise.config import config, parse, within
from noisewise.errors import ConfigError, ModelError, lacks_memory
from noisewise.files import discard, remove_leftovers, sha256_of, system_errors

MANIFEST = "manifest.json"
_NAME = re.compile(r"step_(\d{8})")


@config
class FileFacts:
    """What the manifest states of a file."""

    bytes: int
    """Size of the file."""
    sha256: str
    """SHA-256 of the file."""


@config
class Manifest:
    """The files of a checkpoint."""

    format: int
    """Version of this form."""
    files: dict[str, FileFacts]
    """Name of each file to its facts."""


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

    def __post_init__(self) -> None:
        counts = {"step": self.step, "epoch": self.epoch, "position": self.position, "best_step": self.best_step}
        within(0, float("inf"), **counts, seconds=self.seconds, audio_seconds=self.audio_seconds)
        within(1, float("inf"), world=self.world)


def folder_of(run: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run / "checkpoints" / f"step_{step:08d}"


def steps(run: Path) -> list[int]:
    """Steps with a checkpoint, in order."""
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
    _save(random_state(), folder / f"random_{rank}.pt")


def unfinished_folder(run: Path, step: int) -> Path:
    """Where a checkpoint is written, the same for all processes: a name that `steps` does not count."""
    return folder_of(run, step).with_suffix(".unfinished")


def unfinished(run: Path, step: int) -> Path:
    """Make the folder to write a checkpoint in, anew."""
    folder = unfinished_folder(run, step)
    discard(folder)
    folder.mkdir(parents=True)
    return folder


def remove_unfinished(run: Path) -> None:
    """Remove what a killed process has left; for the sole writer of a run."""
    folder = run / "checkpoints"
    for path in folder.glob("step_*.unfinished"):
        discard(path)
    if folder.is_dir():
        remove_leftovers(folder)


def write(
    folder: Path,
    weights: dict[str, Tensor],
    average: dict[str, Tensor] | None,
    optimizer: dict[str, Any],
    state: State,
) -> None:
    """Fill an unfinished checkpoint and flush it to disk.

    Raises:
        OSError: the disk is full, or cannot be written to.
    """
    _save_tensors(weights, folder / "model.safetensors")
    if average is not None:
        _save_tensors(average, folder / "average.safetensors")
    _save(optimizer, folder / "optimizer.pt")
    _write_json(folder / "state.json", asdict(state))
    files = sorted(folder.iterdir())
    for path in files:
        _flush(path)
    facts = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in files}
    _write_json(folder / MANIFEST, {"format": 1, "files": facts})
    _flush(folder / MANIFEST)


def finish(folder: Path, run: Path, keep: int) -> Path:
    """Give a filled checkpoint its name and remove all but the newest `keep`."""
    target = folder.with_suffix("")
    discard(target)
    folder.rename(target)
    if os.name == "posix":  # elsewhere a folder cannot be flushed
        _flush(target.parent)
    done = [step for step in steps(run) if folder_of(run, step) <= target]  # later ones were refused when it resumed
    for step in done[:-keep]:
        discard(folder_of(run, step))
    return target


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory."""

    weights: dict[str, Tensor]
    average: dict[str, Tensor] | None
    optimizer: dict[str, Any]
    random: dict[str, Tensor]
    state: State


def read(folder: Path, rank: int = 0, *, averaged: bool = False) -> Checkpoint:
    """Read a checkpoint.

    Args:
        folder: its folder.
        rank: process whose random state is read; the last one's where the run had fewer processes.
        averaged: whether the run keeps an average of the weights, so that the checkpoint must have one.

    Raises:
        ModelError: a file is missing or damaged, or not the one that was written.
    """
    try:
        state = _state(folder)
        _must_be_whole(folder, state.world, averaged)
        average = folder / "average.safetensors"
        return Checkpoint(
            weights=load_file(folder / "model.safetensors"),
            average=load_file(average) if average.is_file() else None,
            optimizer=torch.load(folder / "optimizer.pt", weights_only=True, map_location="cpu"),
            random=_random(folder / f"random_{min(rank, state.world - 1)}.pt"),
            state=state,
        )
    except Exception as error:
        if lacks_memory(error):
            raise
        why = " ".join(str(error).split())[:300]
        raise ModelError(f"`{folder}` must be a whole checkpoint, but is not ({why}); delete that folder") from error


def must_fit(saved: Checkpoint, module: nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """See that a checkpoint is one of this model and this optimizer, before anything of it is taken.

    Raises:
        ModelError: weights or moments have other names or shapes.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    why = _difference("weights", saved.weights, expected)
    if why is None and saved.average is not None:
        why = _difference("averaged weights", saved.average, expected)
    why = why or _optimizer_difference(saved.optimizer, optimizer)
    if why is not None:
        raise ModelError(f"`{folder}` must be a checkpoint of this recipe, but {why}; delete that folder")


def _difference(what: str, found: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> str | None:
    odd = sorted(found.keys() ^ expected.keys())
    if odd:
        return f"its {what} {'lack' if odd[0] in expected else 'hold'} {odd[0]}"
    for name, shape in expected.items():
        if tuple(found[name].shape) != shape:
            return f"its {what} hold {name} of shape {tuple(found[name].shape)} in the place of {shape}"
    return None


def _optimizer_difference(found: Any, optimizer: torch.optim.Optimizer) -> str | None:
    """Why the state of an optimizer is not of this one; its moments are numbered like the parameters."""
    groups = found.get("param_groups") if isinstance(found, dict) else None
    moments = found.get("state") if isinstance(found, dict) else None
    if not isinstance(groups, list) or not isinstance(moments, dict):
        return "its optimizer.pt holds no optimizer"
    own = optimizer.state_dict()["param_groups"]
    for mine, theirs in zip(own, groups, strict=False):
        if not isinstance(theirs, dict) or theirs.get("params") != mine["params"] or "scale" not in theirs:
            return "its optimizer is of other parameters"
    if len(own) != len(groups):
        return f"its optimizer has {len(groups)} groups of parameters in the place of {len(own)}"
    numbers = [number for group in own for number in group["params"]]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    shapes = {number: tuple(parameter.shape) for number, parameter in zip(numbers, parameters, strict=True)}
    for number, values in moments.items():
        tensors = [each for each in values.values() if isinstance(each, Tensor)] if isinstance(values, dict) else None
        if tensors is None or number not in shapes:
            return f"its optimizer has moments of an unknown parameter {number}"
        if any(tensor.dim() and tuple(tensor.shape) != shapes[number] for tensor in tensors):
            return f"the moments of parameter {number} in its optimizer have another shape than {shapes[number]}"
    return None


def _state(folder: Path) -> State:
    state = parse(State, json.loads((folder / "state.json").read_text(encoding="utf-8")))
    named = _NAME.fullmatch(folder.name)
    if named is not None and int(named[1]) != state.step:
        raise ConfigError(f"`step` of state.json must be {int(named[1])}, but is {state.step} instead")
    return state


def _must_be_whole(folder: Path, world: int, averaged: bool) -> None:
    """Every file that the run needs is there, and as it was written, which the manifest tells."""
    path = folder / MANIFEST
    manifest = parse(Manifest, json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
    listed = {} if manifest is None else manifest.files
    needed = ["model.safetensors", "optimizer.pt", "state.json", *(f"random_{rank}.pt" for rank in range(world))]
    if averaged:
        needed.append("average.safetensors")
    for name in dict.fromkeys([*needed, *listed]):
        if not (folder / name).is_file():
            raise ModelError(f"{name} is missing")
        if manifest is not None and name not in listed:
            raise ModelError(f"{name} is not in its manifest")
    for name, facts in listed.items():
        if (folder / name).stat().st_size != facts.bytes or sha256_of(folder / name) != facts.sha256:
            raise ModelError(f"{name} has changed since it was written")


def _random(path: Path) -> dict[str, Tensor]:
    found = torch.load(path, weights_only=True)
    if not isinstance(found, dict) or not isinstance(found.get("cpu"), Tensor):
        raise ModelError(f"{path.name} holds no random state")
    return found


def _save(values: Any, path: Path) -> None:
    with system_errors(path):
        torch.save(values, path)


def _save_tensors(weights: dict[str, Tensor], path: Path) -> None:
    with system_errors(path):
        save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}, path)


def _write_json(path: Path, values: Any) -> None:
    with system_errors(path):
        path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
