"""The heat map: every rate stands at its noise type and SNR."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.result import Rate
from tests.reports.figures.drawing import positions, result

matplotlib = pytest.importorskip("matplotlib")
from noisewise.reports.figures.grid import plot_result  # noqa: E402


def test_rates_stand_at_their_type_and_ratio(tmp_path: Path) -> None:
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_result(
            result(
                ("car", 0, 91),
                ("car", 5, 82),
                ("car", 10, 73),
                ("cafe", 0, 64),
                ("cafe", 5, 55),
                ("cafe", 10, 46),
            ),
            tmp_path / "grid.svg",
        )
    where = positions((tmp_path / "grid.svg").read_text())
    assert where["91.0"][1] == where["82.0"][1] == where["73.0"][1] < where["64.0"][1] == where["46.0"][1]
    assert where["91.0"][0] == where["64.0"][0] < where["82.0"][0] < where["73.0"][0] == where["46.0"][0]
    assert where["0 dB"][0] == pytest.approx(where["91.0"][0], abs=1)
    assert where["10 dB"][0] == pytest.approx(where["73.0"][0], abs=1)
    assert where["car"][1] == pytest.approx(where["91.0"][1], abs=4)
    assert where["cafe"][1] == pytest.approx(where["64.0"][1], abs=4)
    assert "mine; clean speech 0.0 %" in where


def test_a_picture_is_written(tmp_path: Path) -> None:
    plot_result(result(("car", 0, 150)), tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoisewiseError, match="add noise"):
        plot_result(result(), tmp_path / "grid.png")
    with pytest.raises(NoisewiseError, match="must end in a format"):
        plot_result(result(("car", 0, 1)), tmp_path / "grid.xyz")


def test_several_rates_stand_below_one_another_and_darkness_is_what_is_worse(tmp_path: Path) -> None:
    grid = result(("car", 0, 91), ("cafe", 0, 20))
    rows = [replace(row, rates={**row.rates, "accuracy": Rate(1 - row.wer / 2, [0, 1])}) for row in grid.rows.values()]
    grid = replace(grid, clean=rows[0], cells=rows[1:])
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_result(grid, tmp_path / "both.svg")
    text = (tmp_path / "both.svg").read_text()
    where = positions(text)
    assert where["91.0"][1] < where["20.0"][1] < where["54.5"][1] < where["90.0"][1]
    assert "mine; clean: accuracy 100.0 %" in text and "mine; clean speech 0.0 %" in text
    white = {rate for rate in ("91.0", "20.0", "54.5", "90.0") if re.search(rf"fill: #ffffff[^>]*>{rate}<", text)}
    assert white == {"91.0"}, "light letters stand on dark cells: many errors, or low accuracy"
    with pytest.raises(NoisewiseError, match="must have noisy cells"):
        plot_result(result(), tmp_path / "none.svg")
