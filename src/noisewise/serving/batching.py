"""Requests that come within milliseconds go through a model together, in one thread, for a model is not thread-safe.

What a recording gives does not depend on the others of its batch, so batching changes how long a request takes and
nothing else.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from noisewise.audio.files.protocol import Samples
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.serving.api_error import SERVER, ApiError, busy

R = TypeVar("R")


@dataclass(eq=False)
class Job(Generic[R]):
    """A recording that waits for a model."""

    samples: Samples
    """Samples at 16 kHz. (T,)"""
    options: Hashable = None
    """What it is asked for; only jobs of equal options go through the model together."""
    future: "Future[R]" = field(default_factory=Future)
    """Takes the result."""
    arrived: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return len(self.samples) / SAMPLE_RATE


class BatchObserver(Protocol):
    """Is told what the queue does."""

    def queued(self, jobs: int) -> None:
        """So many jobs wait."""

    def ran(self, jobs: int, audio_seconds: float, seconds: float) -> None:
        """A batch of so many jobs went through the model."""


Run = Callable[[Sequence[Job[Any]]], Sequence[Any]]
"""Maps jobs of equal options to their results; an exception in the place of a result fails its job alone."""


class BatchQueue(Generic[R]):
    """A bounded queue of jobs, and the thread that runs a model over them batch by batch."""

    def __init__(
        self,
        run: Callable[[Sequence[Job[R]]], Sequence[R | BaseException]],
        *,
        wait_seconds: float = 0.005,
        batch_seconds: float = 120.0,
        most_seconds: float = 7200.0,
        observer: BatchObserver | None = None,
        name: str = "model",
    ):
        """Start the thread.

        Args:
            run: maps jobs of equal options to their results; an exception in the place of a result fails its job alone.
            wait_seconds: a job waits so long for others, when the model is idle.
            batch_seconds: audio of a batch, padding included; a longer recording goes alone.
            most_seconds: audio that may wait.
            observer: is told of the queue and of each batch.
            name: of the thread.
        """
        self._run, self._wait, self._batch_seconds, self._most = run, wait_seconds, batch_seconds, most_seconds
        self._observer = observer
        self._jobs: deque[Job[R]] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name=f"noisewise-{name}", daemon=True)
        self._thread.start()

    def submit(self, job: Job[R]) -> "Future[R]":
        """Put a job into the queue.

        Raises:
            ApiError: 429 if too much audio waits, 503 if the queue is closed.
        """
        with self._changed:
            if self._is_closed:
                raise ApiError("the server is stopping; ask another one", "stopping", status=503, kind=SERVER)
            waiting = sum(each.seconds for each in self._jobs)
            if self._jobs and waiting + job.seconds > self._most:
                raise busy(
                    f"at most {self._most:g} s of audio may wait for the model (--queue-seconds), and {waiting:.0f} s "
                    "do; try again later",
                    retry_after=5,
                )
            self._jobs.append(job)
            self._tell()
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Take no more jobs, finish those that were taken, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            begun = time.monotonic()
            self._finish(batch)
            if self._observer is not None:
                self._observer.ran(len(batch), sum(job.seconds for job in batch), time.monotonic() - begun)

    def _next(self) -> list[Job[R]]:
        """The next batch; empty when the queue is closed and done."""
        with self._changed:
            while not self._jobs and not self._is_closed:
                self._changed.wait()
            while self._jobs and not self._is_closed:
                left = self._jobs[0].arrived + self._wait - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            batch = self._chosen()
            self._tell()
        kept = [job for job in batch if job.future.set_running_or_notify_cancel()]
        return kept or (self._next() if batch else [])

    def _chosen(self) -> list[Job[R]]:
        """The oldest job, and of the others with its options the shortest that fit; they leave the queue."""
        if not self._jobs:
            return []
        first = self._jobs.popleft()
        batch, longest = [first], first.seconds
        alike = [job for job in self._jobs if job.options == first.options]
        for job in sorted(alike, key=lambda job: job.seconds):
            longest = max(longest, job.seconds)
            if longest * (len(batch) + 1) > self._batch_seconds:
                break
            batch.append(job)
        taken = {id(job) for job in batch}
        self._jobs = deque(job for job in self._jobs if id(job) not in taken)
        return batch

    def _finish(self, batch: Sequence[Job[R]]) -> None:
        """Run the model; where it fails over several jobs, run it over each, so that one does not fail the others."""
        try:
            results = self._run(batch)
        except BaseException as error:
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for job in batch:
                self._finish([job])
            return
        for job, result in zip(batch, results, strict=True):
            if isinstance(result, BaseException):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)

    def _tell(self) -> None:
        if self._observer is not None:
            self._observer.queued(len(self._jobs))
