"""Checkpoints appear whole or not at all, and what is not whole, or not of this run, is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from noisewise.errors import ModelError
from noisewise.training import checkpoint
from noisewise.training.checkpoint import State


def saved(run: Path, step: int, keep: int = 2) -> Path:
    folder = checkpoint.unfinished(run, step)
    checkpoint.write_random(folder, 0)
    weights = {"weight": torch.full((2,), float(step))}
    checkpoint.write(folder, weights, None, {"state": {0: {"step": torch.tensor(1.0)}}}, State(step=step, best=0.5))
    return checkpoint.finish(folder, run, keep)


def test_round_trip_with_the_random_state(tmp_path: Path) -> None:
    torch.manual_seed(1)
    folder = saved(tmp_path, 7)
    expected = torch.rand(3)
    found = checkpoint.read(folder)
    assert found.state == State(step=7, best=0.5)
    assert found.average is None and found.weights["weight"].tolist() == [7, 7]
    assert found.random is not None
    checkpoint.restore_random_state(found.random)
    assert torch.equal(torch.rand(3), expected)


def test_only_whole_checkpoints_count_and_only_the_newest_stay(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        saved(tmp_path, step)
    checkpoint.unfinished(tmp_path, 4)  # the process was killed while it wrote
    assert checkpoint.steps(tmp_path) == [2, 3]


def test_every_process_needs_its_random_state(tmp_path: Path) -> None:
    folder = checkpoint.unfinished(tmp_path, 1)
    checkpoint.write_random(folder, 0)
    checkpoint.write(folder, {}, None, {}, State(step=1, world=2))
    with pytest.raises(ModelError, match=r"random_1\.pt is missing"):
        checkpoint.read(checkpoint.finish(folder, tmp_path, 2))


def edited(file: str, **values: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / file).write_text(json.dumps({**json.loads((folder / file).read_text()), **values}))

    return edit


def without(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def flipped(file: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        content = bytearray((folder / file).read_bytes())
        content[-1] ^= 1
        (folder / file).write_bytes(content)

    return flip


@pytest.mark.parametrize(
    "damage",
    [
        *map(without, ("random_0.pt", "model.safetensors", "optimizer.pt", "state.json")),
        *map(flipped, ("random_0.pt", "model.safetensors", "optimizer.pt", "state.json", "manifest.json")),
        edited("state.json", step=8),
        edited("manifest.json", files={"model.safetensors": 1}),
        edited("manifest.json", files={}),
    ],
)
def test_what_lacks_or_has_changed_is_refused(damage: Callable[[Path], None], tmp_path: Path) -> None:
    folder = saved(tmp_path, 7)
    checkpoint.read(folder)
    damage(folder)
    with pytest.raises(ModelError, match="must be a whole checkpoint"):
        checkpoint.read(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"step": -1}, {"step": "x"}, {"step": None}, {"step": 8}, {"position": None}, {"epoch": 0.5}, {"best": "x"},
        {"world": 0}, {"metrics": [1]}, {"metrics": {"wer": "much"}}, {"seconds": [0]},
    ],
)  # fmt: skip
def test_a_state_of_other_types_is_refused_without_a_manifest_too(values: dict[str, Any], tmp_path: Path) -> None:
    folder = saved(tmp_path, 7)
    (folder / "manifest.json").unlink()
    assert checkpoint.read(folder).state.step == 7, "as versions before the manifest wrote it"
    edited("state.json", **values)(folder)
    with pytest.raises(ModelError, match=f"must be a whole checkpoint.*{next(iter(values))}"):
        checkpoint.read(folder)


def test_an_average_is_needed_where_the_run_keeps_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"average\.safetensors is missing"):
        checkpoint.read(saved(tmp_path, 7), averaged=True)


def adam(module: nn.Module) -> torch.optim.Optimizer:
    groups = [{"params": [parameter], "scale": 1.0} for parameter in module.parameters()]
    optimizer = torch.optim.AdamW(groups)
    module(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    return optimizer


def test_weights_and_moments_of_another_model_are_refused(tmp_path: Path) -> None:
    module, wider = nn.Linear(3, 2), nn.Linear(3, 4)
    deeper = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    own = adam(module)

    def fits(of: nn.Module, optimizer: dict[str, Any], average: nn.Module | None = None) -> None:
        random = {"cpu": torch.get_rng_state()}
        found = checkpoint.Checkpoint(
            of.state_dict(), None if average is None else average.state_dict(), optimizer, random, State()
        )
        checkpoint.must_fit(found, module, own, tmp_path)

    fits(module, own.state_dict(), module)
    fits(module, torch.optim.AdamW(own.param_groups).state_dict())  # a parameter that was frozen has no moments
    shrunk = own.state_dict()
    shrunk["state"] = {number: {"exp_avg": torch.zeros(1, 3)} for number in shrunk["state"]}
    odds: tuple[tuple[Any, ...], ...] = (
        (wider, own.state_dict()),
        (deeper, own.state_dict()),
        (module, own.state_dict(), wider),
        (module, adam(wider).state_dict()),
        (module, adam(deeper).state_dict()),
        (module, shrunk),
        (module, {"state": {}}),
        (module, {**own.state_dict(), "state": {"0": 1}}),
    )
    for odd in odds:
        with pytest.raises(ModelError, match="must be a checkpoint of this recipe"):
            fits(*odd)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    (checkpoint.unfinished(tmp_path, 2) / "model.safetensors").touch()
    checkpoint.remove_unfinished(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_00000001"]


def test_a_later_one_that_was_refused_does_not_push_out_a_good_one(tmp_path: Path) -> None:
    saved(tmp_path, 9)
    for step in (4, 5, 6):
        saved(tmp_path, step)
    assert checkpoint.steps(tmp_path) == [5, 6, 9]


def test_foreign_weights_under_an_old_form_are_seen_by_their_names(tmp_path: Path) -> None:
    folder = saved(tmp_path, 1)
    (folder / "manifest.json").unlink()
    save_file({"other": torch.ones(2)}, folder / "model.safetensors")
    module = nn.Linear(2, 1, bias=False)
    with pytest.raises(ModelError, match="weights hold other"):
        checkpoint.must_fit(checkpoint.read(folder), module, torch.optim.AdamW(module.parameters()), folder)


def test_code_in_a_checkpoint_is_refused(tmp_path: Path) -> None:
    import pickle

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "touched",)

    folder = saved(tmp_path, 1)
    (folder / "optimizer.pt").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ModelError, match="must be a whole checkpoint"):
        checkpoint.read(folder)
    assert not (tmp_path / "touched").exists()
