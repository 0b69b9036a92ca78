"""Waveform, spectrogram, log-mel energies and MFCC of a recording."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from noisewise.audio.features import MFCC, LogMel, Spectrogram
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.errors import NoisewiseError
from noisewise.reports.figures.save import save


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
    save(figure, path, dpi=120)


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
