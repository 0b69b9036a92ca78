"""Waveform in, labels of sounds out: inference with a trained tagger over files, arrays and hours of audio.

Legend: K classes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.checkpoints import model_folder
from noisewise.checkpoints.model_folder import LoadedTagger
from noisewise.config import above
from noisewise.errors import AudioError, NoisewiseError
from noisewise.inference.sources import Input, Source, as_input, is_one
from noisewise.inference.tags import Probabilities, Tags, Window
from noisewise.inference.windowing import (
    BATCH_SECONDS,
    MIN_SECONDS,
    Recording,
    WindowedRunner,
    must_be_device,
    padded,
)

WINDOW_SECONDS = 10.0
"""Window of models that do not state the length of their training clips: that of AudioSet."""
FRAME_SECONDS = 0.01
"""Seconds from frame to frame of the log-mel input."""


class Tagger:
    """A loaded model with the names of its classes, ready to tag recordings.

    Example:
        >>> tagger = Tagger.load("tagger")  # a folder that `noisewise train` wrote
        >>> tags = tagger.tag("enter_six_two_four.flac")
        >>> len(tags.probabilities) == len(tagger.labels)
        True
        >>> tags.sounds(top=1).tags[0].label in tagger.labels
        True
    """

    def __init__(self, loaded: LoadedTagger, device: str = "cpu"):
        self.model = loaded.model
        self.labels = loaded.labels
        self.folder = loaded.folder
        self.device = device
        self.single = loaded.config.labels == "one"
        """Whether each sound has exactly one label: probabilities sum to 1."""
        frames = loaded.config.encoder.frames
        self.longest = frames * FRAME_SECONDS if frames else float("inf")
        """Longest input of the model in seconds; it would cut longer windows."""
        given = max(MIN_SECONDS, float(loaded.about.get("window_seconds", WINDOW_SECONDS)))
        self.window_seconds = self.longest if frames else given

    @classmethod
    def load(cls, model: str | Path, device: str = "cpu") -> "Tagger":
        """Read a model folder.

        Args:
            model: the folder.
            device: where it runs, for instance `cpu`, `cuda`, `mps`.

        Raises:
            ModelError: the folder cannot be used, or holds no tagger.
            NoisewiseError: there is no such device.
        """
        must_be_device(device)
        return cls(model_folder.load_tagger(model, device), device)

    @overload
    def tag(
        self, sources: str | Path | bytes | BinaryIO | NDArray[Any] | Tensor | tuple[Any, int], **options: Any
    ) -> Tags: ...
    @overload
    def tag(self, sources: Sequence[Source], **options: Any) -> list[Tags]: ...
    def tag(  # type: ignore[misc]  # the options of the overloads are those below
        self,
        sources: Source | Sequence[Source],
        *,
        errors: Literal["raise", "keep"] | None = None,
        window_seconds: float | None = None,
        hop_seconds: float | None = None,
        batch_seconds: float = BATCH_SECONDS,
    ) -> Tags | list[Tags]:
        """Tag recordings: one gives `Tags`, several give a list in the order of the sources.

        Args:
            sources: as `Recogniser.transcribe` takes them; one or several.
            errors: what becomes of a recording that cannot be used: `raise`, or `keep` tags whose `error` says what is
                wrong. Left out: `raise` for one source, and `keep` for several, so that one does not stop the others.
            window_seconds: longer recordings are cut into windows of this length; what the model was trained on if left
                out.
            hop_seconds: from the beginning of one window to that of the next; half a window if left out. The last
                window ends with the recording, and so may begin sooner.
            batch_seconds: audio that goes through the model at once, padding included.

        Raises:
            AudioError: a recording cannot be used, and `errors` is `raise`.
            NoisewiseError: an option that cannot be met.
        """
        single = is_one(sources)
        many: list[Any] = [sources] if single else list(sources)  # type: ignore[arg-type]
        if errors not in (None, "raise", "keep"):
            raise NoisewiseError(f"`errors` must be raise or keep, but is '{errors}' instead; leave it out")
        raises, done = errors == "raise" or (errors is None and single), dict[int, Tags]()
        for position, tags in self.each(
            many, window_seconds=window_seconds, hop_seconds=hop_seconds, batch_seconds=batch_seconds
        ):
            if raises and tags.error is not None:
                raise AudioError(tags.error, tags.reason or "not_audio", tags.source)
            done[position] = tags
        return done[0] if single else [done[position] for position in range(len(many))]

    def each(
        self,
        sources: Sequence[Source | Input],
        *,
        window_seconds: float | None = None,
        hop_seconds: float | None = None,
        batch_seconds: float = BATCH_SECONDS,
    ) -> Iterator[tuple[int, Tags]]:
        """Tag recordings, short ones first; see `tag`. Windows of a part of a recording have the recording's times.

        Yields:
            Position among the sources, and tags, each as soon as they are ready.
        """
        size, step = self._window(window_seconds, hop_seconds)
        runner = WindowedRunner(self.probabilities, _Windows, size=size, step=step, batch_seconds=batch_seconds)
        inputs = [as_input(source, number) for number, source in enumerate(sources, start=1)]
        for recording in runner.each(inputs):
            yield recording.position, self._tags(recording, size / SAMPLE_RATE, inputs[recording.position].start)

    def scores(self, waveforms: Sequence[NDArray[Any]]) -> list[Probabilities]:
        """Probabilities over whole waveforms (T,) at 16 kHz. -> (K,) each

        Raises:
            AudioError: a waveform is empty, too short, silent or not finite.
        """
        return [each.probabilities for each in self.tag(list(waveforms), errors="raise")]

    @torch.inference_mode()
    def probabilities(self, waveforms: Sequence[NDArray[Any]]) -> list[Tensor]:
        """Probabilities of the labels of single windows, one batch. (T,) each -> (K,) each, on the CPU"""
        return list(self.model.probabilities(*padded(waveforms, self.device)).cpu())

    def _window(self, window_seconds: float | None, hop_seconds: float | None) -> tuple[int, int]:
        """Samples of a window, and from one window to the next."""
        seconds = self.window_seconds if window_seconds is None else window_seconds
        hop = seconds / 2 if hop_seconds is None else hop_seconds
        above(0, window_seconds=seconds, hop_seconds=hop)
        size, step = round(seconds * SAMPLE_RATE), round(hop * SAMPLE_RATE)
        if seconds < MIN_SECONDS:
            raise NoisewiseError(
                f"`window_seconds` must be at least {MIN_SECONDS:g}, for shorter sounds are not told apart, but is "
                f"{seconds:g} instead"
            )
        if seconds > self.longest:
            raise NoisewiseError(
                f"`window_seconds` must be at most {self.longest:g}, the model's longest input, but is "
                f"{seconds:g} instead"
            )
        if not 0 < step <= size:
            raise NoisewiseError(
                f"`hop_seconds` must be at most `window_seconds`, {seconds:g}, or there would be gaps, and at least a "
                f"sample, but is {hop:g} instead"
            )
        return size, step

    def _tags(self, recording: "Recording[_Windows]", window_seconds: float, begin: float) -> Tags:
        """Tags of a recording: over all of it the mean of its windows where each sound has one label, or the
        greatest where it may have several, for a sound that is in one window is in the recording."""
        if recording.error is not None:
            nothing = np.zeros(0, np.float32)
            return Tags(recording.name, self.labels, nothing, error=recording.error, reason=recording.reason)
        parts = recording.outputs.parts
        every = np.stack([probabilities for _, probabilities in parts])  # (windows, K)
        whole = every.mean(axis=0) if self.single else every.max(axis=0)
        windows = [
            Window(begin + start, begin + min(start + window_seconds, recording.seconds), probabilities)
            for start, probabilities in parts
        ]
        return Tags(recording.name, self.labels, whole, windows, recording.seconds)


class _Windows:
    """Collector of the probabilities of the windows of one recording."""

    def __init__(self) -> None:
        self.parts: list[tuple[float, Probabilities]] = []
        """Start of each window in seconds, and its probabilities (K,)."""

    def add(self, start: int, output: Tensor) -> None:
        """Take a window that begins at a sample."""
        self.parts.append((start / SAMPLE_RATE, output.numpy()))
