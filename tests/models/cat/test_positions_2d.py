"""Positions against the formula, channel by channel."""

import math

import pytest
import torch

from noisewise.models.cat.positions_2d import sinusoids_2d


def test_sinusoids_are_the_formula() -> None:
    positions = sinusoids_2d(5, 3, 8)
    assert positions.shape == (5, 3, 8)
    for time in range(5):
        for band in range(3):
            for half, place in enumerate((band, time)):
                for i in range(2):
                    angle = place * 10_000 ** (-i / 2)
                    sine, cosine = positions[time, band, 4 * half + i], positions[time, band, 4 * half + 2 + i]
                    assert math.isclose(sine.item(), math.sin(angle), abs_tol=1e-6)
                    assert math.isclose(cosine.item(), math.cos(angle), abs_tol=1e-6)


def test_a_time_is_the_same_however_long_the_clip() -> None:
    assert torch.equal(sinusoids_2d(4, 2, 16), sinusoids_2d(9, 2, 16)[:4])


def test_odd_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        sinusoids_2d(2, 2, 6)
