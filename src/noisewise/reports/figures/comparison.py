"""Word error rates of several systems over SNR."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from noisewise.errors import EvaluationError
from noisewise.reports.comparison import Comparison
from noisewise.reports.figures.save import save


def plot_comparison(comparison: Comparison, path: str | Path) -> None:
    """Draw word error rates over SNR, a line for each system with its interval: all types, and each of them.

    Clean speech stands at the right end.

    Args:
        comparison: with at least one noisy cell.
        path: picture to write; the suffix names the format (png, pdf, svg).

    Raises:
        EvaluationError: there is no noisy cell, or matplotlib does not know the format.
    """
    if not comparison.snrs_db:
        raise EvaluationError("`comparison` must have cells in noise to draw, but has none; compare noise grids")
    panels = ["all", *comparison.noise_types] if len(comparison.noise_types) > 1 else comparison.noise_types
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(1.2 + 2.9 * columns, 0.8 + 2.5 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, kind in zip(grid.flat, panels, strict=False):
        _draw_lines(axes, comparison, kind)
    for axes in list(grid.flat)[len(panels) :]:
        axes.axis("off")
    figure.supxlabel("signal-to-noise ratio (dB)", fontsize=10)
    figure.supylabel("clips with errors (%)" if comparison.of_taggers else "word error rate (%)", fontsize=10)
    grid[0, 0].legend(fontsize=8)
    grid[0, 0].set_ylim(bottom=0)  # shared, and fixed: after all lines
    save(figure, path)


def _draw_lines(axes: Axes, comparison: Comparison, kind: str) -> None:
    """One panel: the rates of all systems in one kind of noise."""
    names = [*(f"{kind}@{snr:g}" for snr in comparison.snrs_db), "clean"]
    shown = [(place, comparison.lines[name]) for place, name in enumerate(names) if name in comparison.lines]
    places = [place for place, _ in shown]
    for index, name in enumerate(comparison.names):
        low, high = zip(*(line.ci[index] for _, line in shown), strict=True)
        (drawn,) = axes.plot(places, [100 * line.wer[index] for _, line in shown], marker="o", markersize=3, label=name)
        axes.fill_between(places, 100 * np.array(low), 100 * np.array(high), color=drawn.get_color(), alpha=0.2)
    axes.set_xticks(range(len(names)), [*(f"{snr:g}" for snr in comparison.snrs_db), "clean"])
    axes.set_title("all types" if kind == "all" else kind.replace("_", " "), fontsize=10)
