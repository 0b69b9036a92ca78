"""Features over one axis of seconds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")


def drawn(monkeypatch: pytest.MonkeyPatch, samples: Any, path: Path) -> Any:
    """The figure itself, caught when it is saved."""
    from matplotlib.figure import Figure

    from noisewise.reports.figures.features import plot_features

    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    plot_features(samples, path)
    return figures[0]


def test_one_axis_of_seconds_and_sound_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    samples = np.zeros(32_000, np.float32)
    time = np.arange(8000) / 16_000
    samples[16_000:24_000] = 0.5 * np.sin(2 * np.pi * 2000 * time)  # 2 kHz from 1.0 s to 1.5 s
    figure = drawn(
        monkeypatch, samples + np.random.default_rng(0).normal(0, 1e-4, 32_000).astype(np.float32), tmp_path / "a.png"
    )
    left = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left").split()[0] for axes in left] == ["waveform", "spectrogram", "log-mel", "MFCC"]
    assert {axes.get_xlim() for axes in left} == {(0.0, 2.0)}
    for axes in left[1:3]:
        picture = axes.images[0]
        first, last, bottom, top = picture.get_extent()
        values = picture.get_array()
        loud = values.max(axis=0) > values.max() - (20 if axes is left[1] else 4)
        seconds = first + (np.flatnonzero(loud) + 0.5) * (last - first) / values.shape[1]
        assert seconds.min() == pytest.approx(1.0, abs=0.02) and seconds.max() == pytest.approx(1.5, abs=0.02)
        if axes is left[1]:
            row = values.mean(axis=1).argmax()
            assert bottom + (row + 0.5) * (top - bottom) / len(values) == pytest.approx(2.0, abs=0.05)  # kHz


def test_long_recordings_keep_their_extremes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, 900_000).astype(np.float32)
    samples[777_777] = 0.9
    line = drawn(monkeypatch, samples, tmp_path / "a.png").axes[0].lines[0]
    assert len(line.get_xdata()) < 100_000 and line.get_ydata().max() == np.float32(0.9)
    assert line.get_xdata()[line.get_ydata().argmax()] == pytest.approx(777_777 / 16_000, abs=0.01)
