"""Recordings through any recogniser to transcripts, as `noisewise transcribe --model whisper:...` writes them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.config import above
from noisewise.decoding.hypothesis import Segment, Word
from noisewise.errors import NoisewiseError
from noisewise.evaluation.systems.cache import identity
from noisewise.evaluation.systems.protocol import Failure, NamedRecogniser, Timed, attempt_timed, in_parts
from noisewise.inference.sources import Input, Source, as_input
from noisewise.inference.transcriber import Times
from noisewise.inference.transcript import Transcript, moved, overall_confidence, without_doubtful
from noisewise.inference.windowing import BATCH_SECONDS, Recording, WindowedRunner

WHOLE_SECONDS = 86_400
"""Recordings up to this length go to the recogniser as a whole, unless windows are asked for."""


@dataclass
class _Pieces:
    """Collector of the hypotheses of one recording."""

    found: list[Timed | Failure] = field(default_factory=list)

    def add(self, start: int, output: Timed | Failure) -> None:
        """Take the hypothesis of what begins at a sample."""
        self.found.append(output if isinstance(output, Failure) else _later(output, start / SAMPLE_RATE))


class SystemTranscriber:
    """A recogniser of any kind that transcribes recordings.

    Example:
        >>> named = NamedRecogniser("python:mine:f", lambda waveforms: ["hello"] * len(waveforms))
        >>> ((_, found),) = SystemTranscriber(named).each([np.linspace(0, 1, 16_000)])
        >>> found.text, found.duration
        ('hello', 1.0)
    """

    def __init__(self, named: NamedRecogniser):
        self.named = named
        self.least_confidence = 0.0

    @property
    def times(self) -> Times:
        """What the recogniser can tell the times of."""
        return self.named.times

    @property
    def identity(self) -> str:
        """SHA-256 of what the recogniser is: its specification, options, versions and weights."""
        return identity(self.named)

    def each(
        self,
        sources: Sequence[Source | Input],
        *,
        strict: bool = False,
        hotwords: Mapping[str, float | None] | None = None,
        batch_seconds: float = BATCH_SECONDS,
        window_seconds: float | None = None,
    ) -> Iterator[tuple[int, Transcript]]:
        """Transcribe recordings, short ones first; one that cannot be used is a transcript with an `error`.

        Args:
            sources: as `Recogniser.transcribe` takes them.
            strict: whether a recording whose end is missing counts as one that cannot be used.
            hotwords: none; only noisewise models favour words.
            batch_seconds: audio that the recogniser is given at once.
            window_seconds: longer recordings are cut at pauses; left out, the recogniser is given them whole.

        Yields:
            Position among the sources, and transcript, each as soon as it is ready.

        Raises:
            NoisewiseError: hotwords are given, or the recogniser does not return one text per recording.
        """
        if hotwords:
            raise NoisewiseError(f"hotwords must be of a noisewise model, but the recogniser is '{self.named.name}'")
        inputs = [as_input(source, number) for number, source in enumerate(sources, start=1)]
        size = WHOLE_SECONDS * SAMPLE_RATE
        runner = WindowedRunner(
            lambda waveforms: self._recognised(waveforms, window_seconds),
            _Pieces,
            size=size,
            step=size,
            batch_seconds=batch_seconds,
            strict=strict,
        )
        for recording in runner.each(inputs):
            yield recording.position, moved(self._transcript(recording), inputs[recording.position].start)

    def _recognised(
        self, waveforms: list[NDArray[np.float32]], window_seconds: float | None
    ) -> Sequence[Timed | Failure]:
        if window_seconds is None:
            return attempt_timed(self.named, waveforms)
        above(0.5, window_seconds=window_seconds)
        return [
            in_parts(waveform, window_seconds, lambda part: attempt_timed(self.named, [part])[0])
            for waveform in waveforms
        ]

    def _transcript(self, recording: Recording[_Pieces]) -> Transcript:
        """What was recognised of a recording, or why nothing was."""
        name, channel, error = recording.name, recording.channel, recording.error
        failures = [each.reason for each in recording.outputs.found if isinstance(each, Failure)]
        if failures and error is None:
            error = f"`{name}` must be transcribed, but {self.named.name} failed on it: {failures[0]}"
        if error is not None and (failures or not recording.truncated):
            return Transcript(name, error=error, channel=channel)
        found = [each for each in recording.outputs.found if isinstance(each, Timed)]
        words, left_out = without_doubtful([word for each in found for word in each.words], self.least_confidence)
        return Transcript(
            name,
            " ".join(word.text for word in words) if left_out else " ".join(each.text for each in found if each.text),
            words,
            recording.seconds,
            overall_confidence(words),
            left_out=left_out,
            segments=[segment for each in found for segment in each.segments],
            error=error,
            channel=channel,
            truncated=recording.truncated,
        )


def _later(timed: Timed, seconds: float) -> Timed:
    """A hypothesis of a part that begins so late."""

    def later(each: Word) -> Word:
        return replace(each, start=each.start + seconds, end=each.end + seconds)

    segments = [Segment(each.text, each.start + seconds, each.end + seconds) for each in timed.segments]
    return timed if not seconds else Timed(timed.text, list(map(later, timed.words)), segments)
