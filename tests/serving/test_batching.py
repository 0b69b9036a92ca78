"""The queue of a model: what goes through it together, in which order, and what is refused."""

import threading
from collections.abc import Sequence
from concurrent.futures import wait
from typing import Any

import numpy as np
import pytest

from noisewise.serving.api_error import ApiError
from noisewise.serving.batching import BatchQueue, Job

SECOND = 16_000


class Held:
    """A model that notes its batches, and waits before each until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.options: list[Any] = []
        self.threads: set[str] = set()
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, jobs: Sequence[Job[float]]) -> list[float | BaseException]:
        self.begun.set()
        assert self.go.wait(10)
        self.batches.append([job.seconds for job in jobs])
        self.options.append(jobs[0].options)
        self.threads.add(threading.current_thread().name)
        return [job.seconds for job in jobs]


def job(seconds: float, options: Any = None) -> Job[float]:
    return Job(np.zeros(round(seconds * SECOND), np.float32), options)


def submitted(queue: BatchQueue[float], held: Held, jobs: list[Job[float]]) -> list[float]:
    """Submit while the model is at work on the first, then let it go; the results."""
    futures = [queue.submit(jobs[0])]
    assert held.begun.wait(10)
    futures += [queue.submit(each) for each in jobs[1:]]
    held.go.set()
    wait(futures, 10)
    return [future.result() for future in futures]


def test_those_that_wait_go_together_the_shortest_first_that_fit_beside_the_oldest() -> None:
    held = Held()
    queue = BatchQueue(held, wait_seconds=0.0, batch_seconds=10.0)
    results = submitted(queue, held, [job(each) for each in (1, 3, 7, 2, 3)])
    queue.close()
    assert results == [1, 3, 7, 2, 3]
    assert held.batches == [[1], [3, 2, 3], [7]]
    assert len(held.threads) == 1


def test_a_long_recording_goes_alone_and_others_do_not_keep_it_waiting() -> None:
    held = Held()
    queue = BatchQueue(held, wait_seconds=0.0, batch_seconds=10.0)
    submitted(queue, held, [job(1), job(50), job(1), job(1)])
    queue.close()
    assert held.batches == [[1], [50], [1, 1]]


def test_only_equal_options_go_together() -> None:
    held = Held()
    queue = BatchQueue(held, wait_seconds=0.0)
    submitted(queue, held, [job(1), job(1, "a"), job(2, "b"), job(3, "a")])
    queue.close()
    assert list(zip(held.options, held.batches, strict=True)) == [(None, [1]), ("a", [1, 3]), ("b", [2])]


def test_it_waits_for_company() -> None:
    held = Held()
    held.go.set()
    queue = BatchQueue(held, wait_seconds=0.5)
    wait([queue.submit(job(1)) for _ in range(5)], 10)
    queue.close()
    assert held.batches == [[1] * 5]


def test_one_that_fails_does_not_fail_the_others() -> None:
    def run(jobs: Sequence[Job[float]]) -> list[float | BaseException]:
        if any(each.seconds == 2 for each in jobs):
            raise ZeroDivisionError
        return [OverflowError() if each.seconds == 3 else each.seconds for each in jobs]

    queue = BatchQueue(run, wait_seconds=0.2)
    futures = [queue.submit(job(each)) for each in (1, 2, 3, 4)]
    wait(futures, 10)
    queue.close()
    assert [type(future.exception()) for future in futures] == [
        type(None),
        ZeroDivisionError,
        OverflowError,
        type(None),
    ]
    assert [futures[0].result(), futures[3].result()] == [1, 4]


def test_too_much_audio_is_refused() -> None:
    held = Held()
    queue = BatchQueue(held, wait_seconds=0.0, most_seconds=5.0)
    first = queue.submit(job(20))  # alone it may be as long as it likes
    assert held.begun.wait(10)
    queue.submit(job(4))
    with pytest.raises(ApiError, match="--queue-seconds") as found:
        queue.submit(job(2))
    assert (found.value.status, found.value.headers) == (429, {"Retry-After": "5"})
    queue.submit(job(1))
    held.go.set()
    queue.close()
    assert first.result() == 20
    assert held.batches == [[20], [4, 1]]


def test_what_nobody_waits_for_is_left_out() -> None:
    held = Held()
    queue = BatchQueue(held, wait_seconds=0.0)
    queue.submit(job(1))
    assert held.begun.wait(10)
    gone, kept = queue.submit(job(2)), queue.submit(job(3))
    assert gone.cancel()
    held.go.set()
    queue.close()
    assert kept.result() == 3
    assert held.batches == [[1], [3]]


def test_a_closed_queue_has_finished_what_it_took_and_takes_no_more() -> None:
    held = Held()
    held.go.set()
    queue = BatchQueue(held, wait_seconds=5.0)
    future = queue.submit(job(1))
    queue.close()
    assert future.result(0) == 1
    with pytest.raises(ApiError, match="stopping") as found:
        queue.submit(job(1))
    assert found.value.status == 503


def test_the_observer_sees_depth_and_batches() -> None:
    seen: list[Any] = []

    class Observer:
        def queued(self, jobs: int) -> None:
            seen.append(jobs)

        def ran(self, jobs: int, audio_seconds: float, seconds: float) -> None:
            seen.append((jobs, audio_seconds))

    held = Held()
    queue = BatchQueue(held, wait_seconds=0.0, observer=Observer())
    submitted(queue, held, [job(1), job(2), job(3)])
    queue.close()
    assert seen == [1, 0, 1, 2, (1, 1.0), 0, (2, 5.0), 0]
