"""Learning-rate schedules at their corners."""

from typing import Any

import pytest

from noisewise.errors import ConfigError
from noisewise.training.schedule import Cosine, Polynomial, Schedule, TriStage, factor


def test_tri_stage_corners() -> None:
    schedule = TriStage(warm_up=0.1, hold=0.4, initial_scale=0.01, final_scale=0.05)
    values = {step: factor(schedule, step, 100) for step in (0, 5, 10, 49, 75, 100)}
    assert values[0] == pytest.approx(0.01)
    assert values[5] == pytest.approx(0.505)
    assert values[10] == values[49] == 1.0
    assert values[75] == pytest.approx(0.05**0.5)  # half-way down in the logarithm
    assert values[100] == pytest.approx(0.05)


def test_polynomial_corners() -> None:
    schedule = Polynomial(warm_up=0.2, power=1.0)
    assert factor(schedule, 0, 100) == pytest.approx(1 / 21)
    assert factor(schedule, 20, 100) == 1.0
    assert factor(schedule, 60, 100) == pytest.approx(0.5)
    assert factor(schedule, 100, 100) == 0.0
    squared = Polynomial(warm_up=0.2, power=2.0, final_scale=0.1)
    assert factor(squared, 60, 100) == pytest.approx(0.1 + 0.9 * 0.25)


def test_cosine_corners() -> None:
    schedule = Cosine(warm_up=0.2, final_scale=0.1)
    assert factor(schedule, 0, 100) == pytest.approx(1 / 21)
    assert factor(schedule, 20, 100) == 1.0
    assert factor(schedule, 60, 100) == pytest.approx(0.55)
    assert factor(schedule, 40, 100) == pytest.approx(0.1 + 0.9 * (1 + 0.5**0.5) / 2)
    assert factor(schedule, 100, 100) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "schedule", [TriStage(), Polynomial(), Cosine(), TriStage(warm_up=0), Polynomial(warm_up=0), Cosine(warm_up=0)]
)
def test_factors_stay_between_zero_and_one(schedule: Schedule) -> None:
    assert all(0 <= factor(schedule, step, 37) <= 1 for step in range(40))


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (TriStage, {"final_scale": 0.0}, "`final_scale` of tri_stage must be above 0"),
        (TriStage, {"warm_up": 0.7, "hold": 0.4}, "must be 1 or less together, but are 0.7 and 0.4"),
        (TriStage, {"hold": -0.1}, "`hold` must be between 0 and 1, but is -0.1"),
        (Polynomial, {"power": -1.0}, "`power` must be 0 or more"),
        (Polynomial, {"warm_up": -1.0}, "`warm_up` must be between 0 and 1"),
        (Cosine, {"final_scale": -3.0}, "`final_scale` must be between 0 and 1"),
    ],
)
def test_what_would_leave_that_range_is_refused_before_the_first_step(
    kind: type, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**values)
