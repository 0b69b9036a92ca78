"""Recognisers, or taggers, on the same mixtures, in pairs: differences, how sure they are, and where they come from.

Errors are word errors, or clips whose best class is none of their labels, so that a clip is as good as an utterance of
one word. Every difference is `other - baseline`, below 0 when the other is better. Three statements about it, all over
utterances that both systems were given:

- the paired bootstrap interval (Bisani and Ney, ICASSP 2004): both systems are scored on the same resamples;
- the matched-pairs test (Gillick and Cox, ICASSP 1989; MAPSSWE) with whole utterances as segments: the differences of
  errors per utterance, summed over the conditions of a mean, against mean 0 by the normal distribution; and, within
  one condition whose texts were kept, with the parts of utterances between words that both got right as segments;
- the exact sign test over utterances in which one of the two makes fewer errors.

With the bootstrap comes the probability of improvement, the share of resamples in which the other makes fewer errors.
A grid is many tests: the probabilities of its conditions are corrected after Holm (1979).

Legend: N utterances or clips, C conditions, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from noisewise.errors import EvaluationError
from noisewise.evaluation import blocks
from noisewise.evaluation.conditions import Condition, averaged, degradations, in_order, noise_types, snrs_db
from noisewise.evaluation.degradation_scores import degradations_of, groups_of, normalised
from noisewise.evaluation.result import GridResult, Rate, SnrThresholds
from noisewise.evaluation.thresholds import thresholds
from noisewise.reports.tables import label
from noisewise.scoring.significance import holm, matched_pairs, segment_errors, sign_test
from noisewise.scoring.words import Counts, choose, interval, resampled_rates

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
    improvement: float
    """Probability of improvement: share of resamples in which the other makes fewer errors, ties counted half."""
    segment_z: float | None = None
    segment_p: float | None = None
    """Matched pairs of the parts between words that both got right; None for means, and where texts were not kept."""
    corrected_p: float | None = None
    """Probability of the condition after Holm's correction over all conditions and systems; None for means."""

    @property
    def most_powerful_p(self) -> float:
        """Matched pairs by segments where there are any, else by utterances."""
        return self.p if self.segment_p is None else self.segment_p


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

    @property
    def is_condition(self) -> bool:
        """Whether it is a condition, and no mean over conditions."""
        return self.conditions == [self.name]


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
    """What was resampled: utterance, speaker, hierarchical or a column of the manifest."""
    noise_types: list[str]
    snrs_db: list[float]
    """Signal-to-noise ratios in dB."""
    degradations: list[str]
    lines: dict[str, Line]
    differences: list[list[ItemDifference]]
    """For each system but the baseline, the items with a difference."""
    left_out: list[str]
    """Conditions that not all systems have."""
    werd: list[dict[str, tuple[Rate, float]]]
    """For each system, group of corruptions to its mean degradation, and that normalised by the difficulty that the
    baseline sees; empty without a suite that all have."""
    thresholds: list[dict[str, SnrThresholds]]
    """For each system, the SNRs at which its word error rate doubles and reaches 50 %, on the resamples of all."""

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
    unit: str = "auto",
    samples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare results on the conditions that all of them have.

    Args:
        results: the baseline first; two or more.
        names: one for each; those of the systems when left out.
        unit: what is resampled, as `bootstrap_unit` of a grid: `auto`, `utterance`, `speaker`, `hierarchical` or a
            column that the first result holds.
        samples: number of resamples R.
        seed: seed of the resamples.

    Raises:
        EvaluationError: they are of other utterances or mixtures, or were scored by other rules.
    """
    chosen = list(names) if names else _names(results)
    _check_kinds(results, chosen)
    first = results[0]
    _check(results, chosen)
    common = [row.condition for row in first.rows.values() if all(_has(one, row.condition) for one in results)]
    _check_mixtures(results, common, chosen)
    words = np.array(first.per_item.words, dtype=np.int64)
    unit = blocks.resolved(unit, first.per_item.ids, first.per_item.groups)
    times = blocks.draws_of(first, unit, samples=samples, seed=seed)
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
        lines=_corrected(
            [
                _with_segments(_line(name, group, errors, words, times), results)
                for name, group in _groups(common).items()
            ]
        ),
        differences=[_differences(first, other, common) for other in results[1:]],
        left_out=sorted({name for result in results for name in result.rows} - {one.key for one in common}),
        werd=_degradation(results, times),
        thresholds=[thresholds(result, times) for result in results],
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
        gain = resampled[other] - resampled[0]
        improvement = float(np.mean(gain < 0) + np.mean(gain == 0) / 2)
        ci = (found.low, found.high)
        pairs.append(Pair(rates[other] - rates[0], ci, z, p, better, worse, sign_test(better, worse), improvement))
    return Line(name, group, rates, [(one.low, one.high) for one in intervals], pairs)


def _with_segments(line: Line, results: Sequence[GridResult]) -> Line:
    """A line of one condition with its matched pairs of segments, where the texts were kept."""
    texts = [_texts(one, line.name) if line.is_condition else None for one in results]
    first, pairs = texts[0], []
    for pair, other in zip(line.pairs, texts[1:], strict=True):
        if first is not None and other is not None:
            before, after = segment_errors(first[0], first[1], other[1])
            z, p = matched_pairs(after - before)
            pair = replace(pair, segment_z=z, segment_p=p)
        pairs.append(pair)
    return replace(line, pairs=pairs)


def _degradation(results: Sequence[GridResult], times: Counts) -> list[dict[str, tuple[Rate, float]]]:
    """WERD and NWERD of each group of a suite; for the cells of the first result, where all have them."""
    groups = groups_of(results[0])
    if not groups or any(groups_of(one) != groups for one in results[1:]):
        return []
    found = []
    for one in results:
        rates, scaled = degradations_of(one, times), normalised(one, results[0])
        found.append({name: (rates[name], scaled[name]) for name in groups})
    return found


def _texts(result: GridResult, key: str) -> tuple[list[str], list[str]] | None:
    """References and hypotheses of a condition, normalised; None where they were not kept, or are no words."""
    items = result.per_item
    if result.task != "recognition" or items.references is None or items.hypotheses is None:
        return None
    normaliser = choose(result.config.normaliser)
    references = [normaliser(text) for text in items.references]
    pairs = zip(items.hypotheses[key], references, strict=True)
    return references, [normaliser.nearest(text, reference) for text, reference in pairs]


def _corrected(lines: Sequence[Line]) -> dict[str, Line]:
    """The lines by their names, the probabilities of single conditions corrected as one family."""
    family = [(line.name, place) for line in lines if line.is_condition for place in range(len(line.pairs))]
    by_name = {line.name: line for line in lines}
    found = dict(zip(family, holm([by_name[name].pairs[place].most_powerful_p for name, place in family]), strict=True))
    return {
        name: replace(
            line,
            pairs=[replace(pair, corrected_p=found.get((name, place))) for place, pair in enumerate(line.pairs)],
        )
        for name, line in by_name.items()
    }


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


def _check_kinds(results: Sequence[GridResult], names: Sequence[str]) -> None:
    if len(results) < 2 or len(names) != len(results):
        raise EvaluationError(
            f"`results` must be two or more, with a name for each, but are {len(results)} with {len(names)} names"
        )
    if len({result.task for result in results}) > 1:
        tasks = ", ".join(f"{name} of {result.task}" for name, result in zip(names, results, strict=True))
        raise EvaluationError(f"`results` must all be of recognition or all of tagging, but are of both: {tasks}")
    if len(set(names)) != len(names):
        raise EvaluationError(f"names must differ, but are {', '.join(names)}; give --names A,B")


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
