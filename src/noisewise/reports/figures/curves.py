"""Accuracies over updates of training, with their intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from noisewise.reports.figures.save import save


def plot_curves(
    lines: Mapping[str, Sequence[tuple[float, float, float, float]]],
    level: Mapping[str, float],
    path: str | Path,
    *,
    title: str,
    x_label: str,
) -> None:
    """Draw accuracies over something, with their intervals; the axis is logarithmic where nothing lies at 0.

    Args:
        lines: label to points: place, accuracy, lower and upper end of its interval, as fractions.
        level: label to an accuracy that is drawn as a level line.
        path: picture to write; the suffix names the format (png, pdf, svg).
        title: over the picture.
        x_label: under it.

    Raises:
        EvaluationError: matplotlib does not know the format.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, points in lines.items():
        if points:
            places, values, low, high = np.array(points).T * [[1], [100], [100], [100]]
            if len(points) == 1:
                axes.errorbar(
                    places, values, [values - low, high - values], fmt="o", markersize=4, capsize=3, label=name
                )
                continue
            axes.plot(places, values, marker="o", markersize=4, label=name)
            axes.fill_between(places, low, high, alpha=0.12)
    for number, (name, value) in enumerate(level.items()):
        axes.axhline(100 * value, color="grey", linestyle=("--", ":", "-.")[number % 3], label=name)
    ticks = sorted({point[0] for points in lines.values() for point in points})
    if ticks and ticks[0] > 0:
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
        axes.minorticks_off()
    axes.set_xlabel(x_label)
    axes.set_ylabel("accuracy (%)")
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8)
    save(figure, path)
