"""Recordings in and out: any readable file becomes mono float32 samples at 16 kHz, or a clear `AudioError`.

Files are decoded in blocks, so that neither a lying header nor a compressed day of silence can take more memory
than the limits allow. Legend: T samples, C channels.
"""

from collections.abc import Iterator
from contextlib import closing
from math import gcd, isfinite
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soxr
from numpy.typing import NDArray

from noisewise.audio.files.libsndfile import AudioInfo, OpenAudio, Samples
from noisewise.audio.files.open import name_of, open_audio, readable_formats
from noisewise.audio.files.save import save
from noisewise.errors import AudioError

__all__ = [
    "MAX_SECONDS",
    "SAMPLE_RATE",
    "SILENCE",
    "AudioError",
    "AudioInfo",
    "info",
    "load",
    "readable_formats",
    "resample",
    "save",
    "stream",
]

SAMPLE_RATE = 16_000
"""Samples per second of every waveform in the package."""
MAX_SECONDS = 4 * 3600.0
"""The most that `load` keeps in memory (0.9 GB) unless the caller asks for more."""
MAX_STREAM_SECONDS = 48 * 3600.0
"""The most that `stream` goes through unless the caller asks for more."""
SILENCE = 1e-5
"""Half the peak-to-peak range below which a recording is silent: -100 dBFS."""
DURATION_SLACK_SECONDS = 0.025
"""How far a part may reach past the end of the file, for durations that were rounded."""
CONTEXT_SECONDS = 0.1
"""Samples around a part that the resampler sees, so that a part equals the same part of the whole."""


def load(
    source: str | Path | BinaryIO,
    *,
    sample_rate: int = SAMPLE_RATE,
    offset: float = 0.0,
    duration: float | None = None,
    max_seconds: float | None = None,
    allow_silent: bool = False,
) -> Samples:
    """Read a recording, or a part of it, as mono samples.

    Args:
        source: a path, or an open binary file, which is read from its start.
        sample_rate: samples per second of the result.
        offset: where to start, in seconds; the file is searched, not decoded up to there.
        duration: how much to read, in seconds; None reads to the end.
        max_seconds: refuse to decode more than this; None means `MAX_SECONDS`.
        allow_silent: accept a recording (or part) without any sound.

    Returns:
        samples, in -1..1 for integer formats; channels are averaged. (T,)

    Raises:
        AudioError: the recording is missing, not audio, empty, truncated, silent, too long or too short, or
            holds NaN or infinite samples; `reason` says which.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "ramp.wav")
        >>> save(path, np.linspace(-0.5, 0.5, 8000), 8000)
        >>> load(path).shape, load(path, offset=0.25, duration=0.5).shape
        ((16000,), (8000,))
    """
    _check_part(offset, duration)
    limit = MAX_SECONDS if max_seconds is None else max_seconds
    with closing(open_audio(source)) as recording:
        start, stop = _part(recording, offset, duration)
        _check_length(recording, start, stop, limit)
        first, last = _with_context(recording, start, stop, sample_rate)
        blocks = _mono(recording, recording.blocks(first, last), limit)
        parts = list(_resampled(blocks, recording.sample_rate, sample_rate))
        lead = round(offset * sample_rate) - first * sample_rate // recording.sample_rate
    waveform = parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, np.float32), *parts])
    waveform = waveform[lead : None if duration is None else lead + max(1, round(duration * sample_rate))]
    _check_sound(waveform, name_of(source), allow_silent)
    return np.ascontiguousarray(waveform)


def info(source: str | Path | BinaryIO) -> AudioInfo:
    """Read the header of a recording, without decoding it.

    Raises:
        AudioError: the recording is missing, not audio, empty, or seen to be cut off.
    """
    with closing(open_audio(source)) as recording:
        samples, rate = recording.samples, recording.sample_rate
        return AudioInfo(
            seconds=float("nan") if samples is None else samples / rate,
            sample_rate=rate,
            channels=recording.channels,
            samples=-1 if samples is None else samples,
            format=recording.format,
        )


def stream(
    source: str | Path | BinaryIO,
    *,
    block_seconds: float,
    sample_rate: int = SAMPLE_RATE,
    max_seconds: float | None = None,
) -> Iterator[Samples]:
    """Read a recording in blocks of equal length (the last is shorter), in memory that does not grow.

    The blocks together equal what `load` gives. A silent recording is accepted.

    Args:
        source: a path, or an open binary file, which is read from its start.
        block_seconds: length of a block.
        sample_rate: samples per second of the result.
        max_seconds: refuse to decode more than this; None means `MAX_STREAM_SECONDS`.

    Yields:
        mono samples. (T,)

    Raises:
        AudioError: as `load`, when the first block is asked for or when the fault is reached.
    """
    if not (isfinite(block_seconds) and block_seconds * sample_rate >= 1):
        raise ValueError(f"`block_seconds` must be at least one sample, but is {block_seconds} instead")
    limit = MAX_STREAM_SECONDS if max_seconds is None else max_seconds
    with closing(open_audio(source)) as recording:
        _check_length(recording, 0, None, limit)
        blocks = _mono(recording, recording.blocks(0, None), limit)
        resampled = _resampled(blocks, recording.sample_rate, sample_rate)
        yield from _cut(resampled, round(block_seconds * sample_rate), recording.name)


