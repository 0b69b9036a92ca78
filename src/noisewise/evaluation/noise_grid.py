"""The noise grid: one recogniser, every noise type at every signal-to-noise ratio, and clean speech.

The mixtures come from `NoisePool.at`, which depends on the noise manifest, the seed, the utterance id, the
type and the SNR, and on nothing else: every recogniser hears the same ones, as the hash in each cell shows.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.errors import EvaluationError
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.resume import Condition, HeardCell, Partial
from noisewise.evaluation.runner import BATCH_SECONDS, Hearing, Progress, Trial, hear_all
from noisewise.evaluation.summary import check, in_order, summarise
from noisewise.evaluation.systems.protocol import Failure, Heard, NamedRecogniser, Recognise, Waveform, attempt
from noisewise.evaluation.test_set import Speech, Utterance

__all__ = ["EvaluationError", "Progress", "evaluate", "hear_texts", "named_recogniser", "noisy"]


def evaluate(
    manifest: str,
    recogniser: NamedRecogniser | Recognise,
    noise: str | None = None,
    snrs_db: Sequence[float] = (0, 5, 10, 15, 20),
    *,
    types: Sequence[str] | None = None,
    seed: int = 0,
    limit: int | None = None,
    bootstrap_unit: str = "utterance",
    bootstrap_samples: int = 1000,
    batch_seconds: float = BATCH_SECONDS,
    partial: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> GridResult:
    """Measure a recogniser on the grid.

    Args:
        manifest: speech with texts, as `noisewise.data.manifests.read.read` takes it: `corpora/an4#split=test`.
        recogniser: waveforms in, texts out; from `recognisers.parse`, or any function of that form.
        noise: manifest of noise with a `label` column; clean speech only when left out.
        snrs_db: signal-to-noise ratios.
        types: noise types; all in the manifest when left out.
        seed: of the noise draws and of the bootstrap.
        limit: take this many utterances, evenly spaced over the manifest.
        bootstrap_unit: `utterance` or `speaker`, what the confidence intervals resample.
        bootstrap_samples: number of resamples.
        batch_seconds: audio given to the recogniser at a time.
        partial: file that keeps finished cells; a run that finds it goes on from there.
        progress: called after each batch.

    Raises:
        EvaluationError: no utterance is left, or the recogniser failed on every utterance of a cell.
        DataError: a manifest cannot be used, or lacks a type.
        EvaluationError: the partial results belong to another run.
        EvaluationError: the bootstrap unit is unknown, or no reference has a word.
    """
    named = named_recogniser(recogniser)
    speech = Speech.read(manifest, limit)
    check(speech.utterances, bootstrap_unit)
    trial = noisy(manifest, speech, noise, snrs_db, types=types, seed=seed)
    about = trial.about(named.name, named.details)
    heard = hear_texts(trial, named, Partial(partial, trial.identity(about), HeardCell), batch_seconds, progress)
    result = summarise(
        speech.utterances,
        heard,
        bootstrap_unit=bootstrap_unit,
        bootstrap_samples=bootstrap_samples,
        seed=seed,
    )
    return result.described(**about, skipped=speech.skipped)


def noisy(
    manifest: str,
    speech: Speech,
    noise: str | None,
    snrs_db: Sequence[float],
    *,
    types: Sequence[str] | None = None,
    seed: int = 0,
) -> Trial:
    """Speech, clean and with noise; the arguments are those of `evaluate`.

    Raises:
        EvaluationError: a ratio is not finite, or there is none.
        DataError: the noise cannot be used, or lacks a type.
    """
    if noise is None:
        return Trial(manifest, None, speech, [Condition()], lambda one, _: speech.waveform(one.id), seed)
    pool = NoisePool.load(NoiseConfig(manifest=noise, types=list(types) if types else None), seed)

    def mixture(one: Utterance, condition: Condition) -> Waveform:
        clean = speech.waveform(one.id)
        if condition.noise_type is None or condition.snr_db is None:
            return clean
        return pool.at(one.id, condition.noise_type, condition.snr_db, clean)[0]

    return Trial(manifest, noise, speech, _conditions(pool, snrs_db), mixture, seed)


def hear_texts(
    trial: Trial,
    named: NamedRecogniser,
    kept: Partial[HeardCell],
    batch_seconds: float,
    progress: Callable[[Progress], None] | None,
) -> list[HeardCell]:
    """Put a trial before a recogniser; see `noisewise.evaluation.runner.hear_all`."""

    def ask(waveforms: list[Waveform]) -> list[Heard]:
        return attempt(named.recognise, waveforms)

    def cell(hearing: Hearing[str]) -> HeardCell:
        texts = ["" if isinstance(answer, Failure) else answer for answer in hearing.answers]
        return HeardCell(hearing.condition, texts, hearing.failures, hearing.scaled, hearing.mixture_sha256)

    return hear_all(trial, ask, cell, kept, batch_seconds=batch_seconds, progress=progress)


def named_recogniser(recogniser: NamedRecogniser | Recognise) -> NamedRecogniser:
    """A function as a recogniser with a name, its own; one that has a name stays as it is."""
    if isinstance(recogniser, NamedRecogniser):
        return recogniser
    name = getattr(recogniser, "__qualname__", type(recogniser).__qualname__)
    return NamedRecogniser(f"python:{recogniser.__module__}:{name}", recogniser)


def _conditions(pool: NoisePool, snrs_db: Sequence[float]) -> list[Condition]:
    if not snrs_db or not all(math.isfinite(snr) for snr in snrs_db):
        raise EvaluationError(f"`snrs_db` must be finite ratios, at least one, but is {list(snrs_db)} instead")
    snrs = sorted({float(snr) for snr in snrs_db})
    return [Condition(), *(Condition(kind, snr) for kind in in_order(pool.types) for snr in snrs)]
