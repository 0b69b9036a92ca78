"""From what was heard to a `GridResult`: rates, averages, confidence intervals.

Legend: N utterances, C cells, R resamples.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from noisewise.errors import EvaluationError
from noisewise.evaluation.result import Average, Bootstrap, GridResult, PerUtterance, Row
from noisewise.evaluation.resume import Condition, HeardCell
from noisewise.evaluation.test_set import Utterance
from noisewise.scoring.words import Counts, Rates, Score, interval, resample, resampled_rates, score

TYPE_A = ("traffic", "metro", "car")
"""Stationary noise (Wav2code, Tables I and II)."""
TYPE_B = ("babble", "airport_station", "ac_vacuum", "cafe")
"""Non-stationary noise."""


def in_order(types: Iterable[str]) -> list[str]:
    """Types A, types B, then the others by name."""
    known = [*TYPE_A, *TYPE_B]
    return sorted(set(types), key=lambda kind: (known.index(kind) if kind in known else len(known), kind))


def check(utterances: Sequence[Utterance], bootstrap_unit: str) -> None:
    """Refuse, before hours of recognition, what `summarise` could not score.

    Raises:
        EvaluationError: the bootstrap unit is unknown, or speakers that nobody names, or no reference has a word.
    """
    check_unit(utterances, bootstrap_unit)
    texts = [one.text for one in utterances]
    score(texts, texts)


def check_unit(utterances: Sequence[Utterance], bootstrap_unit: str) -> None:
    """Refuse what cannot be resampled.

    Raises:
        EvaluationError: the bootstrap unit is unknown, or is the speaker where no entry names one.
    """
    if bootstrap_unit not in ("utterance", "speaker"):
        raise EvaluationError(f"`bootstrap_unit` must be 'utterance' or 'speaker', but is '{bootstrap_unit}' instead")
    if bootstrap_unit == "speaker" and all(one.speaker == one.id for one in utterances):
        raise EvaluationError(
            "`bootstrap_unit` must be 'utterance' where no entry names a speaker, but is 'speaker' instead; add a "
            "column speaker, or resample utterances"
        )


def summarise(
    utterances: Sequence[Utterance],
    heard: Sequence[HeardCell],
    *,
    bootstrap_unit: str = "utterance",
    bootstrap_samples: int = 1000,
    seed: int = 0,
) -> GridResult:
    """Score every cell, average over cells, and resample the utterances, the same ones in all cells.

    Args:
        utterances: what was said, N of them.
        heard: what was heard, clean speech first.
        bootstrap_unit: `utterance` or `speaker`.
        bootstrap_samples: number of resamples R.
        seed: of the resampling.
    """
    check(utterances, bootstrap_unit)
    references = [one.text for one in utterances]
    scores = [score(references, cell.hypotheses) for cell in heard]
    words = np.array([errors.reference_words for errors in scores[0].per_utterance], dtype=np.int64)  # (N,)
    edits = np.array([[errors.total for errors in one.per_utterance] for one in scores], dtype=np.int64).T  # (N, C)
    groups = [one.speaker for one in utterances] if bootstrap_unit == "speaker" else None
    times: Counts = resample(len(utterances), groups=groups, samples=bootstrap_samples, seed=seed)
    resampled = resampled_rates(times, edits, words)  # (R, C)
    noisy = [cell.condition for cell in heard[1:]]
    rows = [_row(cell, one, resampled[:, index]) for index, (cell, one) in enumerate(zip(heard, scores, strict=True))]
    return GridResult(
        normaliser=scores[0].normaliser,
        seed=seed,
        snr_db=snrs_of(noisy),
        noise_types=in_order(one.noise_type or "" for one in noisy),
        utterances=len(utterances),
        speakers=len({one.speaker for one in utterances}),
        seconds=round(sum(one.seconds for one in utterances), 3),
        clean=rows[0],
        cells=rows[1:],
        averages={
            name: _average([rows[1 + index] for index in indices], resampled[:, [1 + index for index in indices]])
            for name, indices in averaged(noisy).items()
        },
        bootstrap=Bootstrap(unit=bootstrap_unit, samples=bootstrap_samples),
        per_utterance=PerUtterance(
            ids=[one.id for one in utterances],
            speakers=[one.speaker for one in utterances],
            words=words.tolist(),
            errors={cell.condition.name: edits[:, index].tolist() for index, cell in enumerate(heard)},
            references=references,
            hypotheses={cell.condition.name: cell.hypotheses for cell in heard},
            failures={cell.condition.name: cell.failures for cell in heard if cell.failures},
        ),
    )


def _row(cell: HeardCell, scored: Score, resampled: Rates) -> Row:
    return Row(
        noise_type=cell.condition.noise_type,
        snr_db=cell.condition.snr_db,
        wer=scored.wer,
        cer=scored.cer,
        ci=ci(resampled),
        S=scored.words.substitutions,
        D=scored.words.deletions,
        I=scored.words.insertions,
        words=scored.words.reference_words,
        mean_utterance_wer=scored.mean_utterance_wer,
        failures=len(cell.failures),
        scaled=cell.scaled,
        mixture_sha256=cell.mixture_sha256,
    )


def averaged(conditions: Sequence[Condition]) -> dict[str, list[int]]:
    """Name of each mean over cells to the places of its cells among the noisy conditions.

    `all` is over the seven named types, or over all types when none of them is there.
    """
    present = {one.noise_type for one in conditions}
    kinds = in_order(one.noise_type or "" for one in conditions)
    named = [kind for kind in (*TYPE_A, *TYPE_B) if kind in present] or kinds
    wanted: dict[str, list[int]] = {
        "type_a": [index for index, one in enumerate(conditions) if one.noise_type in TYPE_A],
        "type_b": [index for index, one in enumerate(conditions) if one.noise_type in TYPE_B],
        "all": [index for index, one in enumerate(conditions) if one.noise_type in named],
    }
    above = {
        f"{name}_above_0_db": [index for index in indices if (conditions[index].snr_db or 0) > 0]
        for name, indices in wanted.items()
    }
    by_snr = {
        f"all@{snr:g}": [index for index in wanted["all"] if conditions[index].snr_db == snr]
        for snr in snrs_of(conditions)
    }
    by_type = {kind: [index for index, one in enumerate(conditions) if one.noise_type == kind] for kind in kinds}
    every = {**wanted, **above, **by_snr, **by_type}
    return {name: indices for name, indices in every.items() if indices}


def snrs_of(conditions: Sequence[Condition]) -> list[float]:
    """The signal-to-noise ratios of noisy conditions, or the levels of degradations, from the lowest."""
    return sorted({one.snr_db for one in conditions if one.snr_db is not None})


def _average(rows: list[Row], resampled: Rates) -> Average:
    return Average(
        wer=float(np.mean([row.wer for row in rows])),
        cer=float(np.mean([row.cer for row in rows])),
        ci=ci(resampled.mean(axis=1)),
        mean_utterance_wer=float(np.mean([row.mean_utterance_wer for row in rows])),
        cells=len(rows),
        noise_types=in_order(row.noise_type or "" for row in rows),
    )


def ci(resampled: Rates) -> list[float]:
    """Low and high end of the interval of a rate over resamples. (R,)"""
    found = interval(resampled)
    return [found.low, found.high]
