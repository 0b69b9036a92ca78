"""Lines of systems over SNR, each in its panel."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.conditions import degraded_by
from noisewise.reports.comparison import compare
from tests.reports.figures.drawing import positions, result

matplotlib = pytest.importorskip("matplotlib")
from noisewise.reports.figures.comparison import plot_comparison  # noqa: E402
from noisewise.reports.figures.grid import plot_result  # noqa: E402


def test_lines_of_systems_over_snr(tmp_path: Path) -> None:
    one = result(("car", 0, 80), ("car", 5, 60), ("cafe", 0, 40), ("cafe", 5, 20))
    other = result(("car", 0, 70), ("car", 5, 50), ("cafe", 0, 30), ("cafe", 5, 10))
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_comparison(compare([one, other], ["old", "new"]), tmp_path / "lines.svg")
    where = positions((tmp_path / "lines.svg").read_text())
    assert {"old", "new", "all types", "car", "cafe", "clean", "word error rate (%)"} <= where.keys()
    assert where["all types"][0] < where["car"][0] < where["cafe"][0]
    with pytest.raises(NoisewiseError, match="cells in noise"):
        plot_comparison(compare([result(), result()]), tmp_path / "lines.png")


def test_no_line_leaves_its_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    one = result(("cafe", 0, 10), ("cafe", 5, 5), ("car", 0, 90), ("car", 5, 150))
    plot_comparison(compare([one, one], ["old", "new"]), tmp_path / "lines.svg")
    levels = [replace(row, condition=degraded_by("clip", at)) for at, row in enumerate(one.cells)]
    plot_result(replace(one, cells=levels), tmp_path / "levels.svg")
    for figure in drawn:
        assert all(axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 140 for axes in figure.axes if axes.lines)
    assert len(drawn) == 2
