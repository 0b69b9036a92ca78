"""The noise grid of a tagger: accuracy and mean average precision of clips, clean and in the mixtures of
`noisewise.evaluation.noise_grid`, or under its degradations.

Legend: N clips, K classes, R resamples, C cells.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial as bound
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from noisewise.data.manifests.labels import SEPARATOR, labels_of
from noisewise.data.manifests.read import column
from noisewise.errors import EvaluationError
from noisewise.evaluation.degradations import Levels, conditions_of, degrading
from noisewise.evaluation.noise_grid import noisy
from noisewise.evaluation.result import Bootstrap
from noisewise.evaluation.resume import Condition, Partial
from noisewise.evaluation.runner import BATCH_SECONDS, Hearing, Progress, hear_all
from noisewise.evaluation.summary import averaged, check_unit, ci, in_order, snrs_of
from noisewise.evaluation.systems.protocol import Failure
from noisewise.evaluation.systems.taggers import NamedTagger
from noisewise.evaluation.tagging_result import PerClip, Share, TaggingAverage, TaggingResult, TaggingRow
from noisewise.evaluation.test_set import Speech, Utterance
from noisewise.inference.tags import Probabilities
from noisewise.scoring.tagging import Labels, hits, resampled, score
from noisewise.scoring.words import Counts, Rates, resample

if TYPE_CHECKING:
    from noisewise.data.manifests.cuts import Cut

GROUPS = ("speaker", "recording")
"""Columns that name what clips were cut from."""
Metric = Literal["accuracy", "mean_average_precision"]


@dataclass(frozen=True)
class ScoredCell:
    """What a tagger made of every clip under one condition."""

    condition: Condition
    scores: str
    """Base64 of little-endian float32. (N, K)"""
    failures: dict[str, str]
    """Clip id to the reason, where the tagger failed."""
    scaled: int
    """As in `HeardCell`."""
    mixture_sha256: str

    def array(self, classes: int) -> NDArray[np.float32]:
        """The scores. (N, K)"""
        return np.frombuffer(base64.b64decode(self.scores), "<f4").reshape(-1, classes)


def evaluate_tagger(
    manifest: str,
    tagger: NamedTagger,
    noise: str | None = None,
    snrs_db: Sequence[float] = (0, 5, 10, 15, 20),
    *,
    levels: Levels | None = None,
    label_column: str = "label",
    types: Sequence[str] | None = None,
    seed: int = 0,
    limit: int | None = None,
    bootstrap_unit: str = "utterance",
    bootstrap_samples: int = 1000,
    batch_seconds: float = BATCH_SECONDS,
    partial: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TaggingResult:
    """Measure a tagger on the grid; other arguments are those of `noisewise.evaluation.noise_grid.evaluate`.

    Args:
        manifest: clips with labels; several of a clip have ";" between them.
        tagger: from `taggers.parse`.
        noise: manifest of noise; clean clips only when left out.
        snrs_db: signal-to-noise ratios.
        levels: degradations to measure instead of noise, as `degradations.parse_levels` gives them.
        label_column: of the manifest.
        types: noise types.
        seed: of what is drawn, and of the bootstrap.
        limit: take this many clips, evenly spaced over the manifest.
        bootstrap_unit: `utterance` resamples clips, `speaker` what they were cut from (columns speaker or recording).
        bootstrap_samples: number of resamples.
        batch_seconds: audio given to the tagger at a time.
        partial: file that keeps finished cells.
        progress: called after each batch.

    Raises:
        EvaluationError: no clip has labels that the tagger knows, or the tagger failed on every clip of a cell.
        DataError: a manifest cannot be used, or lacks a type.
        EvaluationError: the partial results belong to another run.
        EvaluationError: the bootstrap unit is unknown, or what clips were cut from is.
    """
    known = frozenset(tagger.labels)
    clips = Speech.read(manifest, limit, text_of=bound(_labels, label_column, known), group_of=_group)
    check_unit(clips.utterances, bootstrap_unit)
    if levels:
        trial = degrading(manifest, clips, conditions_of(levels), seed)
    else:
        trial = noisy(manifest, clips, noise, snrs_db, types=types, seed=seed)
    about = trial.about(tagger.name, tagger.details)
    truth = _truth(clips.utterances, tagger.labels)
    kept = Partial(partial, {**trial.identity(about), "label_column": label_column}, ScoredCell)
    cells = hear_all(trial, tagger.ask, bound(_cell, truth), kept, batch_seconds=batch_seconds, progress=progress)
    result = summarise(
        clips.utterances,
        cells,
        tagger.labels,
        bootstrap_unit=bootstrap_unit,
        bootstrap_samples=bootstrap_samples,
        seed=seed,
    )
    if levels:  # a mean over levels of different units is none
        averages = {kind: result.averages[kind] for kind in levels}
        result = result.described(axis="level", noise_types=list(levels), averages=averages)
    return result.described(**about, skipped=clips.skipped)


def summarise(
    clips: Sequence[Utterance],
    cells: Sequence[ScoredCell],
    labels: Sequence[str],
    *,
    bootstrap_unit: str = "utterance",
    bootstrap_samples: int = 1000,
    seed: int = 0,
) -> TaggingResult:
    """Score every cell, average over cells, and resample the clips, the same ones in all cells.

    Args:
        clips: N of them, with their labels.
        cells: what was heard, clean clips first.
        labels: of the classes.
        bootstrap_unit: `utterance` or `speaker`.
        bootstrap_samples: number of resamples R.
        seed: of the resampling.
    """
    truth = _truth(clips, labels)
    groups = [one.speaker for one in clips] if bootstrap_unit == "speaker" else None
    times = resample(len(clips), groups=groups, samples=bootstrap_samples, seed=seed)
    metrics: list[Metric] = ["mean_average_precision"]
    if (truth.sum(axis=1) == 1).all():
        metrics.append("accuracy")
    scored = [_scored(cell.array(len(labels)), truth, metrics, times) for cell in cells]
    conditions = [cell.condition for cell in cells[1:]]
    best = {cell.condition.name: cell.array(len(labels)).argmax(axis=1) for cell in cells}
    rows = [_row(cell, one) for cell, one in zip(cells, scored, strict=True)]
    return TaggingResult(
        seed=seed,
        snr_db=snrs_of(conditions),
        noise_types=in_order(one.noise_type or "" for one in conditions),
        classes=len(labels),
        clips=len(clips),
        groups=len({one.speaker for one in clips}),
        seconds=round(sum(one.seconds for one in clips), 3),
        clean=rows[0],
        cells=rows[1:],
        averages={
            name: _average([scored[1 + place] for place in places], [conditions[place] for place in places])
            for name, places in averaged(conditions).items()
        },
        bootstrap=Bootstrap(unit=bootstrap_unit, samples=bootstrap_samples),
        per_clip=PerClip(
            ids=[one.id for one in clips],
            groups=[one.speaker for one in clips],
            labels=[one.text for one in clips],
            right={name: truth[np.arange(len(clips)), found].astype(int).tolist() for name, found in best.items()},
            best={name: [labels[place] for place in found] for name, found in best.items()},
            failures={cell.condition.name: cell.failures for cell in cells if cell.failures},
        ),
    )


Scored = dict[Metric, tuple[float, Rates]]
"""Metric to its value, and that in each resample (R,)."""


def _scored(scores: Probabilities, truth: Labels, metrics: Sequence[Metric], times: Counts) -> Scored:
    values = {
        "mean_average_precision": score(scores, truth).mean_average_precision,
        "accuracy": float(hits(scores, truth).mean()),
    }
    return {metric: (values[metric], resampled(scores, truth, metric, times)) for metric in metrics}


def _row(cell: ScoredCell, scored: Scored) -> TaggingRow:
    return TaggingRow(
        noise_type=cell.condition.noise_type,
        snr_db=cell.condition.snr_db,
        accuracy=_share([scored], "accuracy"),
        mean_average_precision=_known(_share([scored], "mean_average_precision")),
        failures=len(cell.failures),
        scaled=cell.scaled,
        mixture_sha256=cell.mixture_sha256,
    )


def _average(scored: list[Scored], conditions: list[Condition]) -> TaggingAverage:
    return TaggingAverage(
        accuracy=_share(scored, "accuracy"),
        mean_average_precision=_known(_share(scored, "mean_average_precision")),
        cells=len(scored),
        noise_types=in_order(one.noise_type or "" for one in conditions),
    )


def _share(scored: list[Scored], metric: Metric) -> Share | None:
    """The mean of a metric over cells, with its interval; None where it is not measured."""
    if metric not in scored[0]:
        return None
    values, rates = zip(*(one[metric] for one in scored), strict=True)
    return Share(float(np.mean(values)), ci(np.mean(rates, axis=0)))


def _known(share: Share | None) -> Share:
    assert share is not None
    return share


def _truth(clips: Sequence[Utterance], labels: Sequence[str]) -> Labels:
    """Which labels hold. (N, K)"""
    return np.array([[label in one.text.split(SEPARATOR) for label in labels] for one in clips])


def _cell(truth: Labels, hearing: Hearing[Probabilities]) -> ScoredCell:
    """The scores of a hearing; a clip that the tagger failed on has the lowest where its labels are."""
    given = [answer for answer in hearing.answers if not isinstance(answer, Failure)]
    low = float(np.min(given)) - 1
    rows = [
        np.where(held, low - 1, low) if isinstance(answer, Failure) else answer
        for answer, held in zip(hearing.answers, truth, strict=True)
    ]
    scores = base64.b64encode(np.stack(rows).astype("<f4").tobytes()).decode("ascii")
    return ScoredCell(hearing.condition, scores, hearing.failures, hearing.scaled, hearing.mixture_sha256)


def _labels(name: str, known: frozenset[str], cut: "Cut") -> str:
    """The labels of a clip in a column.

    Raises:
        EvaluationError: it has none, or one that is no class of the tagger.
    """
    labels = labels_of(cut, name)
    unknown = [label for label in labels if label not in known]
    if not labels or unknown:
        what = f"has '{unknown[0]}'" if unknown else "has none"
        raise EvaluationError(f"it must have labels that the tagger knows in the column '{name}', but {what}")
    return SEPARATOR.join(labels)


def _group(cut: "Cut") -> str | None:
    """What a clip was cut from."""
    return next((found for name in GROUPS if (found := column(cut, name))), None)
