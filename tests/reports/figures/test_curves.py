"""Curves over updates."""

from pathlib import Path

import pytest

from tests.reports.figures.drawing import positions

matplotlib = pytest.importorskip("matplotlib")
from noisewise.reports.figures.curves import plot_curves  # noqa: E402


def test_updates_of_a_curve_stand_in_equal_ratios_and_a_single_one_has_its_interval(tmp_path: Path) -> None:
    lines = {"short": [(150.0, 0.1, 0.05, 0.15), (600.0, 0.2, 0.15, 0.25)], "long": [(2400.0, 0.2, 0.1, 0.4)]}
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_curves(lines, {"labels alone": 0.3}, tmp_path / "curve.svg", title="t", x_label="updates")
    text = (tmp_path / "curve.svg").read_text()
    where = positions(text)
    first, second, third = (where[tick][0] for tick in ("150", "600", "2,400"))
    assert second - first == pytest.approx(third - second, rel=0.05)
    assert "LineCollection" in text and {"short", "long", "labels alone"} <= set(where)
    plot_curves(
        {"from nothing": [(0.0, 0.1, 0.0, 0.2), (600.0, 0.2, 0.1, 0.3)]}, {}, tmp_path / "c.svg", title="", x_label=""
    )
