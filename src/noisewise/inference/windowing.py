"""Windowed inference over recordings: read, checked, cut into windows, and batched by length."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.audio.waveform import SAMPLE_RATE, SILENCE
from noisewise.audio.windows import windows, windows_at_pauses
from noisewise.config import above
from noisewise.errors import AudioError, NoisewiseError, Reason
from noisewise.inference.sources import Input, Source, as_input

MIN_SECONDS = 0.1
"""Shortest recording in seconds; a shorter one holds no word."""
BATCH_SECONDS = 120.0
"""Seconds of audio that go through a model at once, padding included."""


class Collector(Protocol):
    """Takes the outputs of a model for the windows of one recording, in the order of time."""

    def add(self, start: int, output: Any, /) -> None:
        """Take one window: where it begins, in steps of the model, and its output."""


C = TypeVar("C", bound=Collector)


@dataclass
class Recording(Generic[C]):
    """A recording and the outputs of the model for it."""

    position: int
    """Position among the sources, from 0."""
    name: str
    """Path of the recording, or `waveform N` for the N-th source."""
    outputs: C
    """Collector of the outputs."""
    samples: int = 0
    """Samples that were read."""
    waiting: int = 0
    """Number of windows that were cut but have not been through the model."""
    whole: bool = False
    """Whether the last window was cut."""
    error: str | None = None
    """A sentence that says what is wrong with the recording; None if nothing is."""
    reason: Reason | None = None
    """The reason of that error in one word."""
    truncated: bool = False
    """Whether the end is missing, which `error` says, and the outputs are those of what is there."""
    channel: int | None = None
    """Number of its channel in the file, from 1; None for the mix of all."""

    @property
    def seconds(self) -> float:
        """Seconds of audio, as far as it was read."""
        return self.samples / SAMPLE_RATE


class WindowedRunner(Generic[C]):
    """Runs a model over recordings, window by window, in batches of similar length.

    At any time one batch of windows is in memory, and the outputs of the recordings that are not complete.
    """

    def __init__(
        self,
        model: Callable[[list[NDArray[np.float32]]], Sequence[Any]],
        collector: Callable[[], C],
        *,
        size: int,
        step: int,
        hop: int = 1,
        batch_seconds: float = BATCH_SECONDS,
        least: int = 0,
        at_pauses: bool = False,
        strict: bool = True,
    ):
        """Choose model, windows and batches.

        Args:
            model: maps a batch of windows, (T,) each, to one output each, such as a tensor on the CPU.
            collector: makes the collector of one recording.
            size: samples of a window.
            step: samples from one window to the next, a multiple of `hop`.
            hop: samples of a step of the model; windows begin on one.
            batch_seconds: audio that goes through the model at once, padding included.
            least: samples to which the model itself fills each window.
            at_pauses: whether windows end in pauses and do not overlap; `step` is then not needed.
            strict: whether a recording whose end is missing has failed; otherwise what is there goes through.

        Raises:
            ConfigError: `batch_seconds` is not positive.
        """
        above(0, batch_seconds=batch_seconds)
        self.model, self.collector = model, collector
        self.size, self.step, self.hop = size, step, hop
        self.batch_seconds, self.least, self.strict = batch_seconds, least, strict
        self.at_pauses = at_pauses
        self._batch: list[tuple[Recording[C], int, NDArray[np.float32]]] = []  # first sample, samples (T,)

    def each(self, sources: Sequence[Source | Input]) -> Iterator[Recording[C]]:
        """Run the model over recordings, short ones first.

        Yields:
            Each recording as soon as it is complete or has failed.
        """
        for recording, source in self._ordered(sources):
            try:
                for start, samples in self._windows(self._blocks(source, recording)):
                    if self._batch and self._seconds_with(len(samples)) > self.batch_seconds:
                        yield from self._run()
                    self._batch.append((recording, start, samples))
                    recording.waiting += 1
                recording.whole = True
            except AudioError as error:
                recording.error, recording.reason, recording.truncated = str(error), error.reason, False
                self._batch = [window for window in self._batch if window[0] is not recording]
                yield recording
        yield from self._run()

    def _windows(self, blocks: Iterator[NDArray[np.float32]]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        if self.at_pauses:
            return windows_at_pauses(blocks, self.size, self.hop)
        return windows(blocks, self.size, self.step, self.hop)

    def _ordered(self, sources: Sequence[Source | Input]) -> Iterator[tuple[Recording[C], Input]]:
        """Sources by length, so that a batch holds little padding; unknown lengths come last."""
        found = [as_input(source, number) for number, source in enumerate(sources, start=1)]
        seconds = [each.seconds for each in found]
        for position in sorted(range(len(found)), key=seconds.__getitem__):
            each = found[position]
            yield Recording(position, each.name, self.collector(), channel=each.channel), each

    def _blocks(self, source: Input, recording: Recording[C]) -> Iterator[NDArray[np.float32]]:
        """The samples of a source, counted and checked on their way."""
        low, high = np.inf, -np.inf
        try:
            for samples in source.blocks(self.step / SAMPLE_RATE):
                low, high = min(low, samples.min()), max(high, samples.max())
                recording.samples += len(samples)
                yield samples
        except AudioError as error:
            if self.strict or error.reason != "truncated" or not recording.samples:
                raise
            recording.truncated, recording.reason = True, error.reason
            recording.error = f"{error} (what is there was used)"
        _must_hold_sound(recording.name, recording.seconds, (high - low) / 2)

    def _seconds_with(self, samples: int) -> float:
        """Seconds of the batch, padding included, after one more window."""
        longest = max([samples, self.least, *(len(window) for _, _, window in self._batch)])
        return longest * (len(self._batch) + 1) / SAMPLE_RATE

    def _run(self) -> Iterator[Recording[C]]:
        """Run the model over the batch, empty it, and yield the recordings that are complete with it."""
        if not self._batch:
            return
        outputs = self.model([samples for _, _, samples in self._batch])
        for (recording, start, _), output in zip(self._batch, outputs, strict=True):
            recording.outputs.add(start // self.hop, output)
            recording.waiting -= 1
            if recording.whole and not recording.waiting:
                yield recording
        self._batch = []


def must_be_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        NoisewiseError: torch cannot use it.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise NoisewiseError(
            f"`device` must be one that torch can use, but is '{device}' instead; use 'cpu' ({reason})"
        ) from error


def padded(waveforms: Sequence[NDArray[Any]], device: str) -> tuple[Tensor, Tensor]:
    """Waveforms (T,) as one batch on a device. -> (B, T) float32, (B,)"""
    lengths = torch.tensor([len(each) for each in waveforms])
    batch = torch.zeros(len(waveforms), int(lengths.max()))  # (B, T)
    for row, each in zip(batch, waveforms, strict=True):
        row[: len(each)] = torch.from_numpy(np.asarray(each, dtype=np.float32))
    return batch.to(device), lengths.to(device)


def _must_hold_sound(name: str, seconds: float, level: float) -> None:
    """Refuse a recording that is shorter than any word, or silent from end to end."""
    if seconds < MIN_SECONDS:
        raise AudioError(
            f"`{name}` must last {MIN_SECONDS:g} s or more, but lasts {seconds:.3f} s instead",
            "too_short",
            name,
        )
    if level < SILENCE:
        raise AudioError(
            f"`{name}` must hold sound, but is silent (below -100 dBFS); check the microphone or the channel",
            "silent",
            name,
        )
