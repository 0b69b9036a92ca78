"""The run's log: appended, and cut back to the checkpoint on resume."""

import sys
from pathlib import Path

import pytest

from noisewise.errors import ConfigError
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


def test_a_run_that_begins_anew_forgets_all(tmp_path: Path) -> None:
    """It was killed before its first checkpoint; what was skipped on the way to step 1 is met again."""
    writer = log.Log(tmp_path)
    writer.write("skipped", 0, id="a")
    writer.write("train", 1, loss=1.0)
    log.Log(tmp_path, after_step=0)
    assert log.read(tmp_path) == []


def test_what_was_skipped_after_the_checkpoint_is_met_again(tmp_path: Path) -> None:
    writer = log.Log(tmp_path)
    writer.write("skipped", 2, id="before")
    writer.write("train", 3, loss=1.0)
    writer.write("skipped", 3, id="after")  # in the batch of step 4
    log.Log(tmp_path, after_step=3)
    assert log.skipped_ids(tmp_path) == {"before"} and len(log.read(tmp_path)) == 2


def test_junk_is_said_and_records_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = log.Log(tmp_path)
    writer.write("train", 1, loss=1.0, text="\u2028é")
    junk = [b"\xff\xfe\x00", b"[]", b"1", b'{"kind": 1, "step": 1}', b'{"kind": "train", "step": "x"}', b"[" * 100_000]
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b"\n".join(junk) + b"\n")
    writer.write("train", 2, loss=2.0)
    log.Log(tmp_path, after_step=2)
    assert "6 lines are no records" in caplog.text
    caplog.clear()
    assert [record["loss"] for record in log.read(tmp_path)] == [1.0, 2.0] and not caplog.text
    assert log.read(tmp_path)[0]["text"] == "\u2028é"


def test_tensorboard_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"run\.tensorboard.*pip install"):
        log.must_have_tensorboard()
    with pytest.raises(ConfigError, match=r"run\.tensorboard.*pip install"):
        log.Log(tmp_path, tensorboard=True)


def test_tensorboard_gets_the_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed (extra `tracking`)")
    log.Log(tmp_path, tensorboard=True).write("train", 1, loss=2.0, note="words stay in the JSON")
    assert list((tmp_path / "tensorboard").glob("events.*"))
