"""The run's log: appended, and cut back to the checkpoint on resume."""

from pathlib import Path

import pytest

from noisewise.training import log


def test_records_are_appended_and_read_by_kind(tmp_path: Path) -> None:
    first = log.Log(tmp_path)
    first.write("train", 1, loss=2.0)
    first.write("validation", 1, wer=0.5)
    log.Log(tmp_path).write("train", 2, loss=1.0)
    assert [record["loss"] for record in log.read(tmp_path, "train")] == [2.0, 1.0]
    assert len(log.read(tmp_path)) == 3


def test_lost_steps_and_a_torn_line_are_forgotten(tmp_path: Path) -> None:
    writer = log.Log(tmp_path)
    for step in (1, 2, 3):
        writer.write("train", step, loss=float(step))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')  # the process was killed while it wrote
    log.Log(tmp_path, after_step=2).write("train", 3, loss=30.0)
    assert [record["loss"] for record in log.read(tmp_path)] == [1.0, 2.0, 30.0]


def test_tensorboard_gets_the_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed (extra `tracking`)")
    log.Log(tmp_path, tensorboard=True).write("train", 1, loss=2.0, note="words stay in the JSON")
    assert list((tmp_path / "tensorboard").glob("events.*"))
