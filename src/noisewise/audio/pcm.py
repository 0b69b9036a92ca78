"""Waveforms as 16-bit samples, as other programs and servers take them.

Legend: T samples.
"""

import numpy as np
from numpy.typing import NDArray


def pcm16(waveform: NDArray[np.float32]) -> tuple[NDArray[np.int16], float]:
    """A waveform as 16-bit samples, and the factor it was multiplied by to fit. (T,) -> (T,)

    Waveforms within [-1, 1] keep their level (factor 1.0), and those read from 16-bit files their exact
    samples; louder ones, as mixtures can be, are scaled to a peak of 1.

    Example:
        >>> samples, scale = pcm16(np.array([0.0, 0.5, -2.0], dtype=np.float32))
        >>> samples.tolist(), scale
        ([0, 8192, -32768], 0.5)
    """
    peak = float(np.max(np.abs(waveform), initial=0.0))
    scale = 1.0 if peak <= 1.0 else 1.0 / peak
    samples = np.rint(waveform.astype(np.float64) * (scale * 32768))
    return np.clip(samples, -32768, 32767).astype(np.int16), scale
