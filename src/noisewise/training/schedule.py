"""Learning-rate schedules: a factor between 0 and 1 for every step."""

import math
from typing import Annotated, Literal, assert_never

from noisewise.config import config, one_of


@config
class TriStage:
    """Linear warm-up, hold, exponential decay (wav2vec 2.0 fine-tuning; specs A.9)."""

    kind: Literal["tri_stage"] = "tri_stage"
    warm_up: float = 0.1
    """Fraction of the steps."""
    hold: float = 0.4
    """Fraction of the steps."""
    initial_scale: float = 0.01
    """Factor at step 0."""
    final_scale: float = 0.05
    """Factor at the end."""


@config
class Polynomial:
    """Linear warm-up, then polynomial decay (wav2vec 2.0 pre-training; Wav2code Sec. III-B warms up for 20 %)."""

    kind: Literal["polynomial"] = "polynomial"
    warm_up: float = 0.2
    """Fraction of the steps."""
    power: float = 1.0
    """Exponent of the decay; 1 is a line."""
    final_scale: float = 0.0
    """Factor at the end."""


@config
class Cosine:
    """Linear warm-up, then half a cosine (EAT, CAT)."""

    kind: Literal["cosine"] = "cosine"
    warm_up: float = 0.1
    """Fraction of the steps."""
    final_scale: float = 0.0
    """Factor at the end."""


Schedule = TriStage | Polynomial | Cosine
ScheduleConfig = Annotated[Schedule, one_of("kind")]


def factor(schedule: Schedule, step: int, steps: int) -> float:
    """What the peak learning rate is multiplied by at `step` of `steps`."""
    match schedule:
        case TriStage():
            return _tri_stage(schedule, step, steps)
        case Polynomial():
            return _polynomial(schedule, step, steps)
        case Cosine():
            return _cosine(schedule, step, steps)
        case _:
            assert_never(schedule)


def _tri_stage(schedule: TriStage, step: int, steps: int) -> float:
    warm_up = round(schedule.warm_up * steps)
    hold = round(schedule.hold * steps)
    if step < warm_up:
        return schedule.initial_scale + (1 - schedule.initial_scale) * step / warm_up
    if step < warm_up + hold:
        return 1.0
    decayed = min((step - warm_up - hold) / max(steps - warm_up - hold, 1), 1.0)
    return math.exp(math.log(schedule.final_scale) * decayed)


def _polynomial(schedule: Polynomial, step: int, steps: int) -> float:
    warm_up = round(schedule.warm_up * steps)
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    left = max(1 - (step - warm_up) / max(steps - warm_up, 1), 0.0)
    return schedule.final_scale + (1 - schedule.final_scale) * left**schedule.power  # type: ignore[no-any-return]


def _cosine(schedule: Cosine, step: int, steps: int) -> float:
    warm_up = round(schedule.warm_up * steps)
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    passed = min((step - warm_up) / max(steps - warm_up, 1), 1.0)
    return schedule.final_scale + (1 - schedule.final_scale) * (1 + math.cos(math.pi * passed)) / 2
