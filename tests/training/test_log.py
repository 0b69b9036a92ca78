"""The run's log: appended, and cut back to the checkpoint on resume."""

from collections.abc import Mapping
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


def test_trackers_get_the_numbers_and_no_words(tmp_path: Path) -> None:
    class Fake:
        def __init__(self) -> None:
            self.sent: list[object] = []

        def log(self, values: Mapping[str, float], step: int) -> None:
            self.sent.append((dict(values), step))

        def end(self) -> None:
            self.sent.append("end")

    fake = Fake()
    writer = log.Log(tmp_path, trackers=[fake])
    writer.write("validation", 1, wer=0.5, last=True, note="words stay in the JSON")
    writer.write("example", 1, reference="YES", hypothesis="YES")
    writer.end()
    assert fake.sent == [({"validation/wer": 0.5}, 1), "end"]
    assert len(log.read(tmp_path)) == 2


def test_a_curve_is_drawn_in_blocks(tmp_path: Path) -> None:
    writer = log.Log(tmp_path)
    for step, loss in enumerate([8.0, 4.0, 2.0, 1.0]):
        writer.write("train", step, loss=loss)
    assert log.curve(tmp_path, "train", "loss") == [8, 4, 2, 1]
    assert log.sparkline(log.curve(tmp_path, "train", "loss")) == "█▄▂▁"
    assert len(log.sparkline(range(1000), 30)) == 30 and log.sparkline([2, 2]) == "▁▁" and log.sparkline([]) == ""
    assert log.sparkline([float("nan"), 1, float("inf"), 2]) == "▁█"


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
