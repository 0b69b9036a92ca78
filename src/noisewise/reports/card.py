"""A robustness card: what a reader must know about a recogniser, or a tagger, in noise and under degradations, on one
page.

The score is the mean of two accuracies in percent, each condition's accuracy being max(0, 1 - WER), or the share of
clips whose best class is one of their labels:

    score = 100 * (mean over noise cells + mean over degradations of the mean over their levels) / 2

Only scores of one test are comparable: `Card.test` is a hash over all mixtures.

Legend: N utterances or clips, C conditions, R resamples.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from noisewise import safe_text
from noisewise.errors import EvaluationError
from noisewise.evaluation import blocks
from noisewise.evaluation.provenance import portable
from noisewise.evaluation.result import GridResult, PerItem
from noisewise.evaluation.thresholds import thresholds
from noisewise.reports import measures
from noisewise.reports import tables as table
from noisewise.reports.metrics import ACCURACY, Metric, shown
from noisewise.scoring.words import Interval, Rates, interval, resampled_rates

WORST = 8
"""Conditions listed as those where it breaks."""
SAMPLES = 1000
LOST = {
    "recognition": ("utterances", "scored as empty hypotheses (all deletions)"),
    "tagging": ("clips", "scored as wrong"),
}
"""Task to what a recording is called, and how failures are scored."""


@dataclass(frozen=True)
class Card:
    """A recogniser or a tagger in two results. Accuracies are fractions."""

    name: str
    noise: GridResult
    degraded: GridResult
    clean: float
    in_noise: float
    """Mean over the cells of the types of `all`."""
    by_degradation: dict[str, float]
    score: float
    """0 to 100."""
    interval: Interval
    """95 % of bootstrap resamples around the score, of what the results resample."""
    test: str
    """First twelve digits of a hash; equal for systems that were given the same mixtures."""

    @property
    def when_degraded(self) -> float:
        """Mean over degradations."""
        return sum(self.by_degradation.values()) / len(self.by_degradation)

    @property
    def kept(self) -> float:
        """The score as a fraction of the accuracy on clean speech; 0 when that is 0 too."""
        return self.score / 100 / self.clean if self.clean else 0.0

    @property
    def of_words(self) -> bool:
        """Whether it is of a recogniser, and not of a tagger."""
        return self.noise.task == "recognition"

    @property
    def metric(self) -> Metric:
        """The main metric of tables and figure."""
        return shown(self.noise)[0]

    @property
    def accuracy(self) -> str:
        """Name of what the score counts as right."""
        if self.of_words:
            return "word accuracy"
        return "accuracy" if self.metric is ACCURACY else "clips whose best class is one of their labels"

    def worst(self, count: int = WORST) -> list[tuple[GridResult, str]]:
        """The conditions with the highest error rates, of noise and degradations alike, each with its result."""
        rates = []
        for result in (self.noise, self.degraded):
            each = result.per_item
            keys = [row.condition.key for row in result.cells]
            rates += [(sum(each.errors[key]) / sum(each.words), result, key) for key in keys]
        return [(result, key) for _, result, key in sorted(rates, key=lambda one: -one[0])[:count]]


def make(model: str, noise: GridResult, degraded: GridResult, *, seed: int = 0) -> Card:
    """Join a noise grid and a file of degradations of one recogniser, or one tagger.

    Args:
        model: the specification that both were measured with.
        noise: of `noisewise evaluate --noise`.
        degraded: of `noisewise evaluate --degrade`.
        seed: of the resamples.

    Raises:
        EvaluationError: one is not what it should be, or they are of different recognisers.
    """
    _check(model, noise, degraded)
    items = (noise.per_item, degraded.per_item)
    noisy = _conditions(noise, noise.averages["all"].names)
    groups = {name: _conditions(degraded, [name]) for name in degraded.degradations}
    times = [blocks.draws_of(one, one.config.bootstrap_unit, samples=SAMPLES, seed=seed) for one in (noise, degraded)]
    resampled = (
        _accuracy(items[0], noisy, times[0])
        + np.mean([_accuracy(items[1], group, times[1]) for group in groups.values()], axis=0)
    ) / 2  # (R,)
    all_once = [np.ones((1, len(one.ids)), dtype=np.int64) for one in items]
    in_noise = float(_accuracy(items[0], noisy, all_once[0])[0])
    by_degradation = {kind: float(_accuracy(items[1], group, all_once[1])[0]) for kind, group in groups.items()}
    return Card(
        name=table.label(noise),
        noise=noise,
        degraded=degraded,
        clean=float(_accuracy(items[0], ["clean"], all_once[0])[0]),
        in_noise=in_noise,
        by_degradation=by_degradation,
        score=50 * (in_noise + sum(by_degradation.values()) / len(by_degradation)),
        interval=interval(100 * resampled),
        test=_test(noise, degraded),
    )


def numbers(card: Card) -> dict[str, Any]:
    """The numbers of the card as plain values, for programs: accuracies are fractions, the score is 0 to 100."""
    return {
        "format": "noisewise-card-1",
        "test": card.test,
        "score": round(card.score, 2),
        "score_interval": [round(card.interval.low, 2), round(card.interval.high, 2)],
        "accuracy": {
            "of": card.accuracy,
            "clean": round(card.clean, 4),
            "in_noise": round(card.in_noise, 4),
            "degraded": {kind: round(value, 4) for kind, value in card.by_degradation.items()},
        },
    }


def markdown(card: Card, figure: Path | str | None = None) -> str:
    """The card as a page.

    Args:
        card: of one recogniser.
        figure: path of its figure, as seen from the page; no figure when left out.
    """
    parts = [
        f"# Robustness of {safe_text.markdown(card.name)}\n",
        f"**Score {card.score:.1f}** of 100 ({card.interval.low:.1f} to {card.interval.high:.1f}), "
        f"{100 * card.kept:.0f} % of its accuracy on {_clean(card)}. Test `{card.test}`: scores of other tests say "
        "nothing about this one.\n",
        table.as_markdown(_accuracies(card)),
    ]
    if figure is not None:
        rates = f"{card.metric.name[0].upper()}{card.metric.name[1:]}"
        text = safe_text.markdown(f"{rates} of {card.name} in noise and under degradations")
        parts.append(f"![{text}]({quote(str(figure))})\n")
    parts += ["## In noise\n", *_grids(card.noise)]
    parts += ["## Under degradations\n", *_grids(card.degraded)]
    for title, rows in measures.sections(_with_thresholds(card.noise)):
        parts += [f"## {title}\n", table.as_markdown(rows)]
    parts += ["## Where it breaks\n", table.as_markdown(_worst(card)), "## How it was measured\n", _measured(card)]
    return "\n".join(parts)


def _grids(result: GridResult) -> list[str]:
    """The table of each metric."""
    return [table.as_markdown(table.one_metric(result, metric)) for metric in shown(result)]


def _with_thresholds(noise: GridResult) -> GridResult:
    """A result of before thresholds were stored, with its thresholds."""
    return noise if noise.thresholds else replace(noise, thresholds=thresholds(noise))


def _clean(card: Card) -> str:
    return "clean speech" if card.of_words else "clean clips"


def _accuracies(card: Card) -> table.Table:
    lines = [
        ["", f"{card.accuracy} (%)"],
        ["clean", f"{100 * card.clean:.1f}"],
        ["noise", f"{100 * card.in_noise:.1f}"],
    ]
    lines += [[kind, f"{100 * accuracy:.1f}"] for kind, accuracy in card.by_degradation.items()]
    return [*lines, ["mean of degradations", f"{100 * card.when_degraded:.1f}"], ["score", f"{card.score:.1f}"]]


def _worst(card: Card) -> table.Table:
    heads = ("WER (%)", "deleted", "substituted", "inserted") if card.of_words else ("wrong (%)", "taken for")
    wrong = _wrong_words if card.of_words else _wrong_classes
    return [["condition", *heads], *([key, *wrong(result, key)] for result, key in card.worst())]


def _wrong_words(result: GridResult, key: str) -> list[str]:
    row = result.rows[key]
    return [f"{100 * row.wer:.1f}", *(f"{100 * row.counts[name] / row.counts['words']:.1f}" for name in "DSI")]


def _wrong_classes(result: GridResult, key: str) -> list[str]:
    """How many clips were taken for something else, and most of them for what."""
    errors, best = result.per_item.errors[key], result.per_item.hypotheses
    wrong = f"{100 * sum(errors) / len(errors):.1f}"
    if best is None or not any(errors):
        return [wrong, ""]
    found, count = Counter(one for one, error in zip(best[key], errors, strict=True) if error).most_common(1)[0]
    return [wrong, f"{found} ({count} of {sum(errors)})"]


def _measured(card: Card) -> str:
    noise = card.noise
    each, lost = LOST[noise.task]
    lines = [f"- {'recogniser' if card.of_words else 'tagger'}: {safe_text.code(noise.system)}"]
    lines += [f"- {safe_text.markdown(f'{name}: {value}')}" for name, value in noise.system_details.items()]
    for result, what in ((noise, "noise"), (card.degraded, "degradations")):
        groups = f"of {result.groups} {'speakers' if card.of_words else 'recordings'}"
        lines.append(
            f"- {what}: {result.items} {each} {groups} ({result.seconds / 60:.1f} min) of "
            f"{safe_text.code(result.config.manifest)}, "
            f"{len(result.cells)} conditions, seed {result.config.seed}, {len(result.skipped)} {each} skipped, "
            f"{result.failures} failures {lost}"
        )
        if result.cache is not None:
            lines.append(
                f"- {what}: {result.cache.answers} of {result.cache.answers + result.cache.asked} transcripts came "
                f"from the cache {safe_text.code(result.cache.file)}"
            )
        if result.wada_snr_db:
            low, median, high = result.wada_snr_db
            lines.append(
                f"- {what}: the clean recordings have an SNR of {median:.0f} dB by WADA (median; 90 % between "
                f"{low:.0f} and {high:.0f} dB)"
            )
        if result.command:
            lines.append(f"- rebuilt by: {safe_text.code(result.command)}")
    rule = f"scored under {safe_text.markdown(noise.normaliser)}" if card.of_words else "scored by the best class"
    lines.append(f"- {rule}; intervals are 95 % of bootstrap resamples of {noise.config.bootstrap_unit}s")
    return "\n".join(lines) + "\n"


def _check(model: str, noise: GridResult, degraded: GridResult) -> None:
    if noise.task != degraded.task:
        raise EvaluationError(
            f"both results must be of one model, but the grid is of {noise.task} and the degradations are of "
            f"{degraded.task}"
        )
    if not noise.noise_types:
        raise EvaluationError(
            "the grid must hold cells in noise, but does not; measure it with noisewise evaluate --noise"
        )
    if not degraded.degradations:
        raise EvaluationError("the degradations must be those of noisewise evaluate --degrade, but are not")
    for result, what in ((noise, "grid"), (degraded, "degradations")):
        if result.system != portable(model):
            raise EvaluationError(f"the {what} must be of `{portable(model)}`, but are of `{result.system}` instead")
    if noise.system_details != degraded.system_details:
        raise EvaluationError(
            f"both results must be of the same `{noise.system}`, but its details differ: "
            f"{noise.system_details} and {degraded.system_details}; measure the older one again"
        )
    if noise.labels_sha256 != degraded.labels_sha256:
        raise EvaluationError(
            "both results must have clips with the same labels, but do not; measure one of them again"
        )
    if noise.normaliser != degraded.normaliser:
        raise EvaluationError(
            f"both must be scored by one rule, but are by {noise.normaliser} and {degraded.normaliser}"
        )


def _accuracy(items: PerItem, conditions: list[str], times: np.ndarray) -> Rates:
    """Mean accuracy over conditions in each resample; times (R, N) to (R,)."""
    errors = np.array([items.errors[name] for name in conditions], dtype=np.int64).T  # (N, C)
    rates = resampled_rates(times, errors, np.array(items.words, dtype=np.int64))  # (R, C)
    found: Rates = np.maximum(0.0, 1 - rates).mean(axis=1)
    return found


def _conditions(result: GridResult, kinds: list[str]) -> list[str]:
    return [row.condition.key for row in result.cells if row.condition.name in kinds]


def _test(noise: GridResult, degraded: GridResult) -> str:
    names = noise.averages["all"].names
    rows = [*(row for row in noise.cells if row.condition.name in names), *degraded.cells]
    hashes = sorted(f"{row.condition.key} {row.mixture_sha256}" for row in rows)
    text = "\n".join([noise.normaliser + noise.labels_sha256, *hashes])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
