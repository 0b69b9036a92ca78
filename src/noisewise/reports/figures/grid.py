"""Heat maps of noise grids, panels of degradations, and both on one card."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from noisewise.errors import EvaluationError
from noisewise.evaluation.result import GridResult
from noisewise.reports.figures.save import save
from noisewise.reports.metrics import WER, Metric, shown
from noisewise.reports.tables import label

PANELS = 5
"""Degradations beside one another."""


def plot_result(result: GridResult, path: str | Path) -> None:
    """Draw each metric of a result, one below the other: noise as a heat map, degradations as panels.

    A heat map has noise types down, SNR across and percent in each cell; a panel has rates over the levels of one
    degradation with their intervals, the clean rate dashed.

    Args:
        result: with at least one condition beside clean.
        path: picture to write; the suffix names the format (png, pdf, svg).

    Raises:
        EvaluationError: there is no such condition, or matplotlib does not know the format.
    """
    if not result.cells:
        raise EvaluationError("`result` must have noisy cells to draw, but holds the clean test set only; add noise")
    metrics, (width, height) = shown(result), _size(result)
    figure = Figure(figsize=(width, height * len(metrics)), layout="constrained")
    parts: Any = figure.subfigures(len(metrics), 1, squeeze=False)
    for part, metric in zip(parts.flat, metrics, strict=True):
        _draw(part, result, metric)
    save(figure, path)


def plot_card(noise: GridResult, degraded: GridResult, path: str | Path) -> None:
    """Draw the heat map of a noise grid above the panels of degradations, both of the main metric.

    Args:
        noise: with at least one noisy cell.
        degraded: with at least one degradation.
        path: picture to write; the suffix names the format (png, pdf, svg).

    Raises:
        EvaluationError: matplotlib does not know the format.
    """
    results = (noise, degraded)
    heights = [_size(result)[1] for result in results]
    figure = Figure(figsize=(max(_size(noise)[0], 13.2), sum(heights)), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=heights)
    for part, result in zip(parts, results, strict=True):
        _draw(part, result, shown(noise)[0])
    save(figure, path)


def _size(result: GridResult) -> tuple[float, float]:
    """Inches that the picture of one metric needs: width, height."""
    if panels := len(result.degradations):
        return 1.2 + 2.4 * min(PANELS, panels), 1.2 + 2.2 * -(-panels // PANELS)
    return 3.2 + 0.9 * len(result.snrs_db), 1.6 + 0.45 * len(result.noise_types)


def _draw(figure: FigureBase, result: GridResult, metric: Metric) -> None:
    (_draw_panels if result.degradations else _draw_heat_map)(figure, result, metric)


def _draw_heat_map(figure: FigureBase, result: GridResult, metric: Metric) -> None:
    """Fill a figure with the cells of a grid; what is worse is darker."""
    percent = 100 * np.array(
        [[result.cell(kind, snr).value(metric.key) for snr in result.snrs_db] for kind in result.noise_types]
    )  # (types, SNRs)
    rows, columns = percent.shape
    top = max(100.0, float(percent.max()))
    axes = figure.subplots()
    colours = "viridis" if metric.rises else "viridis_r"
    image = axes.imshow(percent, cmap=colours, vmin=0, vmax=top, aspect="auto")
    axes.set_xticks(range(columns), [f"{snr:g} dB" for snr in result.snrs_db])
    axes.set_yticks(range(rows), [kind.replace("_", " ") for kind in result.noise_types])
    for row, column in np.ndindex(rows, columns):
        rate = percent[row, column]
        colour = "white" if (rate > top / 2) != metric.rises else "black"
        axes.text(column, row, f"{rate:.1f}", ha="center", va="center", color=colour)
    axes.set_title(_title(result, metric), fontsize=10, wrap=True)
    figure.colorbar(image, ax=axes, label=f"{metric.name} (%)")


def _title(result: GridResult, metric: Metric) -> str:
    what = "clean speech" if metric is WER else f"clean: {metric.short}"
    return f"{label(result)}; {what} {100 * result.clean.value(metric.key):.1f} %"


def _draw_panels(figure: FigureBase, result: GridResult, metric: Metric) -> None:
    """Fill a figure with a panel for each degradation."""
    kinds = result.degradations
    columns = min(PANELS, len(kinds))
    rows = -(-len(kinds) // columns)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, kind in zip(grid.flat, kinds, strict=False):
        _draw_levels(axes, result, kind, metric)
    grid[0, 0].set_ylim(bottom=0)  # shared, and fixed: after all lines
    for axes in list(grid.flat)[len(kinds) :]:
        axes.axis("off")
    what = "clean speech," if metric is WER else f"clean, {metric.short}"
    figure.suptitle(f"{label(result)}; dashed: {what} {100 * result.clean.value(metric.key):.1f} %", fontsize=10)
    figure.supylabel(f"{metric.name} (%)", fontsize=10)


def _draw_levels(axes: Axes, result: GridResult, kind: str, metric: Metric) -> None:
    """One panel: the rates of one degradation, its levels evenly spaced in their order."""
    cells = [row for row in result.cells if row.condition.name == kind]
    rates = np.array([row.value(metric.key) for row in cells])
    ends = np.array([row.ci(metric.key) for row in cells])  # (levels, 2)
    errors = np.maximum([rates - ends[:, 0], ends[:, 1] - rates], 0)
    axes.errorbar(range(len(cells)), 100 * rates, 100 * errors, marker="o", markersize=4, capsize=3)
    axes.axhline(100 * result.clean.value(metric.key), linestyle="--", color="grey", linewidth=1)
    axes.set_xticks(range(len(cells)), [f"{row.condition.value:g}" for row in cells])
    axes.set_xlim(-0.5, len(cells) - 0.5)
    unit = cells[0].condition.unit
    axes.set_title(f"{kind} ({unit})" if unit else kind, fontsize=10)