def resample(waveform: NDArray[Any], from_rate: int, to_rate: int) -> Samples:
    """Change the sample rate (soxr, high quality). (T,) -> (about T * to_rate / from_rate,)"""
    samples = np.asarray(waveform, dtype=np.float32)
    if from_rate == to_rate or samples.size == 0:
        return samples
    return np.asarray(soxr.resample(samples, from_rate, to_rate), dtype=np.float32)


def _check_part(offset: float, duration: float | None) -> None:
    if not (isfinite(offset) and offset >= 0):
        raise ValueError(f"`offset` must be 0 or more seconds, but is {offset} instead")
    if duration is not None and not (isfinite(duration) and duration > 0):
        raise ValueError(f"`duration` must be more than 0 seconds, but is {duration} instead")


def _part(recording: OpenAudio, offset: float, duration: float | None) -> tuple[int, int | None]:
    """Samples start..stop of the file that hold the part; stop is None for the end of the file."""
    rate, samples = recording.sample_rate, recording.samples
    start = round(offset * rate)
    stop = None if duration is None else start + max(1, round(duration * rate))
    if samples is None:
        return start, stop
    if start >= samples or (stop or 0) > samples + DURATION_SLACK_SECONDS * rate:
        raise AudioError(
            f"`{recording.name}` must last longer than {(stop or start) / rate:.2f} s for the part at "
            f"{offset:g} s, but lasts {samples / rate:.2f} s instead; ask for an earlier or shorter part",
            "too_short",
            recording.name,
        )
    return start, None if stop is None else min(stop, samples)


def _check_length(recording: OpenAudio, start: int, stop: int | None, limit: float) -> None:
    stop = recording.samples if stop is None else stop
    if stop is not None and stop - start > limit * recording.sample_rate:
        raise _too_long(recording.name, limit, f"is {(stop - start) / recording.sample_rate:.2f} s instead")


def _with_context(recording: OpenAudio, start: int, stop: int | None, sample_rate: int) -> tuple[int, int | None]:
    """Widen a part for the resampler, from a sample of the file that falls on a sample of the result."""
    rate = recording.sample_rate
    if rate == sample_rate:
        return start, stop
    period, context = rate // gcd(rate, sample_rate), int(CONTEXT_SECONDS * rate)
    first = max(0, start - context) // period * period
    if stop is None:
        return first, None
    return first, stop + context if recording.samples is None else min(stop + context, recording.samples)


def _mono(recording: OpenAudio, blocks: Iterator[Samples], limit: float) -> Iterator[Samples]:
    """Average the channels of blocks (T, C), and stop at NaN and at more samples than allowed."""
    most = (limit + 2 * CONTEXT_SECONDS + 1) * recording.sample_rate  # context may start up to 1 s early
    seen = 0
    for block in blocks:
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        if not np.isfinite(mono).all():
            raise AudioError(
                f"`{recording.name}` must hold finite samples, but holds NaN or infinity; "
                "write it again from its source",
                "nan",
                recording.name,
            )
        seen += len(mono)
        if seen > most:
            raise _too_long(recording.name, limit, "is longer")
        yield mono


def _resampled(blocks: Iterator[Samples], rate: int, sample_rate: int) -> Iterator[Samples]:
    """Resample a stream of blocks as one signal."""
    if rate == sample_rate:
        yield from blocks
        return
    resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
    for block in blocks:
        yield resampler.resample_chunk(np.ascontiguousarray(block))
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _cut(parts: Iterator[Samples], size: int, name: str) -> Iterator[Samples]:
    """Cut a stream of parts of any length into blocks of `size`; the last may be shorter."""
    kept: list[Samples] = []
    count = total = 0
    for part in parts:
        kept.append(part)
        count += len(part)
        total += len(part)
        if count >= size:
            whole = np.concatenate(kept)
            for start in range(0, count - size + 1, size):
                yield whole[start : start + size].copy()
            kept = [whole[count - count % size :].copy()]
            count %= size
    if count:
        yield np.concatenate(kept)
    if not total:
        raise _empty(name)


def _check_sound(waveform: Samples, name: str, allow_silent: bool) -> None:
    if len(waveform) == 0:
        raise _empty(name)
    if not allow_silent and np.ptp(waveform) / 2 < SILENCE:
        raise AudioError(
            f"`{name}` must hold sound, but is silent (below -100 dBFS); check the microphone or the channel",
            "silent",
            name,
        )


def _empty(name: str) -> AudioError:
    return AudioError(f"`{name}` must hold audio, but holds 0 samples; record it again", "empty", name)


def _too_long(name: str, limit: float, what: str) -> AudioError:
    return AudioError(f"`{name}` must be at most {limit:g} s, but {what}; cut it or raise the limit", "too_long", name)
