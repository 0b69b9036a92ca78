"""Recognisers on the same mixtures, in pairs: differences, how sure they are, and where they come from.

Every difference is `other - baseline`, below 0 when the other is better. Three statements about it, all over
utterances, which are heard by both systems:

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

from noisewise.config import NoisewiseError
from noisewise.evaluation.result import GridResult, Row
from noisewise.evaluation.resume import Condition
from noisewise.evaluation.summary import TYPE_A, TYPE_B, in_order
from noisewise.evaluation.table import label
from noisewise.scoring.words import Counts, interval, resample, resampled_rates

Errors = NDArray[np.int64]


class ComparisonError(NoisewiseError):
    """Results that say nothing about one another."""


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
    normaliser: str
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

    def wins(self, other: int, count: int) -> list[Hearing]:
        """Where the `other`-th system but the baseline gains most errors back."""
        found = [one for one in self.hearings[other] if one.difference < 0]
        return sorted(found, key=lambda one: one.difference)[:count]

    def losses(self, other: int, count: int) -> list[Hearing]:
        """Where it loses most."""
        found = [one for one in self.hearings[other] if one.difference > 0]
        return sorted(found, key=lambda one: -one.difference)[:count]


def compare(
    results: Sequence[GridResult],
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
        ComparisonError: they heard other utterances or mixtures, or were scored by other rules.
    """
    chosen = list(names) if names else _names(results)
    _check(results, chosen, unit)
    first = results[0]
    rows = [_by_name(result) for result in results]
    common = [name for name in rows[0] if all(name in one for one in rows)]
    _check_mixtures(rows, common, chosen)
    words = np.array(first.per_utterance.words, dtype=np.int64)
    groups = first.per_utterance.speakers if unit == "speaker" else None
    times = resample(len(words), groups=groups, samples=samples, seed=seed)
    errors = [
        {name: np.array(result.per_utterance.errors[name], dtype=np.int64) for name in common} for result in results
    ]
    kept = [rows[0][name] for name in common]
    return Comparison(
        names=chosen,
        utterances=len(words),
        words=int(words.sum()),
        normaliser=first.normaliser,
        unit=unit,
        noise_types=in_order(row.noise_type for row in kept if row.noise_type is not None),
        snr_db=[] if first.axis == "level" else sorted({row.snr_db for row in kept if row.snr_db is not None}),
        lines={name: _line(name, group, errors, words, times) for name, group in _groups(kept, first.axis).items()},
        hearings=[_hearings(first, other, common) for other in results[1:]],
        left_out=sorted({name for name in chain(*rows)} - set(common)),
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


def _groups(rows: list[Row], axis: str) -> dict[str, list[str]]:
    """Names to the conditions whose mean they are; the same means as in a grid of that axis."""
    noisy = [row for row in rows if row.noise_type is not None]
    types = in_order(row.noise_type or "" for row in noisy)
    named = [kind for kind in types if kind in (*TYPE_A, *TYPE_B)] or types
    groups = {_name(row): [_name(row)] for row in rows}
    groups |= {kind: [_name(row) for row in noisy if row.noise_type == kind] for kind in types}
    if axis == "level":
        return groups
    groups |= {
        f"all@{snr:g}": [_name(row) for row in noisy if row.snr_db == snr and row.noise_type in named]
        for snr in sorted({row.snr_db for row in noisy if row.snr_db is not None})
    }
    for name, members in (("type_a", TYPE_A), ("type_b", TYPE_B), ("all", named)):
        groups[name] = [_name(row) for row in noisy if row.noise_type in members]
    return {name: group for name, group in groups.items() if group}


def _hearings(baseline: GridResult, other: GridResult, common: list[str]) -> list[Hearing]:
    ours, theirs = baseline.per_utterance, other.per_utterance
    found = []
    for condition in common:
        pairs = zip(ours.errors[condition], theirs.errors[condition], strict=True)
        for index, counts in enumerate(pairs):
            if counts[0] != counts[1]:
                texts = None
                if ours.hypotheses is not None and theirs.hypotheses is not None:
                    texts = (ours.hypotheses[condition][index], theirs.hypotheses[condition][index])
                reference = ours.references[index] if ours.references is not None else None
                found.append(Hearing(condition, ours.ids[index], ours.words[index], counts, reference, texts))
    return found


def _check(results: Sequence[GridResult], names: Sequence[str], unit: str) -> None:
    if len(results) < 2 or len(names) != len(results):
        raise ComparisonError(
            f"`results` must be two or more, with a name for each, but are {len(results)} with {len(names)} names"
        )
    if len(set(names)) != len(names):
        raise ComparisonError(f"names must differ, but are {', '.join(names)}; give --names A,B")
    if unit not in ("utterance", "speaker"):
        raise ComparisonError(f"`unit` must be 'utterance' or 'speaker', but is '{unit}' instead")
    first = results[0]
    for name, other in zip(names[1:], results[1:], strict=True):
        if (other.per_utterance.ids, other.per_utterance.words) != (first.per_utterance.ids, first.per_utterance.words):
            raise ComparisonError(
                f"`{name}` must have heard the {first.utterances} utterances of `{names[0]}`, but heard "
                f"{other.utterances}, not the same; evaluate both on one manifest and --limit"
            )
        if other.axis != first.axis:
            raise ComparisonError(
                f"`{name}` must be noise or degradations as `{names[0]}` is, but is the other of them"
            )
        if other.normaliser != first.normaliser:
            raise ComparisonError(
                f"`{name}` must be scored under {first.normaliser}, as `{names[0]}` is, but is under {other.normaliser}"
            )


def _check_mixtures(rows: Sequence[dict[str, Row]], common: list[str], names: Sequence[str]) -> None:
    for one, name in zip(rows[1:], names[1:], strict=True):
        for condition in common:
            if one[condition].mixture_sha256 != rows[0][condition].mixture_sha256:
                raise ComparisonError(
                    f"`{name}` must have heard the mixtures of `{names[0]}`, but heard others in {condition} "
                    "(mixture_sha256 differs); evaluate both with the same --noise, --seed and files"
                )
        if common in ([], ["clean"]) and (len(one) > 1 or len(rows[0]) > 1):
            raise ComparisonError(f"`{name}` and `{names[0]}` must share a noise type and SNR, but share none")


def _by_name(result: GridResult) -> dict[str, Row]:
    return {_name(row): row for row in (result.clean, *result.cells)}


def _name(row: Row) -> str:
    return Condition(row.noise_type, row.snr_db).name


def _names(results: Sequence[GridResult]) -> list[str]:
    """Names of the recognisers; numbered where they are the same."""
    names = [label(result) for result in results]
    return [name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names, start=1)]
