"""Recognisers, or taggers, on the same mixtures, in pairs: differences, how sure they are, and where they come from.

What is compared are errors as `noisewise.reports.per_item` counts them. Every difference is `other - baseline`, below 0
when the other is better. Three statements about it, all over utterances, which are heard by both systems:

- the paired bootstrap interval (Bisani and Ney, ICASSP 2004): both systems are scored on the same resamples;
- the matched-pairs test (Gillick and Cox, ICASSP 1989; MAPSSWE) with whole utterances as segments: the differences of
  errors per utterance, summed over the conditions of a mean, against mean 0 by the normal distribution;
- the exact sign test over utterances in which one of the two makes fewer errors.

Legend: N utterances, C conditions, R resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import EvaluationError
from noisewise.evaluation.result import CellRow
from noisewise.evaluation.summary import TYPE_A, TYPE_B, in_order
from noisewise.reports.per_item import Heard, Result, kind_of, name_of, of
from noisewise.reports.tables import label
from noisewise.scoring.words import Counts, interval, resample, resampled_rates

Errors = NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """What is known about one difference."""

    difference: float
    """Word error rate of the other less that of the baseline; a fraction."""
    ci: tuple[float, float]
    """Paired bootstrap, 95 %."""
    z: float
    p: float
    """Matched pairs, two-sided."""
    better: int
    """Utterances in which the other makes fewer errors."""
    worse: int
    sign_p: float
    """Sign test, two-sided."""


@dataclass(frozen=True)
class Line:
    """A condition, or a mean over conditions, for all systems."""

    name: str
    """`clean`, `traffic@5`, `traffic` (over SNRs), `all@5` (over types), `type_a`, `type_b`, `all`."""
    conditions: list[str]
    wer: list[float]
    """Of each system, the baseline first."""
    ci: list[tuple[float, float]]
    pairs: list[Pair]
    """Of each system but the baseline."""


@dataclass(frozen=True)
class Hearing:
    """One utterance under one condition, heard by the baseline and by another."""

    condition: str
    id: str
    words: int
    errors: tuple[int, int]
    reference: str | None
    heard: tuple[str, str] | None

    @property
    def difference(self) -> int:
        """Errors of the other less those of the baseline."""
        return self.errors[1] - self.errors[0]


@dataclass(frozen=True)
class Comparison:
    """What `compare` returns."""

    names: list[str]
    """The baseline first."""
    utterances: int
    words: int
    """Clips where taggers are compared."""
    normaliser: str
    """Empty where taggers are compared."""
    unit: str
    """What was resampled: utterance or speaker."""
    noise_types: list[str]
    snr_db: list[float]
    """Empty for degradations, whose levels have units of their own."""
    lines: dict[str, Line]
    hearings: list[list[Hearing]]
    """For each system but the baseline, those with a difference."""
    left_out: list[str]
    """Conditions that not all systems have heard."""

    @property
    def of_taggers(self) -> bool:
        """Whether errors are clips, and not words."""
        return not self.normaliser

    def wins(self, other: int, count: int) -> list[Hearing]:
        """Where the `other`-th system but the baseline gains most errors back."""
        found = [one for one in self.hearings[other] if one.difference < 0]
        return sorted(found, key=lambda one: one.difference)[:count]

    def losses(self, other: int, count: int) -> list[Hearing]:
        """Where it loses most."""
        found = [one for one in self.hearings[other] if one.difference > 0]
        return sorted(found, key=lambda one: -one.difference)[:count]


def compare(
    results: Sequence[Result],
    names: Sequence[str] | None = None,
    *,
    unit: str = "utterance",
    samples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare grids on the conditions that all of them have.

    Args:
        results: the baseline first; two or more.
        names: one for each; those of the recognisers when left out.
        unit: `utterance` or `speaker`, what is resampled.
        samples: resamples R.
        seed: of the resamples.

    Raises:
        EvaluationError: they heard other utterances or mixtures, or were scored by other rules.
    """
    chosen = list(names) if names else _names(results)
    _check_kinds(results, chosen, unit)
    heard = [of(result) for result in results]
    first, axis = heard[0], results[0].axis
    _check(heard, [result.axis for result in results], chosen)
    common = [name for name in first.rows if all(name in one.rows for one in heard)]
    _check_mixtures(heard, common, chosen)
    words = np.array(first.words, dtype=np.int64)
    times = resample(len(words), groups=first.groups if unit == "speaker" else None, samples=samples, seed=seed)
    errors = [{name: np.array(one.errors[name], dtype=np.int64) for name in common} for one in heard]
    kept = [first.rows[name] for name in common]
    return Comparison(
        names=chosen,
        utterances=len(words),
        words=int(words.sum()),
        normaliser=first.rules,
        unit=unit,
        noise_types=in_order(row.noise_type for row in kept if row.noise_type is not None),
        snr_db=[] if axis == "level" else sorted({row.snr_db for row in kept if row.snr_db is not None}),
        lines={name: _line(name, group, errors, words, times) for name, group in _groups(kept, axis).items()},
        hearings=[_hearings(first, other, common) for other in heard[1:]],
        left_out=sorted({name for name in chain(*(one.rows for one in heard))} - set(common)),
    )


