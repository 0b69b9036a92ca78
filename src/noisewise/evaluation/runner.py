"""Give a system every utterance of a grid under every condition, and keep its outputs.

Legend: T samples.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from noisewise.audio.pcm import pcm16
from noisewise.errors import EvaluationError
from noisewise.evaluation.conditions import Condition
from noisewise.evaluation.grid import Grid
from noisewise.evaluation.resume import CellT, Partial
from noisewise.evaluation.systems.protocol import Failure, Likelihood, Likelihoods, Waveform
from noisewise.evaluation.test_set import Utterance

OutputT = TypeVar("OutputT")
BATCH_SECONDS = 120.0
"""Audio given to a system at a time in seconds; it bounds the memory and sets how often progress is reported."""


@dataclass(frozen=True)
class Progress:
    """How far an evaluation has come."""

    condition: str
    """Key of the condition."""
    done: int
    """Utterances decoded, over all conditions, those of an earlier run included."""
    total: int
    """Utterances over all conditions."""
    failures: int
    """Utterances that the system failed on in this run."""


@dataclass(frozen=True)
class Outputs(Generic[OutputT]):
    """The outputs of a system for every utterance under one condition."""

    condition: Condition
    each: list[OutputT | Failure]
    """One output per utterance."""
    failures: dict[str, str]
    """Utterance id to the reason, where the system failed."""
    scaled: int
    """Number of mixtures that were scaled down to 16 bits, as in `Cell`."""
    mixture_sha256: str
    """Hash of all mixtures, as in `Cell`."""
    likelihoods: list[Likelihood] = field(default_factory=list)
    """Negative log-likelihood of each reference; empty where it was not asked for."""


def run_conditions(
    grid: Grid,
    run: Callable[[list[Waveform]], list[OutputT | Failure]],
    cell: Callable[[Outputs[OutputT]], CellT],
    kept: Partial[CellT],
    *,
    likelihoods: Likelihoods | None = None,
    batch_seconds: float = BATCH_SECONDS,
    progress: Callable[[Progress], None] | None = None,
) -> list[CellT]:
    """Run a system on all conditions of a grid, but for those that were kept.

    Args:
        grid: test set and conditions.
        run: waveforms (T,) in, one output each out.
        cell: what is kept of the outputs under a condition.
        kept: conditions that were finished before; it keeps the new ones.
        likelihoods: negative log-likelihoods of references, where they are kept.
        batch_seconds: audio given to the system at a time.
        progress: called after each batch.

    Returns:
        A cell for each condition.

    Raises:
        EvaluationError: the system failed on every utterance of a condition.
    """
    runner = _Runner(grid, run, batch_seconds, progress, likelihoods)
    for number, condition in enumerate(grid.conditions):
        if condition not in kept.cells:
            kept.add(cell(runner.outputs(condition, number)))
    return [kept.cells[condition] for condition in grid.conditions]


@dataclass
class _Runner(Generic[OutputT]):
    """Runs a system on one condition after another, and counts its failures."""

    grid: Grid
    run: Callable[[list[Waveform]], list[OutputT | Failure]]
    batch_seconds: float
    progress: Callable[[Progress], None] | None
    likelihoods: Likelihoods | None = None
    failures: int = 0

    def outputs(self, condition: Condition, number: int) -> Outputs[OutputT]:
        """All utterances under the `number`-th condition."""
        each: list[OutputT | Failure] = []
        likelihoods: list[Likelihood] = []
        digest, scaled = hashlib.sha256(), 0
        for batch in self._batches():
            mixtures = [self.grid.mixture(one, condition) for one in batch]
            for one, mixture in zip(batch, mixtures, strict=True):
                samples, scale = pcm16(mixture)
                digest.update(one.id.encode(errors="surrogatepass") + b"\0" + samples.astype("<i2").tobytes())
                scaled += scale != 1.0
            found = self.run(mixtures)
            self.failures += sum(isinstance(output, Failure) for output in found)
            each += found
            if self.likelihoods is not None:
                likelihoods += self.likelihoods(mixtures, [one.text for one in batch])
            self._report(condition, number, len(each))
        failures = {
            one.id: output.reason
            for one, output in zip(self.grid.speech.utterances, each, strict=True)
            if isinstance(output, Failure)
        }
        if len(failures) == len(each):
            name, reason = next(iter(failures.items()))
            raise EvaluationError(
                f"the system must process some input, but failed on all of {condition.key}: {reason} (first of "
                f"{len(each)}: {name})"
            )
        return Outputs(condition, each, failures, scaled, digest.hexdigest(), likelihoods)

    def _batches(self) -> Iterator[list[Utterance]]:
        batch: list[Utterance] = []
        for one in self.grid.speech.utterances:
            if batch and sum(member.seconds for member in batch) + one.seconds > self.batch_seconds:
                yield batch
                batch = []
            batch.append(one)
        yield batch

    def _report(self, condition: Condition, number: int, processed: int) -> None:
        if self.progress is not None:
            size = len(self.grid.speech.utterances)
            done, total = number * size + processed, len(self.grid.conditions) * size
            self.progress(Progress(condition.key, done, total, self.failures))
