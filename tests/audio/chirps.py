"""A recording whose every instant differs from every other, and how `load` must refuse one."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.errors import AudioError

Array = NDArray[np.float32]


def chirp(seconds: float, rate: int = 16_000, top_hz: float = 3000.0) -> Array:
    """A rising tone: every instant differs from every other."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * (100 * time + (top_hz - 100) / 2 / seconds * time**2))).astype(np.float32)


def refused(reason: str, *args: Any, **kwargs: Any) -> str:
    """The message of the error that `load` must raise."""
    with pytest.raises(AudioError) as caught:
        waveform.load(*args, **kwargs)
    assert caught.value.reason == reason, str(caught.value)
    message = str(caught.value)
    assert "must" in message and "\n" not in message and str(caught.value.path) in message
    return message
