"""What Wav2code predicts and restores (Wav2code, Figs. 4 to 6): codes, distances, the codebook, one utterance."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from noisewise.reports.figures.save import save
from noisewise.reports.inspection import Inspection, Parallel, Scene

CODES_SHOWN = {
    "noisy_by_teacher": "noisy",
    "nearest_by_teacher": "nearest codes",
    "restored": "predicted codes",
    "true_codes": "true codes",
    "clean": "clean",
}
"""Rows of `plot_restoration`: what is drawn, and how it is called."""


def plot_accuracy(inspection: Inspection, path: str | Path) -> None:
    """Draw the share of right codes over SNR, a line for each predictor (Wav2code, Fig. 4).

    Args:
        inspection: of `noisewise.reports.inspection`.
        path: picture to write; the suffix names the format (png, pdf, svg).

    Raises:
        EvaluationError: matplotlib does not know the format.
    """
    figure, axes = _over_conditions(inspection, inspection.accuracy, scale=100)
    axes.axhline(100 * inspection.commonest, linestyle="--", color="grey", linewidth=1, label="always the commonest")
    axes.set_ylabel("frames with the clean code (%)")
    axes.legend(fontsize=8)
    save(figure, path)


def plot_distances(inspection: Inspection, path: str | Path) -> None:
    """Draw over SNR how far each representation is from the clean one.

    Args:
        inspection: of `noisewise.reports.inspection`.
        path: picture to write; the suffix names the format (png, pdf, svg).

    Raises:
        EvaluationError: matplotlib does not know the format.
    """
    figure, axes = _over_conditions(inspection, inspection.distances)
    axes.axhline(inspection.spread, linestyle="--", color="grey", linewidth=1, label="mean of the clean")
    axes.set_ylabel("mean squared distance from the clean")
    axes.legend(fontsize=8)
    save(figure, path)


def _over_conditions(
    inspection: Inspection, lines: dict[str, dict[str, float]], scale: float = 1
) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.5, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, values in sorted(lines.items()):
        shown = [scale * values[condition] for condition in inspection.conditions]
        axes.plot(range(len(shown)), shown, marker="o", markersize=4, label=name.replace("_", " "))
    axes.set_xticks(range(len(inspection.conditions)), inspection.conditions)
    axes.set_xlabel("signal-to-noise ratio (dB)")
    axes.set_ylim(bottom=0)
    return figure, axes


def plot_codes(scene: Scene, path: str | Path) -> None:
    """Draw clean and noisy frames around the codebook, coloured by the code of the clean frame (Wav2code, Fig. 5).

    Args:
        scene: of `noisewise.reports.inspection`.
        path: picture to write; the suffix names the format (png, pdf, svg).

    Raises:
        EvaluationError: matplotlib does not know the format.
    """
    figure = Figure(figsize=(10, 5), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    colours = {code: f"C{place}" for place, code in enumerate(np.unique(scene.codes))}
    for axes, frames, title in zip(
        panels, (scene.clean, scene.noisy), ("clean speech", "the same in noise"), strict=True
    ):
        axes.scatter(*scene.entries.T, s=8, color="lightgrey", label="codes")
        axes.scatter(*frames.T, s=6, c=[colours[code] for code in scene.codes], alpha=0.6)
        for code, colour in colours.items():
            axes.scatter(*scene.entries[code], s=90, marker="*", color=colour, edgecolor="black", linewidth=0.6)
        axes.set_title(title, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle("t-SNE; a colour is a code of the clean frames, its star the entry", fontsize=10)
    save(figure, path)


def plot_restoration(parallel: Parallel, path: str | Path) -> None:
    """Draw the representations of one utterance over time, each value against those of the clean (Wav2code, Fig. 6).

    Dimensions stand in the order in which they are greatest in the clean.

    Args:
        parallel: of `noisewise.reports.inspection`.
        path: picture to write; the suffix names the format (png, pdf, svg).

    Raises:
        EvaluationError: matplotlib does not know the format.
    """
    clean = parallel.views["clean"]
    mean, deviation = clean.mean(axis=0), clean.std(axis=0) + 1e-5
    order = np.argsort(clean.argmax(axis=0), kind="stable")
    figure = Figure(figsize=(10, 1.7 * len(CODES_SHOWN)), layout="constrained")
    rows = figure.subplots(len(CODES_SHOWN), 1, sharex=True)
    for axes, (view, title) in zip(rows, CODES_SHOWN.items(), strict=True):
        values = ((parallel.views[view] - mean) / deviation)[:, order]
        image = axes.imshow(values.T, aspect="auto", origin="lower", cmap="RdBu_r", vmin=-3, vmax=3)
        away = float(np.square(parallel.views[view] - clean).mean())
        axes.set_title(f"{title} (mean squared distance from the clean: {away:.3f})", loc="left", fontsize=9)
        axes.set_ylabel("dimension", fontsize=8)
    rows[-1].set_xlabel("frame")
    figure.colorbar(image, ax=rows, label="deviations of the clean")
    figure.suptitle(f"{parallel.utterance} in {parallel.noise_type} at {parallel.snr_db:g} dB", fontsize=10)
    save(figure, path)
