"""Where results go, and when."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from noisewise.cli.outputs import Faults, Output, is_folder, progress_bar
from noisewise.inference.transcript import Transcript


class Lines:
    """Texts between two marks."""

    def head(self) -> str:
        return "<"

    def part(self, results: Sequence[Transcript]) -> str:
        return "".join(each.text for each in results)

    def foot(self) -> str:
        return ">"


def some(text: str) -> list[Transcript]:
    return [Transcript("a", text)]


def test_what_is_printed_is_in_order_and_comes_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    output: Output[Transcript] = Output(["a", "b", "c"], lambda _: Lines(), None, "txt")
    for position, shown in ((1, ""), (0, "<01"), (2, "2")):
        output.put(position, some(str(position)))
        assert capsys.readouterr().out == shown
    output.finish()
    assert capsys.readouterr().out == ">"


def test_each_recording_has_a_file_that_is_written_when_it_comes(tmp_path: Path) -> None:
    names = ["a/x.wav", "a/x.wav", "a_x.wav", "b/x.wav"]
    output: Output[Transcript] = Output(names, lambda _: Lines(), tmp_path / "out", "txt")
    for count in range(4):
        output.put(count, some(str(count)))
        assert len([*(tmp_path / "out").iterdir()]) == count + 1
    output.finish()
    assert sorted(path.read_text() for path in (tmp_path / "out").iterdir()) == ["<0>", "<1>", "<2>", "<3>"]


def test_a_file_appears_whole_and_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kept")
    (tmp_path / "all.txt").symlink_to(tmp_path / "other")
    output: Output[Transcript] = Output(["a", "b"], lambda _: Lines(), tmp_path / "all.txt", "txt")
    output.put(1, some("1"))
    output.put(0, some("0"))
    output.finish()
    assert (tmp_path / "all.txt").read_text() == "<01>" and (tmp_path / "other").read_text() == "kept"
    assert is_folder(tmp_path) and is_folder(tmp_path / "new") and not is_folder(tmp_path / "new.txt")


def test_faults_are_said_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    faults = Faults()
    faults.say([Transcript("a"), Transcript("b", error="bad\x1b[2J\nname")])
    assert capsys.readouterr().err == "noisewise: bad [2J name\n" and faults.status() == 1 and Faults().status() == 0
    with progress_bar(3, "testing") as advance:
        advance()
