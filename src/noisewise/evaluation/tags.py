"""The evaluation of a tagger: accuracy and mean average precision.

Legend: N clips, K classes, R resamples.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from noisewise.data.manifests.labels import SEPARATOR, labels_of
from noisewise.data.manifests.read import column
from noisewise.errors import EvaluationError
from noisewise.evaluation import summary
from noisewise.evaluation.conditions import Condition
from noisewise.evaluation.config import GridConfig
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.runner import Outputs
from noisewise.evaluation.summary import Scored
from noisewise.evaluation.systems.protocol import Failure, Waveform
from noisewise.evaluation.systems.taggers import NamedTagger
from noisewise.evaluation.test_set import Speech, Utterance
from noisewise.inference.tags import Probabilities
from noisewise.scoring.tagging import Labels, hits, resampled, score
from noisewise.scoring.words import Counts

if TYPE_CHECKING:
    from noisewise.data.manifests.cuts import Cut

    pass

GROUPS = ("speaker", "recording")
"""Columns that name what clips were cut from."""
Metric = Literal["accuracy", "mean_average_precision"]


@dataclass(frozen=True)
class ScoreCell:
    """The scores of a tagger under one condition."""

    condition: Condition
    scores: str
    """Base64 of little-endian float32. (N, K)"""
    failures: dict[str, str]
    """Clip id to the reason, where the tagger failed."""
    scaled: int
    """Number of mixtures that were scaled down to 16 bits, as in `Cell`."""
    mixture_sha256: str
    """Hash of all mixtures, as in `Cell`."""

    def is_of(self, items: int) -> bool:
        """Whether it has scores, as many for each, of so many clips."""
        size = len(base64.b64decode(self.scores, validate=True))
        return size > 0 and size % (4 * items) == 0

    def array(self, classes: int) -> NDArray[np.float32]:
        """The scores. (N, K)"""
        return np.frombuffer(base64.b64decode(self.scores), "<f4").reshape(-1, classes)


@dataclass(frozen=True)
class Tagging:
    """What `evaluate` does with a tagger."""

    system: NamedTagger
    cell_type = ScoreCell

    def read(self, config: GridConfig) -> Speech:
        """The clips of a test set; those without labels, or with one that is no class of the tagger, are skipped.

        Raises:
            EvaluationError: no clip is left.
            DataError: the manifest cannot be used.
        """
        known = frozenset(self.system.labels)
        text_of = partial(_labels, config.label_column, known)
        return Speech.read(config.manifest, config.limit, text_of=text_of, group_of=_group, columns=config.columns)

    def run(self, waveforms: list[Waveform]) -> list[Probabilities | Failure]:
        """Scores (K,), or failures."""
        return self.system.run(waveforms)

    def cell(self, items: Sequence[Utterance], outputs: Outputs[Probabilities]) -> ScoreCell:
        """What is kept of the outputs under a condition; see `cell`."""
        return cell(_truth(items, self.system.labels), outputs)

    def summarise(self, items: Sequence[Utterance], cells: Sequence[ScoreCell], config: GridConfig) -> GridResult:
        """See `summarise`."""
        return summarise(items, cells, self.system.labels, config)


def cell(truth: Labels, outputs: Outputs[Probabilities]) -> ScoreCell:
    """Scores under a condition; a clip that the tagger failed on has the lowest where its labels are (N, K)."""
    given = [output for output in outputs.each if not isinstance(output, Failure)]
    low = float(np.min(given)) - 1
    rows = [
        np.where(held, low - 1, low) if isinstance(output, Failure) else output
        for output, held in zip(outputs.each, truth, strict=True)
    ]
    scores = base64.b64encode(np.stack(rows).astype("<f4").tobytes()).decode("ascii")
    return ScoreCell(outputs.condition, scores, outputs.failures, outputs.scaled, outputs.mixture_sha256)


def summarise(
    clips: Sequence[Utterance], cells: Sequence[ScoreCell], labels: Sequence[str], config: GridConfig
) -> GridResult:
    """Score every condition, average over conditions, and resample the clips, the same ones in all conditions.

    Accuracy is measured where every clip has one label.

    Args:
        clips: N of them, with their labels.
        cells: scores under each condition, clean first.
        labels: names of the classes.
        config: what was measured, and how it is resampled.

    Raises:
        EvaluationError: the bootstrap unit cannot be used.
    """
    summary.check_unit(clips, config)
    truth, times = _truth(clips, labels), summary.draws(clips, config)
    metrics: list[Metric] = ["accuracy", "mean_average_precision"]
    if not (truth.sum(axis=1) == 1).all():
        metrics.remove("accuracy")
    scored = [_scored(one, labels, truth, metrics, times) for one in cells]
    return summary.summarise(clips, scored, config, task="tagging", lengths=[1] * len(clips), classes=len(labels))


def _scored(one: ScoreCell, labels: Sequence[str], truth: Labels, metrics: Sequence[Metric], times: Counts) -> Scored:
    scores = one.array(len(labels))
    found, best = score(scores, truth), scores.argmax(axis=1)
    right = hits(scores, truth)
    values = {"accuracy": float(right.mean()), "mean_average_precision": found.mean_average_precision}
    return Scored(
        cell=one,
        values={metric: values[metric] for metric in metrics},
        resampled={metric: resampled(scores, truth, metric, times) for metric in metrics},
        errors=(~right).astype(int).tolist(),
        hypotheses=[labels[place] for place in best],
        counts={},
    )


def _truth(clips: Sequence[Utterance], labels: Sequence[str]) -> Labels:
    """Which labels hold. (N, K)"""
    return np.array([[label in one.text.split(SEPARATOR) for label in labels] for one in clips])


def _labels(name: str, known: frozenset[str], cut: "Cut") -> str:
    """The labels of a clip in a column.

    Raises:
        EvaluationError: it has none, or one that is no class of the tagger.
    """
    labels = labels_of(cut, name)
    unknown = [label for label in labels if label not in known]
    if not labels or unknown:
        what = f"has '{unknown[0]}'" if unknown else "has none"
        raise EvaluationError(f"it must have labels that are classes of the tagger in the column '{name}', but {what}")
    return SEPARATOR.join(labels)


def _group(cut: "Cut") -> str | None:
    """What a clip was cut from."""
    return next((found for name in GROUPS if (found := column(cut, name))), None)
