"""How long it will take: seconds per step of what has run, applied to what has not."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from noisewise.errors import EvaluationError
from noisewise.experiments.result import Reproduction
from noisewise.experiments.runs import Run

SecondsPerStep = Mapping[str, float]
"""Name of a run to its seconds per step."""


def seconds_per_step(runs: Iterable[Run]) -> dict[str, float]:
    """Seconds per step by the checkpoints of runs, of any seed; a run without any takes those of its recipe."""
    chosen = list(runs)
    found: dict[str, float] = {}
    by_recipe: dict[str, float] = {}
    for one in chosen:
        state = one.state()
        if state is not None and state.step and state.seconds:
            found[one.name] = by_recipe[str(one.file)] = state.seconds / state.step
    for one in chosen:
        if one.name not in found and str(one.file) in by_recipe:
            found[one.name] = by_recipe[str(one.file)]
    return found


def recorded_seconds_per_step(path: Path) -> dict[str, float]:
    """Seconds per step by a stored result, perhaps of another machine; empty where there is none."""
    try:
        runs = Reproduction.load(path).runs
    except EvaluationError:
        return {}
    return {one.run: one.training_seconds / one.steps for one in runs if one.steps and one.training_seconds}


def seconds_left(runs: Sequence[Run], pace: SecondsPerStep, side_by_side: int) -> float | None:
    """At least this long, validation and grids aside: the work shared out evenly, or the longest chain of needs.

    Args:
        runs: each after those that it needs.
        pace: seconds per step; what is missing counts as the mean of the others.
        side_by_side: programs at a time.

    Returns:
        Seconds; None when nothing has run yet.
    """
    unfinished = [one for one in runs if not one.finished()]
    if not unfinished:
        return 0.0
    if not pace:
        return None
    usual = sum(pace.values()) / len(pace)
    chains: dict[str, float] = {}
    total = 0.0
    for one in unfinished:
        seconds = (one.steps - one.reached()) * pace.get(one.name, usual)
        before = max((chains.get(f"seed_{one.seed}/{need}", 0.0) for need in one.needs), default=0.0)
        chains[one.key] = before + seconds
        total += seconds
    return max(total / side_by_side, *chains.values())
