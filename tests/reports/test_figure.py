"""The heat map: every rate stands at its noise type and SNR."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisewise.errors import NoisewiseError
from noisewise.evaluation.conditions import CLEAN, degraded_by, in_noise
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult, Rate
from noisewise.evaluation.test_set import Utterance
from noisewise.evaluation.words import TextCell, summarise
from noisewise.reports.comparison import compare
from noisewise.reports.inspection import Inspection, Parallel, Scene

matplotlib = pytest.importorskip("matplotlib")
from noisewise.reports.figure import (  # noqa: E402
    plot_accuracy,
    plot_codes,
    plot_comparison,
    plot_curves,
    plot_distances,
    plot_restoration,
    plot_result,
)

WORDS = ["A"] * 100


def result(*conditions: tuple[str, float, int]) -> GridResult:
    cells = [TextCell(CLEAN, [" ".join(WORDS)], {}, 0, "")]
    for kind, snr, wrong in conditions:
        cells.append(TextCell(in_noise(kind, snr), [" ".join(["X"] * wrong + WORDS[wrong:])], {}, 0, ""))
    found = summarise([Utterance("u", "s", " ".join(WORDS), 1.0)], cells, GridConfig(manifest=""))
    return replace(found, system="mine")


def positions(svg: str) -> dict[str, tuple[float, float]]:
    """Text to where it stands, (x, y) with y down."""
    found = re.findall(r'<text[^>]*transform="translate\(([\d.]+) ([\d.]+)\)[^>]*>([^<]+)</text>', svg)
    found += re.findall(r'<text[^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)</text>', svg)
    return {text.strip(): (float(x), float(y)) for x, y, text in found}


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


def test_lines_of_an_inspection(tmp_path: Path) -> None:
    lines = {"nearest": {"0": 0.1, "5": 0.2, "clean": 0.9}, "cnn (it)": {"0": 0.3, "5": 0.4, "clean": 0.5}}
    found = Inspection(["0", "5", "clean"], lines, {"true_codes": lines["nearest"]}, 0.4, 0.05, ["u"], ["car"])
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_accuracy(found, tmp_path / "accuracy.svg")
        plot_distances(found, tmp_path / "distances.svg")
    where = positions((tmp_path / "accuracy.svg").read_text())
    assert {"nearest", "cnn (it)", "always the commonest", "frames with the clean code (%)"} <= where.keys()
    assert where["0"][0] < where["5"][0] < where["clean"][0]
    assert {"true codes", "mean of the clean"} <= positions((tmp_path / "distances.svg").read_text()).keys()


def test_frames_around_the_codebook_have_the_colour_of_their_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    plane = np.arange(10, dtype=np.float32).reshape(5, 2)
    plot_codes(Scene(plane, plane[:3] + 0.1, plane[:3] - 0.1, np.array([4, 1, 4])), tmp_path / "codes.png")
    clean, noisy = drawn[0].axes
    frames, *stars = clean.collections[1:]
    colours = frames.get_facecolors()[:, :3]
    assert (colours[0] == colours[2]).all() and (colours[0] != colours[1]).any()
    places = {tuple(star.get_offsets()[0]): tuple(star.get_facecolors()[0][:3]) for star in stars}
    assert places == {tuple(plane[4]): tuple(colours[0]), tuple(plane[1]): tuple(colours[1])}
    np.testing.assert_array_equal(noisy.collections[1].get_offsets(), plane[:3] - np.float32(0.1))


SHOWN = ("clean", "true_codes", "restored", "nearest_by_teacher", "noisy_by_teacher")


def test_the_clean_representation_is_drawn_below_what_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    clean = np.random.default_rng(0).standard_normal((7, 4)).astype(np.float32)
    views = {name: clean + shift for shift, name in enumerate(SHOWN)}
    plot_restoration(Parallel("u1", "car", 0.0, np.zeros(7, np.int64), views), tmp_path / "restoration.png")
    titles = [axes.get_title(loc="left") for axes in drawn[0].axes[:5]]
    assert [title.split(" (")[0] for title in titles] == [
        "noisy",
        "nearest codes",
        "predicted codes",
        "true codes",
        "clean",
    ]
    assert "clean: 16.000)" in titles[0] and "clean: 0.000)" in titles[4]
    assert all(axes.images[0].get_array().shape == (4, 7) for axes in drawn[0].axes[:5])


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
