"""Recognisers, or taggers, on the same mixtures, in pairs: differences, how sure they are, and where they come from.

Errors are word errors, or clips whose best class is none of their labels, so that a clip is as good as an utterance of
one word. Every difference is `other - baseline`, below 0 when the other is better. Three statements about it, all over
utterances that both systems were given:

- the paired bootstrap interval (Bisani and Ney, ICASSP 2004): both systems are scored on the same resamples;
- the matched-pairs test (Gillick and Cox, ICASSP 1989; MAPSSWE) with whole utterances as segments: the differences of
  errors per utterance, summed over the conditions of a mean, against mean 0 by the normal distribution;
- the exact sign test over utterances in which one of the two makes fewer errors.

Legend: N utterances or clips, C conditions, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import Condition, averaged, degradations, in_order, noise_types, snrs_db
from noisewise.evaluation.result import GridResult
from noisewise.reports.tables import label
from noisewise.scoring.significance import matched_pairs, sign_test
from noisewise.scoring.words import Counts, interval, resample, resampled_rates

Errors = NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """One difference with its tests."""

    difference: float
    """Error rate of the other less that of the baseline; a fraction."""
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
    """Error rate of each system, the baseline first."""
    ci: list[tuple[float, float]]
    pairs: list[Pair]
    """Difference of each system but the baseline."""


@dataclass(frozen=True)
class ItemDifference:
    """One utterance or clip under one condition, as the baseline and another system transcribed or tagged it."""

    condition: str
    id: str
    words: int
    errors: tuple[int, int]
    """Errors of the baseline and of the other."""
    reference: str | None
    hypotheses: tuple[str, str] | None
    """Hypotheses of the baseline and of the other; none where they were not kept."""

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
    """Number of utterances, or of clips."""
    words: int
    """Number of reference words, or of clips."""
    normaliser: str
    """Empty where taggers are compared."""
    unit: str
    """What was resampled: utterance or speaker."""
    noise_types: list[str]
    snrs_db: list[float]
    """Signal-to-noise ratios in dB."""
    degradations: list[str]
    lines: dict[str, Line]
    differences: list[list[ItemDifference]]
    """For each system but the baseline, the items with a difference."""
    left_out: list[str]
    """Conditions that not all systems have."""

    @property
    def of_taggers(self) -> bool:
        """Whether errors are clips, and not words."""
        return not self.normaliser

    def wins(self, other: int, count: int) -> list[ItemDifference]:
        """Where the `other`-th system but the baseline gains most errors back."""
        found = [one for one in self.differences[other] if one.difference < 0]
        return sorted(found, key=lambda one: one.difference)[:count]

    def losses(self, other: int, count: int) -> list[ItemDifference]:
        """Where it loses most."""
        found = [one for one in self.differences[other] if one.difference > 0]
        return sorted(found, key=lambda one: -one.difference)[:count]


def compare(
    results: Sequence[GridResult],
    names: Sequence[str] | None = None,
    *,
    unit: str = "utterance",
    samples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare results on the conditions that all of them have.

    Args:
        results: the baseline first; two or more.
        names: one for each; those of the systems when left out.
        unit: `utterance` or `speaker`, what is resampled.
        samples: number of resamples R.
        seed: seed of the resamples.

    Raises:
        EvaluationError: they are of other utterances or mixtures, or were scored by other rules.
    """
    chosen = list(names) if names else _names(results)
    _check_kinds(results, chosen, unit)
    first = results[0]
    _check(results, chosen)
    common = [row.condition for row in first.rows.values() if all(_has(one, row.condition) for one in results)]
    _check_mixtures(results, common, chosen)
    words = np.array(first.per_item.words, dtype=np.int64)
    groups = first.per_item.groups if unit == "speaker" else None
    times = resample(len(words), groups=groups, samples=samples, seed=seed)
    errors = [
        {one.key: np.array(result.per_item.errors[one.key], dtype=np.int64) for one in common} for result in results
    ]
    return Comparison(
        names=chosen,
        utterances=len(words),
        words=int(words.sum()),
        normaliser=first.normaliser,
        unit=unit,
        noise_types=noise_types(common),
        snrs_db=snrs_db(common),
        degradations=in_order(degradations(common)),
        lines={name: _line(name, group, errors, words, times) for name, group in _groups(common).items()},
        differences=[_differences(first, other, common) for other in results[1:]],
        left_out=sorted({name for result in results for name in result.rows} - {one.key for one in common}),
    )


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


