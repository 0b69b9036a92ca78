"""Figures 4 to 6 of Wav2code."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisewise.reports.inspection import Inspection, Parallel, Scene
from tests.reports.figures.drawing import positions

matplotlib = pytest.importorskip("matplotlib")
from noisewise.reports.figures.inspection import plot_accuracy, plot_codes, plot_distances, plot_restoration  # noqa: E402


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
