"""Checkpoints appear whole or not at all."""

from pathlib import Path

import pytest
import torch

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


def test_another_process_has_its_own_random_state(tmp_path: Path) -> None:
    folder = saved(tmp_path, 1)
    assert checkpoint.read(folder, rank=1).random is None


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