def _groups(conditions: Sequence[Condition]) -> dict[str, list[str]]:
    """Names to the keys of the conditions whose mean they are; means as in a result, but those above 0 dB."""
    means = {name: [one.key for one in group] for name, group in averaged(conditions).items()}
    names = [*noise_types(conditions), *in_order(degradations(conditions))]
    by_snr = [f"all@{snr:g}" for snr in snrs_db(conditions)]
    wanted = [*names, *by_snr, *(name for name in ("type_a", "type_b", "all") if name in means)]
    return {one.key: [one.key] for one in conditions} | {name: means[name] for name in wanted}


def _differences(baseline: GridResult, other: GridResult, common: Sequence[Condition]) -> list[ItemDifference]:
    one, two = baseline.per_item, other.per_item
    found = []
    for key in (condition.key for condition in common):
        for index, counts in enumerate(zip(one.errors[key], two.errors[key], strict=True)):
            if counts[0] != counts[1]:
                texts = None
                if one.hypotheses is not None and two.hypotheses is not None:
                    texts = (one.hypotheses[key][index], two.hypotheses[key][index])
                reference = one.references[index] if one.references is not None else None
                found.append(ItemDifference(key, one.ids[index], one.words[index], counts, reference, texts))
    return found


def _has(result: GridResult, condition: Condition) -> bool:
    row = result.rows.get(condition.key)
    return row is not None and row.condition == condition


def _check_kinds(results: Sequence[GridResult], names: Sequence[str], unit: str) -> None:
    if len(results) < 2 or len(names) != len(results):
        raise EvaluationError(
            f"`results` must be two or more, with a name for each, but are {len(results)} with {len(names)} names"
        )
    if len({result.task for result in results}) > 1:
        tasks = ", ".join(f"{name} of {result.task}" for name, result in zip(names, results, strict=True))
        raise EvaluationError(f"`results` must all be of recognition or all of tagging, but are of both: {tasks}")
    if len(set(names)) != len(names):
        raise EvaluationError(f"names must differ, but are {', '.join(names)}; give --names A,B")
    if unit not in ("utterance", "speaker"):
        raise EvaluationError(f"`unit` must be 'utterance' or 'speaker', but is '{unit}' instead")


def _check(results: Sequence[GridResult], names: Sequence[str]) -> None:
    first = results[0]
    for name, other in zip(names[1:], results[1:], strict=True):
        if (other.per_item.ids, other.per_item.words) != (first.per_item.ids, first.per_item.words):
            raise EvaluationError(
                f"`{name}` must be of the {first.items} recordings of `{names[0]}`, but is of {other.items}, not the "
                "same; evaluate both on one manifest and --limit"
            )
        if other.labels_sha256 != first.labels_sha256:
            raise EvaluationError(
                f"`{name}` must have clips with the labels of `{names[0]}`, and as many classes, but has others; "
                "evaluate both on one manifest and --label-column"
            )
        if other.normaliser != first.normaliser:
            raise EvaluationError(
                f"`{name}` must be scored under {first.normaliser}, as `{names[0]}` is, but is under {other.normaliser}"
            )


def _check_mixtures(results: Sequence[GridResult], common: Sequence[Condition], names: Sequence[str]) -> None:
    first = results[0]
    for one, name in zip(results[1:], names[1:], strict=True):
        for key in (condition.key for condition in common):
            if one.rows[key].mixture_sha256 != first.rows[key].mixture_sha256:
                raise EvaluationError(
                    f"`{name}` must have the mixtures of `{names[0]}`, but has others in {key} (mixture_sha256 "
                    "differs); evaluate both with the same --noise, --seed and files"
                )
        if len(common) < 2 and (one.cells or first.cells):
            raise EvaluationError(
                f"`{name}` and `{names[0]}` must share a condition beside clean, but share none; evaluate both "
                "with the same noise and SNR, or the same degradations"
            )


def _names(results: Sequence[GridResult]) -> list[str]:
    """Names of the systems; numbered where they are the same."""
    names = [label(result) for result in results]
    return [name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names, start=1)]
