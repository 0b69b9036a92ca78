"""Accuracies of taggers over seeds, differences in pairs, and how they rise with pre-training.

A run's accuracy is the mean over its seeds. Confidence intervals resample the sources of the test clips (recordings of
which several clips may have been cut), each with all its clips, by all seeds and all runs: they tell what other clips
would give with these models; how much training itself varies is in the accuracies by seed.

Legend: N clips, R resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import EvaluationError
from noisewise.experiments.plan import ComparisonPlan, CurvePlan, LinePlan, TaggingPlan
from noisewise.experiments.records import Record
from noisewise.run import TEST
from noisewise.scoring.words import interval, resample

RESAMPLES = 1000
Right = NDArray[np.float64]
"""Which clips were right. (N,)"""


@dataclass(frozen=True)
class Accuracy:
    """One run over its seeds."""

    run: str
    seeds: list[int]
    accuracy: float
    """Mean over seeds."""
    ci: tuple[float, float]
    by_seed: list[float]


@dataclass(frozen=True)
class Gain:
    """Accuracy of the one less that of the other, mean over the seeds that both have: above 0, the one is better."""

    better: str
    than: str
    seeds: list[int]
    difference: float
    ci: tuple[float, float]
    by_seed: list[float]


@dataclass(frozen=True)
class LineCost:
    """What a line of a curve costs."""

    line: str
    seconds_before: float
    """Training of what the pre-training needs, such as an external encoder; mean over seeds."""
    seconds_per_update: float


@dataclass(frozen=True)
class Reached:
    """Where one line reaches what another has at its end, along straight lines between points; None where it never
    does."""

    line: str
    than: str
    accuracy: float
    """Of the other, at its end."""
    updates: float | None
    than_updates: float
    seconds: float | None
    """Of pre-training and what it needs."""
    than_seconds: float
    by_seed: list[float | None] = field(default_factory=list)
    """Updates, each seed by itself."""


@dataclass(frozen=True)
class Curve:
    """One figure of the plan."""

    plan: CurvePlan
    paces: list[LineCost]
    reached: list[Reached]


@dataclass(frozen=True)
class TaggingSummary:
    """Results of the taggers of a plan."""

    plan: TaggingPlan
    clips: int
    sources: int
    papers_protocol: bool
    accuracies: list[Accuracy]
    gains: list[Gain]
    curves: list[Curve]

    def of(self, run: str) -> Accuracy | None:
        """What a run reached; None when it has not been tested."""
        return next((one for one in self.accuracies if one.run == run), None)


@dataclass(frozen=True)
class _Tests:
    """Run, or pool of runs, and seed to which clips were right, and the draws that serve all."""

    right: Mapping[str, Mapping[int, Right]]
    times: NDArray[np.float64]
    """(R, N)"""


def aggregate_tagging(plan: TaggingPlan, records: Sequence[Record]) -> TaggingSummary | None:
    """Accuracies of finished runs on their test sets; None when there are none.

    Raises:
        EvaluationError: runs that are compared were tested on other clips, or runs of a pool on the same.
    """
    tested = [(one, one.test) for one in records if one.trained.run in plan.runs and one.test is not None]
    if not tested:
        return None
    found = {one.key: test for one, test in tested}
    sources = _sources(found)
    right: dict[str, dict[int, Right]] = {}
    for one, test in tested:
        right.setdefault(one.trained.run, {})[one.trained.seed] = _ordered(test, list(sources))
    right.update((name, pooled) for name, runs in plan.pools.items() if (pooled := _pooled(name, runs, right)))
    for name, by_seed in right.items():
        _same_clips(name, name, list(by_seed.values()))
    times = resample(len(sources), groups=list(sources.values()), samples=RESAMPLES, seed=0).astype(np.float64)
    tests = _Tests(right, times)
    return TaggingSummary(
        plan=plan,
        clips=len(sources),
        sources=len(set(sources.values())),
        papers_protocol=any(bool(each["papers_protocol"]) for each in found.values()),
        accuracies=[_accuracy(name, tests) for name in right],
        gains=[gain for one in plan.comparisons if (gain := _gain(one, tests)) is not None],
        curves=[_curve(one, tests, records) for one in plan.curves],
    )


def _sources(found: Mapping[str, Any]) -> dict[str, str]:
    """Every clip that some run was tested on, in alphabetical order, to its source."""
    sources: dict[str, str] = {}
    for name, each in found.items():
        if "right" not in each:
            raise EvaluationError(
                f"`{name}` must be tested on clips of one label each, but is not; set model.labels=one"
            )
        sources.update(zip(each["ids"], each["sources"], strict=True))
    return dict(sorted(sources.items()))


def _ordered(found: Any, ids: Sequence[str]) -> Right:
    """NaN where the run was not tested on a clip."""
    right = dict(zip(found["ids"], found["right"], strict=True))
    return np.array([right.get(name, np.nan) for name in ids], dtype=np.float64)


def _pooled(name: str, runs: Sequence[str], right: Mapping[str, Mapping[int, Right]]) -> dict[int, Right]:
    """The clips of several runs, by the seeds that all have."""
    if not all(run in right for run in runs):
        return {}
    found = {}
    for seed in sorted(set.intersection(*(set(right[run]) for run in runs))):
        rows = np.stack([right[run][seed] for run in runs])
        if ((~np.isnan(rows)).sum(axis=0) > 1).any():
            raise EvaluationError(f"runs of the pool `{name}` must be tested on other clips each, but share some")
        tested = ~np.isnan(rows).all(axis=0)
        found[seed] = np.where(tested, np.nansum(rows, axis=0), np.nan)
    return found


def _same_clips(name: str, other: str, rows: Sequence[Right]) -> None:
    if any((np.isnan(row) != np.isnan(rows[0])).any() for row in rows):
        raise EvaluationError(
            f"`{name}` must be tested on the same clips as `{other}`, with each seed, but is not; delete the older "
            f"{TEST} and run again"
        )


def _accuracy(name: str, tests: _Tests) -> Accuracy:
    by_seed = tests.right[name]
    mean = np.mean(list(by_seed.values()), axis=0)
    rows = [float(np.nanmean(each)) for each in by_seed.values()]
    return Accuracy(name, sorted(by_seed), float(np.nanmean(mean)), _ci(mean, tests), rows)


def _gain(plan: ComparisonPlan, tests: _Tests) -> Gain | None:
    better, than = tests.right.get(plan.better, {}), tests.right.get(plan.than, {})
    seeds = sorted(better.keys() & than.keys())
    if not seeds:
        return None
    _same_clips(plan.better, plan.than, [better[seeds[0]], than[seeds[0]]])
    rows = [better[seed] - than[seed] for seed in seeds]
    mean = np.mean(rows, axis=0)
    by_seed = [float(np.nanmean(row)) for row in rows]
    return Gain(plan.better, plan.than, seeds, float(np.nanmean(mean)), _ci(mean, tests), by_seed)


def _ci(values: Right, tests: _Tests) -> tuple[float, float]:
    tested = ~np.isnan(values)
    times = tests.times[:, tested]
    times = times[times.sum(axis=1) > 0]
    found = interval(times @ values[tested] / times.sum(axis=1), 0.95)
    return found.low, found.high


def _curve(plan: CurvePlan, tests: _Tests, records: Sequence[Record]) -> Curve:
    paces = [pace for line in plan.lines if (pace := _pace(line, records)) is not None]
    lines = {line.label: line for line in plan.lines}
    reached = []
    for one in plan.reach:
        found = _reached(lines[one.better], lines[one.than], tests, {pace.line: pace for pace in paces})
        reached += [found] if found is not None else []
    return Curve(plan, paces, reached)


def _pace(line: LinePlan, records: Sequence[Record]) -> LineCost | None:
    """Means over the seeds of each run."""
    updates = [one.trained for one in records if one.trained.run == line.run]
    before = [[one.trained.training_seconds for one in records if one.trained.run == name] for name in line.after]
    if not updates:
        return None
    pace = sum(one.training_seconds for one in updates) / sum(one.steps for one in updates)
    return LineCost(line.label, sum(sum(each) / len(each) for each in before if each), pace)


def _reached(line: LinePlan, than: LinePlan, tests: _Tests, paces: Mapping[str, LineCost]) -> Reached | None:
    """None while a point of either is missing."""
    named = [*line.points.values(), *than.points.values()]
    if any(name not in tests.right for name in named) or not {line.label, than.label} <= paces.keys():
        return None
    seeds = sorted(set.intersection(*(set(tests.right[name]) for name in named)))
    if not seeds:
        return None
    last = max(than.points)
    goal = _mean(than.points[last], seeds, tests)
    updates = _crossing(line, goal, seeds, tests)
    pace, other = paces[line.label], paces[than.label]
    return Reached(
        line=line.label,
        than=than.label,
        accuracy=goal,
        updates=updates,
        than_updates=float(last),
        seconds=None if updates is None else pace.seconds_before + updates * pace.seconds_per_update,
        than_seconds=other.seconds_before + last * other.seconds_per_update,
        by_seed=[_crossing(line, _mean(than.points[last], [seed], tests), [seed], tests) for seed in seeds],
    )


def _mean(name: str, seeds: Sequence[int], tests: _Tests) -> float:
    return float(np.mean([np.nanmean(tests.right[name][seed]) for seed in seeds]))


def _crossing(line: LinePlan, goal: float, seeds: Sequence[int], tests: _Tests) -> float | None:
    """The first updates at which a line is at or above a goal."""
    points = [(float(at), _mean(line.points[at], seeds, tests)) for at in sorted(line.points)]
    if points[0][1] >= goal:
        return points[0][0]
    for (left, low), (right, high) in pairwise(points):
        if high >= goal:
            return left + (goal - low) / (high - low) * (right - left)
    return None
