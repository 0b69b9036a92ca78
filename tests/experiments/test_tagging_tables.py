"""Tables of accuracies against counts by hand: h40 is right in 3.5 of 4 clips, p40 in 2, h10 in 1, p10 in 0.5."""

from pathlib import Path

import pytest

from noisewise.experiments.result import Reproduction
from noisewise.experiments.tagging_tables import draw, tagging_note, tagging_tables
from tests.experiments.test_tagging import gathered


def test_accuracies_differences_and_points() -> None:
    table, gains, points, reached = tagging_tables(gathered())
    assert table[0] == "T" and table[2] == 1
    assert table[1][0] == ["Stem", "accuracy (%)", "by seed"]
    assert table[1][1][0] == "plain" and table[1][1][1].startswith("50.0 (") and table[1][1][2] == "50.0, 50.0"
    assert gains[1][1][:2] == ["h40", "plain"], "a run has the labels of its row, else its name"
    assert gains[1][1][2].startswith("+37.5 (") and gains[1][1][3] == "+50.0, +25.0"
    assert points[1][0] == ["", "10", "40", "s per update"]
    assert points[1][1:] == [
        ["plain", "12.5", "50.0", "2.00"],
        ["helped", "25.0", "87.5", "2.00"],
        ["none", "", "", ""],
    ]
    assert reached[1][1][:6] == ["helped", "plain", "50.0", "22", "40", "1.8 times"]


def test_a_run_that_is_missing_says_so() -> None:
    found = gathered()
    lonely = type(found)(**{**vars(found), "accuracies": []})
    title, lines, _ = next(iter(tagging_tables(lonely)))
    assert title == "T" and lines[1] == ["plain", "not run", ""]


def test_the_note_says_what_was_tested() -> None:
    note = tagging_note(gathered(), "0, 1")
    assert note.startswith("Accuracy in percent on 4 test clips of 3 sources; mean over seeds 0, 1. Models are chosen")


def test_each_curve_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = Reproduction(title="t", plan="p", seeds=[0, 1], runs=[], tables=[], sounds=gathered())
    assert draw(result, tmp_path) == [tmp_path / "curve_1.png"] and (tmp_path / "curve_1.png").is_file()
    assert draw(Reproduction(title="t", plan="p", seeds=[0], runs=[], tables=[]), tmp_path) == []
