"""Figures; the only place that knows matplotlib (extra `figures`)."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from noisewise.evaluation.result import GridResult, ResultError
from noisewise.evaluation.table import label


def plot_grid(result: GridResult, path: str | Path) -> None:
    """Draw the word error rates of a grid as a heat map: noise types down, SNR across, percent in each cell.

    Args:
        result: with at least one noisy cell.
        path: picture to write; the suffix names the format (png, pdf, svg).

    Raises:
        ResultError: there is no noisy cell, or matplotlib does not know the format.
    """
    if not result.cells:
        raise ResultError("`result` must have noisy cells to draw, but holds clean speech only; add noise")
    percent = 100 * np.array(
        [[result.cell(kind, snr).wer for snr in result.snr_db] for kind in result.noise_types]
    )  # (types, SNRs)
    rows, columns = percent.shape
    top = max(100.0, float(percent.max()))
    figure = Figure(figsize=(3.2 + 0.9 * columns, 1.6 + 0.45 * rows), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(percent, cmap="viridis_r", vmin=0, vmax=top, aspect="auto")
    axes.set_xticks(range(columns), [f"{snr:g} dB" for snr in result.snr_db])
    axes.set_yticks(range(rows), [kind.replace("_", " ") for kind in result.noise_types])
    for row, column in np.ndindex(rows, columns):
        rate = percent[row, column]
        colour = "white" if rate > top / 2 else "black"
        axes.text(column, row, f"{rate:.1f}", ha="center", va="center", color=colour)
    axes.set_title(f"{label(result)}; clean speech {100 * result.clean.wer:.1f} %", fontsize=10, wrap=True)
    figure.colorbar(image, ax=axes, label="word error rate (%)")
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise ResultError(f"`{path}` must end in a format such as .png, .pdf or .svg, but: {error}") from error
