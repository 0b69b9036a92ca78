"""Positions: the formula of Vaswani et al. 2017."""

import math

from noisewise.layers.positions import sinusoids


def test_sinusoids_are_the_formula() -> None:
    positions = sinusoids(7, 6)
    for position in range(7):
        for pair in range(3):
            angle = position / 10_000 ** (2 * pair / 6)
            assert math.isclose(positions[position, 2 * pair].item(), math.sin(angle), abs_tol=1e-6)
            assert math.isclose(positions[position, 2 * pair + 1].item(), math.cos(angle), abs_tol=1e-6)
