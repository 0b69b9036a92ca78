"""The run's log: appended, and cut back to the checkpoint on resume."""

from collections.abc import Mapping
from pathlib import Path

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
