"""A robustness card: what a reader must know about a recogniser in noise and under degradations, on one page.

The score is the mean of two word accuracies in percent, each condition's accuracy being max(0, 1 - WER):

    score = 100 * (mean over noise cells + mean over degradations of the mean over their levels) / 2

Only scores of one test are comparable: `Card.test` is a hash over everything that was heard.

Legend: N utterances, C conditions, R resamples.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisewise.config import NoisewiseError
from noisewise.evaluation import table
from noisewise.evaluation.provenance import portable
from noisewise.evaluation.result import GridResult, Row
from noisewise.evaluation.resume import Condition
from noisewise.scoring.words import Interval, Rates, interval, resample, resampled_rates

WORST = 8
"""Conditions listed as those where it breaks."""
SAMPLES = 1000


class CardError(NoisewiseError):
    """Results from which no card can be made."""


@dataclass(frozen=True)
class Card:
    """A recogniser in two results. Accuracies are fractions."""

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
    """95 % of bootstrap resamples of the utterances, around the score."""
    test: str
    """Twelve digits; equal for recognisers that heard the same."""

    @property
    def when_degraded(self) -> float:
        """Mean over degradations."""
        return sum(self.by_degradation.values()) / len(self.by_degradation)

    @property
    def kept(self) -> float:
        """The score as a fraction of the accuracy on clean speech; 0 when it hears nothing there either."""
        return self.score / 100 / self.clean if self.clean else 0.0

    def worst(self, count: int = WORST) -> list[Row]:
        """The conditions with the highest error rates, of noise and degradations alike."""
        return sorted((*self.noise.cells, *self.degraded.cells), key=lambda row: -row.wer)[:count]


def make(model: str, noise: GridResult, degraded: GridResult, *, seed: int = 0) -> Card:
    """Join a noise grid and a file of degradations of one recogniser.

    Args:
        model: the specification that both were measured with.
        noise: of `noisewise evaluate --noise`.
        degraded: of `noisewise evaluate --degrade`.
        seed: of the resamples.

    Raises:
        CardError: one is not what it should be, or they are of different recognisers.
    """
    _check(model, noise, degraded)
    noisy = _conditions(noise, noise.averages["all"].noise_types)
    groups = {kind: _conditions(degraded, [kind]) for kind in degraded.noise_types}
    times = [resample(len(result.per_utterance.ids), samples=SAMPLES, seed=seed) for result in (noise, degraded)]
    resampled = (
        _accuracy(noise, noisy, times[0])
        + np.mean([_accuracy(degraded, group, times[1]) for group in groups.values()], axis=0)
    ) / 2  # (R,)
    all_once = [np.ones((1, len(result.per_utterance.ids)), dtype=np.int64) for result in (noise, degraded)]
    in_noise = float(_accuracy(noise, noisy, all_once[0])[0])
    by_degradation = {kind: float(_accuracy(degraded, group, all_once[1])[0]) for kind, group in groups.items()}
    return Card(
        name=table.label(noise),
        noise=noise,
        degraded=degraded,
        clean=max(0.0, 1 - noise.clean.wer),
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
        f"{100 * card.kept:.0f} % of its accuracy on clean speech. Test `{card.test}`: scores of other tests say "
        "nothing about this one.\n",
        table.as_markdown(_accuracies(card)),
    ]
    if figure is not None:
        parts.append(f"![Word error rates of {card.name} in noise and under degradations]({figure})\n")
    parts += ["## In noise\n", table.markdown([card.noise])]
    parts += ["## Under degradations\n", table.markdown([card.degraded])]
    parts += ["## Where it breaks\n", table.as_markdown(_worst(card)), "## How it was measured\n", _measured(card)]
    return "\n".join(parts)


def _accuracies(card: Card) -> table.Table:
    lines = [["", "word accuracy (%)"], ["clean", f"{100 * card.clean:.1f}"], ["noise", f"{100 * card.in_noise:.1f}"]]
    lines += [[kind, f"{100 * accuracy:.1f}"] for kind, accuracy in card.by_degradation.items()]
    return [*lines, ["mean of degradations", f"{100 * card.when_degraded:.1f}"], ["score", f"{card.score:.1f}"]]


def _worst(card: Card) -> table.Table:
    lines = [["condition", "WER (%)", "deleted", "substituted", "inserted"]]
    for row in card.worst():
        counts = [f"{100 * count / row.words:.1f}" for count in (row.D, row.S, row.I)]
        lines.append([_name(row), f"{100 * row.wer:.1f}", *counts])
    return lines


def _measured(card: Card) -> str:
    lines = [f"- recogniser: `{card.noise.recogniser}`"]
    lines += [f"- {name}: {value}" for name, value in card.noise.recogniser_details.items()]
    for result, what in ((card.noise, "noise"), (card.degraded, "degradations")):
        lines.append(
            f"- {what}: {result.utterances} utterances of {result.speakers} speakers ({result.seconds / 60:.1f} min) "
            f"of `{result.manifest}`, {len(result.cells)} conditions, seed {result.seed}, {len(result.skipped)} "
            f"utterances skipped, {result.failures} failures counted as heard empty"
        )
        if result.command:
            lines.append(f"- rebuilt by: `{result.command}`")
    lines.append(f"- scored under {card.noise.normaliser}; intervals are 95 % of bootstrap resamples")
    return "\n".join(lines) + "\n"


def _check(model: str, noise: GridResult, degraded: GridResult) -> None:
    if noise.axis != "snr_db" or not noise.cells:
        raise CardError("the grid must hold speech in noise, but does not; measure it with noisewise evaluate --noise")
    if degraded.axis != "level" or not degraded.cells:
        raise CardError("the degradations must be those of noisewise evaluate --degrade, but are not")
    for result, what in ((noise, "grid"), (degraded, "degradations")):
        if result.recogniser != portable(model):
            raise CardError(f"the {what} must be of `{portable(model)}`, but are of `{result.recogniser}` instead")
    if noise.recogniser_details != degraded.recogniser_details:
        raise CardError(
            f"both results must be of the same `{noise.recogniser}`, but its details differ: "
            f"{noise.recogniser_details} and {degraded.recogniser_details}; measure the older one again"
        )
    if noise.normaliser != degraded.normaliser:
        raise CardError(f"both must be scored by one rule, but are by {noise.normaliser} and {degraded.normaliser}")


def _accuracy(result: GridResult, conditions: list[str], times: np.ndarray) -> Rates:
    """Mean accuracy over conditions in each resample; times (R, N) to (R,)."""
    errors = np.array([result.per_utterance.errors[name] for name in conditions], dtype=np.int64).T  # (N, C)
    rates = resampled_rates(times, errors, np.array(result.per_utterance.words, dtype=np.int64))  # (R, C)
    found: Rates = np.maximum(0.0, 1 - rates).mean(axis=1)
    return found


def _conditions(result: GridResult, kinds: list[str]) -> list[str]:
    return [_name(row) for row in result.cells if row.noise_type in kinds]


def _name(row: Row) -> str:
    return Condition(row.noise_type, row.snr_db).name


def _test(noise: GridResult, degraded: GridResult) -> str:
    kinds = noise.averages["all"].noise_types
    heard = [row for row in noise.cells if row.noise_type in kinds] + degraded.cells
    text = "\n".join([noise.normaliser, *sorted(f"{_name(row)} {row.mixture_sha256}" for row in heard)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
