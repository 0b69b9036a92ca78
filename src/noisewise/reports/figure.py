"""Figures; the only place that knows matplotlib (extra `figures`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from noisewise.audio.features import MFCC, LogMel, Spectrogram
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.errors import EvaluationError, NoisewiseError
from noisewise.evaluation.result import GridResult
from noisewise.reports.comparison import Comparison
from noisewise.reports.inspection import Inspection, Parallel, Scene
from noisewise.reports.metrics import WER, Metric, shown
from noisewise.reports.tables import label

rcParams["text.parse_math"] = False  # a `$` in a name is a dollar
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
    _save(figure, path)


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
    _save(figure, path)


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
    _save(figure, path)


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


def _save(figure: Figure, path: str | Path) -> None:
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise EvaluationError(f"`{path}` must end in a format such as .png, .pdf or .svg, but: {error}") from error


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


def plot_features(
    waveform: NDArray[np.float32], path: str | Path, *, title: str = "", sample_rate: int = SAMPLE_RATE
) -> None:
    """Draw waveform, spectrogram, log-mel and MFCC one below the other, over one axis of seconds.

    Args:
        waveform: samples in -1..1, at least one frame (25 ms). (T,)
        path: picture to write; the suffix names the format (png, pdf, svg).
        title: above the figure.
        sample_rate: samples per second.

    Raises:
        NoisewiseError: the recording is too short, or matplotlib does not know the format.
    """
    features = [module(sample_rate=sample_rate) for module in (Spectrogram, LogMel, MFCC)]
    if len(waveform) < features[0].window_size:
        raise NoisewiseError(f"`waveform` must last 25 ms or more, but lasts {len(waveform)} samples instead")
    figure = Figure(figsize=(10, 9), layout="constrained")
    axes = figure.subplots(4, 2, sharex="col", width_ratios=[60, 1])
    _draw_waveform(axes[0, 0], waveform, sample_rate)
    axes[0, 1].axis("off")
    for (left, right), module in zip(axes[1:], features, strict=True):
        values = module(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))[0][0].numpy()
        figure.colorbar(_draw_feature(left, values, module), cax=right)
    axes[3, 0].set_xlabel("time (s)")
    axes[0, 0].set_xlim(0, len(waveform) / sample_rate)
    figure.suptitle(title, fontsize=11)
    try:
        figure.savefig(path, dpi=120)
    except ValueError as error:
        raise NoisewiseError(f"`{path}` must end in a format such as .png or .pdf, but: {error}") from error


def _draw_waveform(axes: Axes, waveform: NDArray[np.float32], sample_rate: int) -> None:
    """The samples; of a long recording the least and greatest of each short stretch."""
    step = max(1, len(waveform) // 20_000)
    stretches = waveform[: len(waveform) // step * step].reshape(-1, step)  # (stretches, samples)
    seconds = np.repeat(np.arange(len(stretches)) * step / sample_rate, 2)
    extremes = np.stack([stretches.min(axis=1), stretches.max(axis=1)], axis=1).ravel()
    axes.plot(seconds, extremes, linewidth=0.5)
    axes.set_ylabel("amplitude")
    axes.set_title("waveform", loc="left", fontsize=10)


def _draw_feature(axes: Axes, values: NDArray[np.float32], module: Spectrogram) -> Any:
    """One feature (F, D) as a picture, each frame around its middle; returns the picture for its colour bar."""
    hop = module.hop / module.sample_rate
    start = (module.window_size - module.hop) / 2 / module.sample_rate
    span = (start, start + len(values) * hop)
    picture, name, unit, colours = values.T, "log-mel", "mel band", "magma"
    bottom, top = -0.5, module.dim - 0.5  # a whole number is the middle of its row
    low, high = np.percentile(values, [1, 100])
    if isinstance(module, MFCC):
        name, unit, colours = "MFCC", "coefficient", "RdBu_r"
        high = float(np.abs(values[:, 1:]).max())  # the zeroth, the energy, is far larger
        low = -high
    elif not isinstance(module, LogMel):
        picture, name, unit = values.T * (10 / np.log(10)), "spectrogram", "kHz"
        bottom, top = 0.0, module.sample_rate / 2000
        high = float(picture.max())
        low = high - 80
    limits = {"vmin": low, "vmax": high}
    image = axes.imshow(picture, origin="lower", aspect="auto", extent=(*span, bottom, top), cmap=colours, **limits)
    axes.set_ylabel(unit)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    scale = {"spectrogram": "power in dB", "log-mel": "natural logarithm of power", "MFCC": "cepstrum"}[name]
    axes.set_title(f"{name} ({scale})", loc="left", fontsize=10)
    return image


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
    _save(figure, path)


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
    _save(figure, path)


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
    _save(figure, path)


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
    _save(figure, path)


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
    _save(figure, path)
