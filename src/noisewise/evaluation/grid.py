"""The noise grid: one recogniser, every noise type at every signal-to-noise ratio, and clean speech.

The mixtures come from `NoisePool.at`, which depends on the noise manifest, the seed, the utterance id, the
type and the SNR, and on nothing else: every recogniser hears the same ones, as the hash in each cell shows.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from noisewise.data.noise import NoiseConfig, NoisePool
from noisewise.evaluation.provenance import portable
from noisewise.evaluation.recognisers import (
    Failure,
    Heard,
    NamedRecogniser,
    Recognise,
    Waveform,
    attempt,
    pcm16,
)
from noisewise.evaluation.result import GridResult
from noisewise.evaluation.resume import Condition, HeardCell, Partial
from noisewise.evaluation.speech import EvaluationError, Speech, Utterance
from noisewise.evaluation.summary import check, in_order, summarise

__all__ = ["EvaluationError", "Listener", "Progress", "evaluate", "named_recogniser"]

BATCH_SECONDS = 120.0
"""Audio given to the recogniser at a time; it bounds the memory, and says how often progress is reported."""


@dataclass(frozen=True)
class Progress:
    """How far a grid has come."""

    condition: str
    done: int
    """Utterances heard, over all cells, those of an earlier run included."""
    total: int
    failures: int
    """Utterances that the recogniser failed on in this run."""


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
        manifest: speech with texts, as `noisewise.data.manifest.read` takes it: `corpora/an4#split=test`.
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
        ManifestError: a manifest cannot be used, or lacks a type.
        ResumeError: the partial results belong to another run.
        ScoreError: the bootstrap unit is unknown, or no reference has a word.
    """
    named = named_recogniser(recogniser)
    speech = Speech.read(manifest, limit)
    check(speech.utterances, bootstrap_unit)
    pool = _pool(noise, types, seed)
    conditions = _conditions(pool, snrs_db)
    about = {
        "manifest": portable(manifest),
        "noise": portable(noise) if noise else None,
        "recogniser": portable(named.name),
        "recogniser_details": named.details,
    }
    ids = "\n".join(one.id for one in speech.utterances)
    kept = Partial(partial, {**about, "seed": seed, "utterances": hashlib.sha256(ids.encode()).hexdigest()})
    listener = Listener(named.recognise, pool, speech, batch_seconds, len(conditions), progress)
    for number, condition in enumerate(conditions):
        if condition not in kept.cells:
            kept.add(listener.hear(condition, number))
    result = summarise(
        speech.utterances,
        [kept.cells[condition] for condition in conditions],
        bootstrap_unit=bootstrap_unit,
        bootstrap_samples=bootstrap_samples,
        seed=seed,
    )
    return result.described(**about, skipped=speech.skipped)


@dataclass
class Listener:
    """Lets a recogniser hear every utterance under a condition."""

    recognise: Recognise
    pool: NoisePool | None
    speech: Speech
    batch_seconds: float
    conditions: int
    progress: Callable[[Progress], None] | None
    failures: int = 0

    def hear(self, condition: Condition, number: int) -> HeardCell:
        """One cell, the `number`-th of all.

        Raises:
            EvaluationError: the recogniser failed on all utterances.
        """
        heard: list[Heard] = []
        digest, scaled = hashlib.sha256(), 0
        for batch in self._batches():
            mixtures = [self.mixture(one, condition) for one in batch]
            for one, mixture in zip(batch, mixtures, strict=True):
                samples, scale = pcm16(mixture)
                digest.update(one.id.encode() + b"\0" + samples.astype("<i2").tobytes())
                scaled += scale != 1.0
            answers = attempt(self.recognise, mixtures)
            self.failures += sum(isinstance(answer, Failure) for answer in answers)
            heard += answers
            self._report(condition, number, len(heard))
        failures = {
            one.id: answer.reason
            for one, answer in zip(self.speech.utterances, heard, strict=True)
            if isinstance(answer, Failure)
        }
        if len(failures) == len(heard):
            raise EvaluationError(
                f"the recogniser must hear something, but failed on all of {condition.name}: "
                f"{next(iter(failures.values()))}"
            )
        texts = ["" if isinstance(answer, Failure) else answer for answer in heard]
        return HeardCell(condition, texts, failures, scaled, digest.hexdigest())

    def mixture(self, utterance: Utterance, condition: Condition) -> Waveform:
        """What is heard of an utterance under a condition, (T,)."""
        clean = self.speech.waveform(utterance.id)
        if self.pool is None or condition.noise_type is None or condition.snr_db is None:
            return clean
        return self.pool.at(utterance.id, condition.noise_type, condition.snr_db, clean)[0]

    def _batches(self) -> Iterator[list[Utterance]]:
        batch: list[Utterance] = []
        for one in self.speech.utterances:
            if batch and sum(member.seconds for member in batch) + one.seconds > self.batch_seconds:
                yield batch
                batch = []
            batch.append(one)
        yield batch

    def _report(self, condition: Condition, number: int, heard: int) -> None:
        if self.progress is not None:
            size = len(self.speech.utterances)
            done, total = number * size + heard, self.conditions * size
            self.progress(Progress(condition.name, done, total, self.failures))


def named_recogniser(recogniser: NamedRecogniser | Recognise) -> NamedRecogniser:
    """A function as a recogniser with a name, its own; one that has a name stays as it is."""
    if isinstance(recogniser, NamedRecogniser):
        return recogniser
    name = getattr(recogniser, "__qualname__", type(recogniser).__qualname__)
    return NamedRecogniser(f"python:{recogniser.__module__}:{name}", recogniser)


def _pool(noise: str | None, types: Sequence[str] | None, seed: int) -> NoisePool | None:
    if noise is None:
        return None
    return NoisePool.load(NoiseConfig(manifest=noise, types=list(types) if types else None), seed)


def _conditions(pool: NoisePool | None, snrs_db: Sequence[float]) -> list[Condition]:
    if pool is None:
        return [Condition()]
    if not snrs_db or not all(math.isfinite(snr) for snr in snrs_db):
        raise EvaluationError(f"`snrs_db` must be finite ratios, at least one, but is {list(snrs_db)} instead")
    snrs = sorted({float(snr) for snr in snrs_db})
    return [Condition(), *(Condition(kind, snr) for kind in in_order(pool.types) for snr in snrs)]
