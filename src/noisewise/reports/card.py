"""A robustness card: what a reader must know about a recogniser, or a tagger, in noise and under degradations, on one
page.

The score is the mean of two accuracies in percent, each condition's accuracy being max(0, 1 - WER), or the share of
clips whose best class is theirs:

    score = 100 * (mean over noise cells + mean over degradations of the mean over their levels) / 2

Only scores of one test are comparable: `Card.test` is a hash over everything that was heard.

Legend: N utterances or clips, C conditions, R resamples.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisewise.errors import EvaluationError
from noisewise.evaluation.provenance import portable
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.tagging_result import TaggingResult
from noisewise.reports import tables as table
from noisewise.reports import tagging_table
from noisewise.reports.per_item import Heard, Result, kind_of, name_of, of
from noisewise.scoring.words import Interval, Rates, interval, resample, resampled_rates

WORST = 8
"""Conditions listed as those where it breaks."""
SAMPLES = 1000


@dataclass(frozen=True)
class Card:
    """A recogniser or a tagger in two results. Accuracies are fractions."""

    name: str
    noise: Result
    degraded: Result
    clean: float
    in_noise: float
    """Mean over the cells of the types of `all`."""
    by_degradation: dict[str, float]
    score: float
    """0 to 100."""
    interval: Interval
    """95 % of bootstrap resamples of the utterances, or clips, around the score."""
    test: str
    """Twelve digits; equal for those that heard the same."""

    @property
    def when_degraded(self) -> float:
        """Mean over degradations."""
        return sum(self.by_degradation.values()) / len(self.by_degradation)

    @property
    def kept(self) -> float:
        """The score as a fraction of the accuracy on clean speech; 0 when it hears nothing there either."""
        return self.score / 100 / self.clean if self.clean else 0.0

    @property
    def accuracy(self) -> str:
        """What is right, in words."""
        if isinstance(self.noise, GridResult):
            return "word accuracy"
        return "accuracy" if self.measure is tagging_table.ACCURACY else "clips whose likeliest class is theirs"

    @property
    def measure(self) -> table.Measure:
        """What the tables and the figure show."""
        return table.WER if isinstance(self.noise, GridResult) else tagging_table.measures(self.noise)[0]

    def worst(self, count: int = WORST) -> list[tuple[Result, str]]:
        """The conditions with the highest error rates, of noise and degradations alike, each with its result."""
        rates = []
        for result in (self.noise, self.degraded):
            heard = of(result)
            rates += [
                (sum(heard.errors[name_of(row)]) / sum(heard.words), result, name_of(row)) for row in result.cells
            ]
        return [(result, name) for _, result, name in sorted(rates, key=lambda one: -one[0])[:count]]


def make(model: str, noise: Result, degraded: Result, *, seed: int = 0) -> Card:
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
    heard = (of(noise), of(degraded))
    noisy = _conditions(noise, noise.averages["all"].noise_types)
    groups = {kind: _conditions(degraded, [kind]) for kind in degraded.noise_types}
    times = [resample(len(one.ids), samples=SAMPLES, seed=seed) for one in heard]
    resampled = (
        _accuracy(heard[0], noisy, times[0])
        + np.mean([_accuracy(heard[1], group, times[1]) for group in groups.values()], axis=0)
    ) / 2  # (R,)
    all_once = [np.ones((1, len(one.ids)), dtype=np.int64) for one in heard]
    in_noise = float(_accuracy(heard[0], noisy, all_once[0])[0])
    by_degradation = {kind: float(_accuracy(heard[1], group, all_once[1])[0]) for kind, group in groups.items()}
    return Card(
        name=table.label(noise),
        noise=noise,
        degraded=degraded,
        clean=float(_accuracy(heard[0], [name_of(noise.clean)], all_once[0])[0]),
        in_noise=in_noise,
        by_degradation=by_degradation,
        score=50 * (in_noise + sum(by_degradation.values()) / len(by_degradation)),
        interval=interval(100 * resampled),
        test=_test(noise, degraded),
    )


def markdown(card: Card, figure: Path | str | None = None) -> str:
    """The card as a page.

    Args:
        card: of one recogniser.
        figure: path of its figure, as seen from the page; no figure when left out.
    """
    parts = [
        f"# Robustness of {card.name}\n",
        f"**Score {card.score:.1f}** of 100 ({card.interval.low:.1f} to {card.interval.high:.1f}), "
        f"{100 * card.kept:.0f} % of its accuracy on {_clean(card)}. Test `{card.test}`: scores of other tests say "
        "nothing about this one.\n",
        table.as_markdown(_accuracies(card)),
    ]
    if figure is not None:
        rates = f"{card.measure.name[0].upper()}{card.measure.name[1:]}"
        parts.append(f"![{rates} of {card.name} in noise and under degradations]({figure})\n")
    parts += ["## In noise\n", _rates(card.noise)]
    parts += ["## Under degradations\n", _rates(card.degraded)]
    parts += ["## Where it breaks\n", table.as_markdown(_worst(card)), "## How it was measured\n", _measured(card)]
    return "\n".join(parts)


def _clean(card: Card) -> str:
    return "clean speech" if isinstance(card.noise, GridResult) else "clean clips"


def _rates(result: Result) -> str:
    return table.markdown([result]) if isinstance(result, GridResult) else tagging_table.markdown(result)


def _accuracies(card: Card) -> table.Table:
    lines = [
        ["", f"{card.accuracy} (%)"],
        ["clean", f"{100 * card.clean:.1f}"],
        ["noise", f"{100 * card.in_noise:.1f}"],
    ]
    lines += [[kind, f"{100 * accuracy:.1f}"] for kind, accuracy in card.by_degradation.items()]
    return [*lines, ["mean of degradations", f"{100 * card.when_degraded:.1f}"], ["score", f"{card.score:.1f}"]]


def _worst(card: Card) -> table.Table:
    words = isinstance(card.noise, GridResult)
    lines = [
        ["condition", *(("WER (%)", "deleted", "substituted", "inserted") if words else ("wrong (%)", "taken for"))]
    ]
    lines += [
        [name, *(_wrong_words(result, name) if isinstance(result, GridResult) else _wrong_classes(result, name))]
        for result, name in card.worst()
    ]
    return lines


def _wrong_words(result: GridResult, name: str) -> list[str]:
    row = next(row for row in result.cells if name_of(row) == name)
    return [f"{100 * row.wer:.1f}", *(f"{100 * count / row.words:.1f}" for count in (row.D, row.S, row.I))]


def _wrong_classes(result: TaggingResult, name: str) -> list[str]:
    """How many clips were taken for something else, and most of them for what."""
    right, best = result.per_clip.right[name], result.per_clip.best
    wrong = f"{100 * (1 - sum(right) / len(right)):.1f}"
    if best is None or all(right):
        return [wrong, ""]
    found, count = Counter(one for one, held in zip(best[name], right, strict=True) if not held).most_common(1)[0]
    return [wrong, f"{found} ({count} of {len(right) - sum(right)})"]


def _measured(card: Card) -> str:
    words = isinstance(card.noise, GridResult)
    lines = [f"- {kind_of(card.noise)}: `{card.noise.recogniser}`"]
    lines += [f"- {name}: {value}" for name, value in card.noise.recogniser_details.items()]
    for result, what in ((card.noise, "noise"), (card.degraded, "degradations")):
        each = "utterances" if words else "clips"
        lost = "counted as heard empty" if words else "counted as wrong"
        lines.append(
            f"- {what}: {_recordings(result)} ({result.seconds / 60:.1f} min) of `{result.manifest}`, "
            f"{len(result.cells)} conditions, seed {result.seed}, {len(result.skipped)} {each} skipped, "
            f"{result.failures} failures {lost}"
        )
        if result.command:
            lines.append(f"- rebuilt by: `{result.command}`")
    rule = f"scored under {card.noise.normaliser}" if isinstance(card.noise, GridResult) else "scored by the best class"
    lines.append(f"- {rule}; intervals are 95 % of bootstrap resamples")
    return "\n".join(lines) + "\n"


def _recordings(result: Result) -> str:
    if isinstance(result, GridResult):
        return f"{result.utterances} utterances of {result.speakers} speakers"
    return f"{result.clips} clips of {result.groups} recordings"


def _check(model: str, noise: Result, degraded: Result) -> None:
    if kind_of(noise) != kind_of(degraded):
        raise EvaluationError(
            f"both results must be of one model, but the grid is of a {kind_of(noise)} and the degradations are of a "
            f"{kind_of(degraded)}"
        )
    if noise.axis != "snr_db" or not noise.cells:
        raise EvaluationError(
            "the grid must hold cells in noise, but does not; measure it with noisewise evaluate --noise"
        )
    if degraded.axis != "level" or not degraded.cells:
        raise EvaluationError("the degradations must be those of noisewise evaluate --degrade, but are not")
    for result, what in ((noise, "grid"), (degraded, "degradations")):
        if result.recogniser != portable(model):
            raise EvaluationError(
                f"the {what} must be of `{portable(model)}`, but are of `{result.recogniser}` instead"
            )
    if noise.recogniser_details != degraded.recogniser_details:
        raise EvaluationError(
            f"both results must be of the same `{noise.recogniser}`, but its details differ: "
            f"{noise.recogniser_details} and {degraded.recogniser_details}; measure the older one again"
        )
    if of(noise).truth != of(degraded).truth:
        raise EvaluationError(
            "both results must have clips with the same labels, but do not; measure one of them again"
        )
    rules = [of(result).rules for result in (noise, degraded)]
    if rules[0] != rules[1]:
        raise EvaluationError(f"both must be scored by one rule, but are by {rules[0]} and {rules[1]}")


def _accuracy(heard: Heard, conditions: list[str], times: np.ndarray) -> Rates:
    """Mean accuracy over conditions in each resample; times (R, N) to (R,)."""
    errors = np.array([heard.errors[name] for name in conditions], dtype=np.int64).T  # (N, C)
    rates = resampled_rates(times, errors, np.array(heard.words, dtype=np.int64))  # (R, C)
    found: Rates = np.maximum(0.0, 1 - rates).mean(axis=1)
    return found


def _conditions(result: Result, kinds: list[str]) -> list[str]:
    return [name_of(row) for row in result.cells if row.noise_type in kinds]


def _test(noise: Result, degraded: Result) -> str:
    kinds = noise.averages["all"].noise_types
    rows = [*(row for row in noise.cells if row.noise_type in kinds), *degraded.cells]
    text = "\n".join(
        [of(noise).rules + of(noise).truth, *sorted(f"{name_of(row)} {row.mixture_sha256}" for row in rows)]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]
