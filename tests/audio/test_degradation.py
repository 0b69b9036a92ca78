"""A function without chance in the form of one with it."""

import numpy as np
import pytest

from noisewise.audio.degradation import certain


def test_chance_is_left_alone() -> None:
    def must_not_draw(count: int) -> np.ndarray:
        raise AssertionError(f"{count} numbers were drawn")

    louder = certain(lambda waveform, level: waveform * np.float32(level))
    assert louder(np.array([1, -2], np.float32), 3.0, must_not_draw) == pytest.approx([3, -6])