def matched_pairs(differences: Errors) -> tuple[float, float]:
    """z and two-sided p of differences of errors per utterance (N,) against mean 0."""
    mean = float(differences.mean())
    if mean == 0 or len(differences) < 2:
        return 0.0, 1.0
    spread = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    z = mean / spread if spread else math.copysign(math.inf, mean)
    return z, math.erfc(abs(z) / math.sqrt(2))


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact probability of counts this far apart when either is as likely."""
    count, fewer = better + worse, min(better, worse)
    ways, total = 1, 1
    for chosen in range(1, fewer + 1):
        ways = ways * (count - chosen + 1) // chosen
        total += ways
    p: float = 2 * total / 2**count
    return min(1.0, p)


def _line(name: str, group: list[str], errors: list[dict[str, Errors]], words: Counts, times: Counts) -> Line:
    summed = [np.sum([one[condition] for condition in group], axis=0) for one in errors]  # (N,) each
    resampled = [resampled_rates(times, one, words * len(group)) for one in summed]  # (R,) each
    rates = [float(one.sum() / (words.sum() * len(group))) for one in summed]
    intervals = [interval(one) for one in resampled]
    pairs = []
    for other in range(1, len(errors)):
        differences = summed[other] - summed[0]
        found = interval(resampled[other] - resampled[0])
        better, worse = int((differences < 0).sum()), int((differences > 0).sum())
        z, p = matched_pairs(differences)
        ci = (found.low, found.high)
        pairs.append(Pair(rates[other] - rates[0], ci, z, p, better, worse, sign_test(better, worse)))
    return Line(name, group, rates, [(one.low, one.high) for one in intervals], pairs)


def _groups(rows: Sequence[CellRow], axis: str) -> dict[str, list[str]]:
    """Names to the conditions whose mean they are; the same means as in a grid of that axis."""
    noisy = [row for row in rows if row.noise_type is not None]
    types = in_order(row.noise_type or "" for row in noisy)
    named = [kind for kind in types if kind in (*TYPE_A, *TYPE_B)] or types
    groups = {name_of(row): [name_of(row)] for row in rows}
    groups |= {kind: [name_of(row) for row in noisy if row.noise_type == kind] for kind in types}
    if axis == "level":
        return groups
    groups |= {
        f"all@{snr:g}": [name_of(row) for row in noisy if row.snr_db == snr and row.noise_type in named]
        for snr in sorted({row.snr_db for row in noisy if row.snr_db is not None})
    }
    for name, members in (("type_a", TYPE_A), ("type_b", TYPE_B), ("all", named)):
        groups[name] = [name_of(row) for row in noisy if row.noise_type in members]
    return {name: group for name, group in groups.items() if group}


def _hearings(baseline: Heard, other: Heard, common: list[str]) -> list[Hearing]:
    found = []
    for condition in common:
        pairs = zip(baseline.errors[condition], other.errors[condition], strict=True)
        for index, counts in enumerate(pairs):
            if counts[0] != counts[1]:
                texts = None
                if baseline.heard is not None and other.heard is not None:
                    texts = (baseline.heard[condition][index], other.heard[condition][index])
                said = baseline.said[index] if baseline.said is not None else None
                found.append(Hearing(condition, baseline.ids[index], baseline.words[index], counts, said, texts))
    return found


def _check_kinds(results: Sequence[Result], names: Sequence[str], unit: str) -> None:
    if len(results) < 2 or len(names) != len(results):
        raise EvaluationError(
            f"`results` must be two or more, with a name for each, but are {len(results)} with {len(names)} names"
        )
    if len({type(result) for result in results}) > 1:
        kinds = ", ".join(f"{name} a {kind_of(result)}" for name, result in zip(names, results, strict=True))
        raise EvaluationError(f"`results` must all be of recognisers or all of taggers, but are of both: {kinds}")
    if len(set(names)) != len(names):
        raise EvaluationError(f"names must differ, but are {', '.join(names)}; give --names A,B")
    if unit not in ("utterance", "speaker"):
        raise EvaluationError(f"`unit` must be 'utterance' or 'speaker', but is '{unit}' instead")


def _check(heard: Sequence[Heard], axes: Sequence[str], names: Sequence[str]) -> None:
    first = heard[0]
    for name, other, axis in zip(names[1:], heard[1:], axes[1:], strict=True):
        if (other.ids, other.words) != (first.ids, first.words):
            raise EvaluationError(
                f"`{name}` must have heard the {len(first.ids)} recordings of `{names[0]}`, but heard "
                f"{len(other.ids)}, not the same; evaluate both on one manifest and --limit"
            )
        if other.truth != first.truth:
            raise EvaluationError(
                f"`{name}` must have clips with the labels of `{names[0]}`, and as many classes, but has others; "
                "evaluate both on one manifest and --label-column"
            )
        if axis != axes[0]:
            raise EvaluationError(
                f"`{name}` must be noise or degradations as `{names[0]}` is, but is the other of them"
            )
        if other.rules != first.rules:
            raise EvaluationError(
                f"`{name}` must be scored under {first.rules}, as `{names[0]}` is, but is under {other.rules}"
            )


def _check_mixtures(heard: Sequence[Heard], common: list[str], names: Sequence[str]) -> None:
    first = heard[0]
    for one, name in zip(heard[1:], names[1:], strict=True):
        for condition in common:
            if one.mixtures[condition] != first.mixtures[condition]:
                raise EvaluationError(
                    f"`{name}` must have heard the mixtures of `{names[0]}`, but heard others in {condition} "
                    "(mixture_sha256 differs); evaluate both with the same --noise, --seed and files"
                )
        if common in ([], ["clean"]) and (len(one.rows) > 1 or len(first.rows) > 1):
            raise EvaluationError(f"`{name}` and `{names[0]}` must share a noise type and SNR, but share none")


def _names(results: Sequence[Result]) -> list[str]:
    """Names of the recognisers; numbered where they are the same."""
    names = [label(result) for result in results]
    return [name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names, start=1)]
