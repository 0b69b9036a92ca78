"""One way of making speech worse, at levels of its own unit: the entries of `audio.degrade` and `audio.corruptions`.

Legend: T samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]
Uniforms = Callable[[int], NDArray[np.float64]]
"""Gives that many numbers in [0, 1); the same ones, from the first on, each time it is called."""


@dataclass(frozen=True)
class Degradation:
    """One way of making speech worse, at levels of its own unit."""

    unit: str
    """Unit of the level, as it is written after the number."""
    levels: tuple[float, ...]
    """Default levels, mild and hard ones."""
    least: float
    """Least level."""
    most: float
    """Greatest level."""
    apply: Callable[[Waveform, float, Uniforms], Waveform]
    """Function of a waveform (T,), the level and uniform numbers that gives the degraded waveform."""


def certain(function: Callable[[Waveform, float], Waveform]) -> Callable[[Waveform, float, Uniforms], Waveform]:
    """Give a function without chance the form of one with it."""
    return lambda waveform, level, uniforms: function(waveform, level)
