"""Recordings through a model that says where its windows begin: each window once, in order, whatever the batch."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.errors import NoisewiseError
from noisewise.inference.windowing import Recording, WindowedRunner, must_be_device, padded


class Collected:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.windows: list[tuple[int, float]] = []

    def add(self, start: int, output: Tensor) -> None:
        self.windows.append((start, float(output)))


def run(sources: list[NDArray[np.float32]], batch_seconds: float, sizes: list[int]) -> list[Recording[Collected]]:
    def model(windows: list[NDArray[np.float32]]) -> list[Tensor]:
        sizes.append(max(map(len, windows)) * len(windows))
        return [torch.tensor(float(window[0])) for window in windows]

    runner = WindowedRunner(model, Collected, size=16_000, step=8_000, hop=4_000, batch_seconds=batch_seconds)
    return list(runner.each(sources))


def ramp(samples: int) -> NDArray[np.float32]:
    """Each sample says where it is, in seconds over 16. (T,)"""
    return np.arange(samples, dtype=np.float32) / np.float32(256_000)


@pytest.mark.parametrize("batch_seconds", [1.0, 2.5, 100.0])
def test_every_window_comes_out_once_and_in_order(batch_seconds: float) -> None:
    sizes: list[int] = []
    found = run([ramp(36_000), ramp(10_000), ramp(16_000)], batch_seconds, sizes)
    windows = {each.position: each.outputs.windows for each in found}
    assert {position: [start for start, _ in rows] for position, rows in windows.items()} == {
        0: [0, 2, 4, 5],
        1: [0],
        2: [0],
    }
    assert all(first == pytest.approx(start / 64) for rows in windows.values() for start, first in rows)
    assert max(sizes) <= batch_seconds * 16_000
    assert [each.seconds for each in sorted(found, key=lambda each: each.position)] == [2.25, 0.625, 1.0]


def test_a_fault_takes_its_windows_out_of_the_batch() -> None:
    sizes: list[int] = []
    found = run([ramp(20_000), np.zeros(20_000, np.float32), np.zeros(10, np.float32)], 100.0, sizes)
    errors = {each.position: each.error for each in found}
    assert errors[0] is None and "silent" in str(errors[1]) and "0.1 s or more" in str(errors[2])
    assert sizes == [2 * 16_000]


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(NoisewiseError, match="`batch_seconds` must be more than 0"):
        run([ramp(20_000)], float("nan"), [])
    with pytest.raises(NoisewiseError, match="`device` must be one that torch can use"):
        must_be_device("gpuu")


def test_a_batch_is_padded_with_silence() -> None:
    batch, lengths = padded([np.ones(2), np.ones(3, np.float32)], "cpu")
    assert batch.tolist() == [[1, 1, 0], [1, 1, 1]] and lengths.tolist() == [2, 3]
    assert batch.dtype == torch.float32
