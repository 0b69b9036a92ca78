"""The guard lets good steps pass, and counts bad ones in a row."""

from pathlib import Path

import pytest
import torch

from noisewise.batch import Batch
from noisewise.training.health import Guard, TrainingDiverged


def batch(name: str) -> Batch:
    return Batch(torch.zeros(1, 4), torch.tensor([4]), [name], ["YES"])


@pytest.mark.parametrize(
    ("loss", "norm", "good"), [(1.0, 1.0, True), (float("nan"), 1.0, False), (1.0, float("inf"), False)]
)
def test_what_passes(tmp_path: Path, loss: float, norm: float, good: bool) -> None:
    assert Guard(tmp_path).passes(torch.tensor(loss), torch.tensor(norm)) is good


def test_a_good_step_starts_the_count_again(tmp_path: Path) -> None:
    guard = Guard(tmp_path, patience=2)
    for step in range(3):
        guard.record(step, [batch(f"u{step}")], float("nan"), 1.0, rank=0)
        assert guard.passes(torch.tensor(1.0), torch.tensor(1.0))
    guard.record(3, [batch("u3")], float("nan"), 1.0, rank=0)
    with pytest.raises(TrainingDiverged, match="u4"):
        guard.record(4, [batch("u4")], float("nan"), 1.0, rank=0)


def test_at_most_so_many_batches_are_kept(tmp_path: Path) -> None:
    guard = Guard(tmp_path, patience=100, keep=2)
    for step in range(4):
        guard.record(step, [batch("u")], float("nan"), 1.0, rank=0)
    assert len(list((tmp_path / "bad_batches").glob("*.safetensors"))) == 2
