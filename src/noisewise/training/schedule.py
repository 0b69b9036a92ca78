"""Learning-rate schedules: a factor between 0 and 1 for every step."""

import math
from typing import Annotated, Literal, assert_never

from noisewise.config import config, one_of, within
from noisewise.errors import ConfigError


@config
class TriStage:
    """Linear warm-up, hold, exponential decay (wav2vec 2.0 fine-tuning; specs A.9)."""

    kind: Literal["tri_stage"] = "tri_stage"
    warm_up: float = 0.1
    """Fraction of the steps in which the rate rises."""
    hold: float = 0.4
    """Fraction of the steps in which the rate stays."""
    initial_scale: float = 0.01
    """Factor at step 0."""
    final_scale: float = 0.05
    """Factor at the end; above 0, which nothing decays to exponentially."""

    def __post_init__(self) -> None:
        within(0, 1, warm_up=self.warm_up, hold=self.hold, initial_scale=self.initial_scale)
        within(0, 1, final_scale=self.final_scale)
        if self.final_scale == 0:
            raise ConfigError(
                "`final_scale` of tri_stage must be above 0, but is 0 instead; write 1.0e-6, or polynomial"
            )
        if self.warm_up + self.hold > 1:
            raise ConfigError(
                f"`warm_up` and `hold` must be 1 or less together, but are {self.warm_up:g} and {self.hold:g} instead"
            )


@config
class Polynomial:
    """Linear warm-up, then polynomial decay (wav2vec 2.0 pre-training; Wav2code Sec. III-B warms up for 20 %)."""

    kind: Literal["polynomial"] = "polynomial"
    warm_up: float = 0.2
    """Fraction of the steps in which the rate rises."""
    power: float = 1.0
    """Exponent of the decay; 1 is a line."""
    final_scale: float = 0.0
    """Factor at the end."""

    def __post_init__(self) -> None:
        within(0, 1, warm_up=self.warm_up, final_scale=self.final_scale)
        within(0, math.inf, power=self.power)


@config
class Cosine:
    """Linear warm-up, then half a cosine (EAT, CAT)."""

    kind: Literal["cosine"] = "cosine"
    warm_up: float = 0.1
    """Fraction of the steps in which the rate rises."""
    final_scale: float = 0.0
    """Factor at the end."""

    def __post_init__(self) -> None:
        within(0, 1, warm_up=self.warm_up, final_scale=self.final_scale)


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
    return schedule.final_scale + (1 - schedule.final_scale) * left**schedule.power


def _cosine(schedule: Cosine, step: int, steps: int) -> float:
    warm_up = round(schedule.warm_up * steps)
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    passed = min((step - warm_up) / max(steps - warm_up, 1), 1.0)
    return schedule.final_scale + (1 - schedule.final_scale) * (1 + math.cos(math.pi * passed)) / 2
