"""The evaluation of a recogniser: word and character error rates.

Legend: N utterances, C conditions, R resamples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from noisewise.data.manifests.read import text_of
from noisewise.decoding.hypothesis import Word
from noisewise.errors import EvaluationError
from noisewise.evaluation import summary
from noisewise.evaluation.conditions import Condition
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.degradation_scores import degradations_of
from noisewise.evaluation.result import GridResult, Rate
from noisewise.evaluation.runner import Outputs
from noisewise.evaluation.subgroups import subgroups
from noisewise.evaluation.summary import Scored
from noisewise.evaluation.systems.protocol import (
    Failure,
    Likelihood,
    NamedRecogniser,
    Timed,
    Waveform,
    attempt,
    attempt_timed,
)
from noisewise.evaluation.test_set import Speech, Utterance
from noisewise.evaluation.thresholds import thresholds
from noisewise.scoring.words import (
    ENGLISH,
    Counts,
    Normaliser,
    choose,
    interval,
    lost,
    must_stay,
    resampled_rates,
    score,
)

if TYPE_CHECKING:
    from noisewise.data.manifests.cuts import Cut


@dataclass(frozen=True)
class TextCell:
    """The hypotheses of a recogniser under one condition."""

    condition: Condition
    hypotheses: list[str]
    """Hypothesis of each utterance, not normalised; empty where the recogniser failed."""
    failures: dict[str, str]
    """Utterance id to the reason, where the recogniser failed."""
    scaled: int
    """Number of mixtures that were scaled down to 16 bits, as in `Cell`."""
    mixture_sha256: str
    """Hash of all mixtures, as in `Cell`."""
    nll: dict[str, list[list[float]]] = field(default_factory=dict)
    """Criterion to nats and number of tokens of each utterance, 0 and 0 where there is none; empty where it was not
    asked for."""
    words: list[list[Word]] = field(default_factory=list)
    """The words of each hypothesis with times; empty where they were not asked for."""

    def is_of(self, items: int) -> bool:
        """Whether it has a hypothesis, and nats where there are any, of each of so many utterances."""
        return len(self.hypotheses) == items and all(len(values) == items for values in self.nll.values())


@dataclass(frozen=True)
class Recognition:
    """What `evaluate` does with a recogniser."""

    system: NamedRecogniser
    word_times: bool = False
    """Whether the times of words are kept."""
    cell_type = TextCell

    def read(self, config: GridConfig) -> Speech:
        """The utterances of a test set.

        Raises:
            EvaluationError: no utterance is left, or no reference has a word.
            DataError: the manifest cannot be used.
        """
        normaliser = choose(config.normaliser)
        speech = Speech.read(
            config.manifest, config.limit, text_of=lambda cut: _reference(cut, normaliser), columns=config.columns
        )
        check_references(speech.utterances, normaliser)
        return speech

    def run(self, waveforms: list[Waveform]) -> list[Timed | Failure]:
        """Hypotheses, or failures; with times of words where they are kept."""
        if self.word_times:
            return attempt_timed(self.system, waveforms)
        found = attempt(self.system.recognise, waveforms)
        return [output if isinstance(output, Failure) else Timed(output) for output in found]

    def cell(self, items: Sequence[Utterance], outputs: Outputs[Timed]) -> TextCell:
        """What is kept of the outputs under a condition.

        Raises:
            EvaluationError: times of words are kept, and a hypothesis has none.
        """
        each = [Timed("") if isinstance(output, Failure) else output for output in outputs.each]
        if self.word_times:
            _check_times(self.system.name, items, each)
        return TextCell(
            outputs.condition,
            [output.text for output in each],
            outputs.failures,
            outputs.scaled,
            outputs.mixture_sha256,
            _by_criterion(outputs.likelihoods),
            [output.words for output in each] if self.word_times else [],
        )

    def cell_of(self, items: Sequence[Utterance]) -> Callable[[Outputs[Timed]], TextCell]:
        """The same for given utterances."""
        return lambda outputs: self.cell(items, outputs)

    def summarise(self, items: Sequence[Utterance], cells: Sequence[TextCell], config: GridConfig) -> GridResult:
        """See `summarise`."""
        return summarise(items, cells, config)


def _check_times(name: str, items: Sequence[Utterance], outputs: Sequence[Timed]) -> None:
    for one, output in zip(items, outputs, strict=True):
        if output.text.strip() and not output.words:
            raise EvaluationError(
                f"`{name}` must give the times of words, but gives none for {one.id} ('{output.text:.80}'); leave out "
                "what needs them (--ctm)"
            )


def _by_criterion(likelihoods: Sequence[Likelihood]) -> dict[str, list[list[float]]]:
    names = dict.fromkeys(name for one in likelihoods for name in one)
    return {name: [list(map(float, one.get(name, (0.0, 0)))) for one in likelihoods] for name in names}


def _reference(cut: "Cut", normaliser: Normaliser) -> str | None:
    """The text of an entry, unless its words would all be removed."""
    text = text_of(cut)
    if text is not None:
        must_stay(text, normaliser)
    return text


def check_references(utterances: Sequence[Utterance], normaliser: Normaliser = ENGLISH) -> None:
    """Refuse, before hours of recognition, references that cannot be scored.

    Raises:
        EvaluationError: no reference has a word.
    """
    texts = [one.text for one in utterances]
    score(texts, texts, normaliser=normaliser)


def summarise(utterances: Sequence[Utterance], cells: Sequence[TextCell], config: GridConfig) -> GridResult:
    """Score every condition, average over conditions, and resample the utterances, the same ones in all conditions.

    Args:
        utterances: references, N of them.
        cells: hypotheses under each condition, clean first.
        config: what was measured, and how it is resampled.

    Raises:
        EvaluationError: the bootstrap unit cannot be used, or no reference has a word.
    """
    summary.check_unit(utterances, config)
    normaliser = choose(config.normaliser)
    references = [one.text for one in utterances]
    scores = [score(references, cell.hypotheses, normaliser=normaliser) for cell in cells]
    lengths = np.array([errors.reference_words for errors in scores[0].per_utterance], dtype=np.int64)  # (N,)
    edits = np.array([[errors.total for errors in one.per_utterance] for one in scores], dtype=np.int64).T  # (N, C)
    times = summary.draws(utterances, config)
    resampled = resampled_rates(times, edits, lengths)  # (R, C)
    scored = [
        Scored(
            cell=cell,
            values={"wer": one.wer, "cer": one.cer, "mean_utterance_wer": one.mean_utterance_wer},
            resampled={"wer": resampled[:, index]},
            errors=edits[:, index].tolist(),
            hypotheses=cell.hypotheses,
            counts={
                "S": one.words.substitutions,
                "D": one.words.deletions,
                "I": one.words.insertions,
                "words": one.words.reference_words,
            },
            nll={name: _per_token(np.array(each), times) for name, each in cell.nll.items()} or None,
        )
        for index, (cell, one) in enumerate(zip(cells, scores, strict=True))
    ]
    result = summary.summarise(
        utterances,
        scored,
        config,
        task="recognition",
        lengths=lengths.tolist(),
        normaliser=normaliser.name,
        lost={
            "references": dict(lost(references, normaliser)),
            "hypotheses": dict(lost((text for cell in cells for text in cell.hypotheses), normaliser)),
        },
    )
    lost_by = degradations_of(result, times)
    return replace(result, thresholds=thresholds(result, times), werd=lost_by, subgroups=subgroups(result))


def _per_token(nll: NDArray[np.float64], times: Counts) -> Rate:
    """Nats per token over all utterances, with its interval. (N, 2), (R, N)"""
    sums = times @ nll  # (R, 2)
    ends = interval(sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan))
    return Rate(float(nll[:, 0].sum() / nll[:, 1].sum()), [ends.low, ends.high])
