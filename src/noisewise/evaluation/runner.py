"""What everyone hears in a measurement: a test set, clean and under conditions; and how it is put before a listener.

Mixtures depend on the seed, the utterance id and the condition, and on nothing else: every listener hears the same
ones, as the hash in each cell shows.

Legend: T samples.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from noisewise.errors import EvaluationError
from noisewise.evaluation.provenance import portable
from noisewise.evaluation.resume import CellT, Condition, Partial
from noisewise.evaluation.systems.protocol import Failure, Waveform, pcm16
from noisewise.evaluation.test_set import Speech, Utterance

A = TypeVar("A")
BATCH_SECONDS = 120.0
"""Audio given to a listener at a time; it bounds the memory, and says how often progress is reported."""


@dataclass(frozen=True)
class Progress:
    """How far a measurement has come."""

    condition: str
    done: int
    """Utterances heard, over all cells, those of an earlier run included."""
    total: int
    failures: int
    """Utterances that the listener failed on in this run."""


@dataclass(frozen=True)
class Trial:
    """A test set and the conditions under which it is heard."""

    manifest: str
    noise: str | None
    """Manifest of the noise; none where none is added."""
    speech: Speech
    conditions: list[Condition]
    """Clean comes first."""
    mixture: Callable[[Utterance, Condition], Waveform]
    """What is heard of an utterance under a condition, (T,)."""
    seed: int
    """Of what is drawn."""
    axis: Literal["snr_db", "level"] = "snr_db"
    """As in `GridResult.axis`."""

    def about(self, name: str, details: dict[str, str]) -> dict[str, Any]:
        """What a result says of this trial and of the listener."""
        return {
            "manifest": portable(self.manifest),
            "noise": portable(self.noise) if self.noise else None,
            "recogniser": portable(name),
            "recogniser_details": details,
        }

    def identity(self, about: dict[str, Any]) -> dict[str, Any]:
        """What makes cells of two runs comparable."""
        ids = "\n".join(one.id for one in self.speech.utterances)
        axis = {} if self.axis == "snr_db" else {"axis": self.axis}
        return {**about, **axis, "seed": self.seed, "utterances": hashlib.sha256(ids.encode()).hexdigest()}


@dataclass(frozen=True)
class Hearing(Generic[A]):
    """What a listener made of every utterance under one condition."""

    condition: Condition
    answers: list[A | Failure]
    """One per utterance."""
    failures: dict[str, str]
    """Utterance id to the reason, where the listener failed."""
    scaled: int
    """As in `HeardCell`."""
    mixture_sha256: str


def hear_all(
    trial: Trial,
    ask: Callable[[list[Waveform]], list[A | Failure]],
    cell: Callable[[Hearing[A]], CellT],
    kept: Partial[CellT],
    *,
    batch_seconds: float = BATCH_SECONDS,
    progress: Callable[[Progress], None] | None = None,
) -> list[CellT]:
    """Put a trial before a listener, but for the cells that were kept.

    Args:
        trial: what is heard.
        ask: waveforms (T,) in, one answer each out.
        cell: what is kept of a hearing.
        kept: cells that were heard before; it keeps the new ones.
        batch_seconds: audio given to the listener at a time.
        progress: called after each batch.

    Returns:
        A cell for each condition.

    Raises:
        EvaluationError: the listener failed on every utterance of a cell.
    """
    listener = _Listener(trial, ask, batch_seconds, progress)
    for number, condition in enumerate(trial.conditions):
        if condition not in kept.cells:
            kept.add(cell(listener.hear(condition, number)))
    return [kept.cells[condition] for condition in trial.conditions]


@dataclass
class _Listener(Generic[A]):
    """Lets someone hear every utterance under a condition."""

    trial: Trial
    ask: Callable[[list[Waveform]], list[A | Failure]]
    batch_seconds: float
    progress: Callable[[Progress], None] | None
    failures: int = 0

    def hear(self, condition: Condition, number: int) -> Hearing[A]:
        """One cell, the `number`-th of all."""
        answers: list[A | Failure] = []
        digest, scaled = hashlib.sha256(), 0
        for batch in self._batches():
            mixtures = [self.trial.mixture(one, condition) for one in batch]
            for one, mixture in zip(batch, mixtures, strict=True):
                samples, scale = pcm16(mixture)
                digest.update(one.id.encode() + b"\0" + samples.astype("<i2").tobytes())
                scaled += scale != 1.0
            heard = self.ask(mixtures)
            self.failures += sum(isinstance(answer, Failure) for answer in heard)
            answers += heard
            self._report(condition, number, len(answers))
        failures = {
            one.id: answer.reason
            for one, answer in zip(self.trial.speech.utterances, answers, strict=True)
            if isinstance(answer, Failure)
        }
        if len(failures) == len(answers):
            raise EvaluationError(
                f"the model must hear something, but failed on all of {condition.name}: {next(iter(failures.values()))}"
            )
        return Hearing(condition, answers, failures, scaled, digest.hexdigest())

    def _batches(self) -> Iterator[list[Utterance]]:
        batch: list[Utterance] = []
        for one in self.trial.speech.utterances:
            if batch and sum(member.seconds for member in batch) + one.seconds > self.batch_seconds:
                yield batch
                batch = []
            batch.append(one)
        yield batch

    def _report(self, condition: Condition, number: int, heard: int) -> None:
        if self.progress is not None:
            size = len(self.trial.speech.utterances)
            done, total = number * size + heard, len(self.trial.conditions) * size
            self.progress(Progress(condition.name, done, total, self.failures))
