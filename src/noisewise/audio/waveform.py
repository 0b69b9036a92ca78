"""Recordings in and out: any readable file becomes mono float32 samples at 16 kHz, or a clear `AudioError`.

Files are decoded in blocks, so that neither a lying header nor a compressed day of silence can take more memory
than the limits allow. Legend: T samples, C channels.
"""

from collections.abc import Iterator
from contextlib import closing
from math import gcd, isfinite
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from noisewise.audio.channels import Channels, channel_numbers, chosen, mixed
from noisewise.audio.files.open import Openable, name_of, open_audio, readable_formats, spooled
from noisewise.audio.files.protocol import AudioInfo, OpenAudio, Samples
from noisewise.audio.files.raw import RawRecording, open_raw
from noisewise.audio.files.save import save
from noisewise.errors import AudioError

__all__ = [
    "MAX_SECONDS",
    "SAMPLE_RATE",
    "SILENCE",
    "AudioError",
    "AudioInfo",
    "Channels",
    "Openable",
    "RawRecording",
    "info",
    "load",
    "open_raw",
    "readable_formats",
    "resample",
    "save",
    "spooled",
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
MOST_SECONDS = 1e9
"""No recording lasts 30 years, and sums of larger numbers with samples would not be exact."""
CONTEXT_SECONDS = 0.1
"""Samples around a part that the resampler sees, so that a part equals the same part of the whole."""


def load(
    source: Openable,
    *,
    sample_rate: int = SAMPLE_RATE,
    offset: float = 0.0,
    duration: float | None = None,
    max_seconds: float | None = None,
    allow_silent: bool = False,
    allow_truncated: bool = False,
    channels: Channels = "mix",
) -> Samples:
    """Read a recording, or a part of it, as mono samples or by channel.

    Args:
        source: a path, an open binary file, which is read from its start, or what `open_raw` gives.
        sample_rate: samples per second of the result.
        offset: where to start, in seconds; the file is searched, not decoded up to there.
        duration: how much to read, in seconds; None reads to the end.
        max_seconds: refuse to decode more than this; None means `MAX_SECONDS`.
        allow_silent: accept a recording (or part) without any sound.
        allow_truncated: accept a recording whose end is missing, and return what is there.
        channels: `mix` for their mean (for a pair that cancels, the louder one: see `audio/channels.py`), `split`
            for all of them apart, or the numbers of those that are wanted, from 1.

    Returns:
        samples, in -1..1 for integer formats. (T,) for `mix`, else (C, T)

    Raises:
        AudioError: the recording is missing, not audio, empty, truncated, silent, too long or too short, lacks a
            channel, or holds NaN or infinite samples; `reason` says which.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp(), "ramp.wav")
        >>> save(path, np.linspace(-0.5, 0.5, 8000), 8000)
        >>> load(path).shape, load(path, offset=0.25, duration=0.5).shape
        ((16000,), (8000,))
    """
    name = name_of(source)
    _check_part(name, offset, duration)
    limit = MAX_SECONDS if max_seconds is None else max_seconds
    with closing(open_audio(source)) as recording:
        if recording.fault is not None and not allow_truncated:
            raise recording.fault
        start, stop = _part(recording, offset, duration)
        _check_length(recording, start, stop, limit)
        first, last = _with_context(recording, start, stop, sample_rate)
        faults: list[AudioError] = []
        blocks = _of_channels(recording, _up_to_fault(recording.blocks(first, last), faults), limit, channels, first)
        parts = list(_resampled(blocks, recording.sample_rate, sample_rate))
        lead = round(offset * sample_rate) - first * sample_rate // recording.sample_rate
    if faults and not (allow_truncated and parts):
        raise faults[0]
    waveform = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
    waveform = waveform[lead : None if duration is None else lead + max(1, round(duration * sample_rate))]
    _check_sound(waveform, name, allow_silent)
    return np.ascontiguousarray(waveform[:, 0] if channels == "mix" else waveform.T)


def info(source: Openable, *, allow_truncated: bool = False) -> AudioInfo:
    """Read the header of a recording, without decoding it.

    Args:
        source: as for `load`.
        allow_truncated: describe what is there of a recording that is cut off, rather than refuse it.

    Raises:
        AudioError: the recording is missing, not audio, empty, or seen to be cut off.
    """
    with closing(open_audio(source)) as recording:
        if recording.fault is not None and not allow_truncated:
            raise recording.fault
        samples, rate = recording.samples, recording.sample_rate
        return AudioInfo(
            seconds=float("nan") if samples is None else samples / rate,
            sample_rate=rate,
            channels=recording.channels,
            samples=-1 if samples is None else samples,
            format=recording.format,
        )


def stream(
    source: Openable,
    *,
    block_seconds: float,
    sample_rate: int = SAMPLE_RATE,
    max_seconds: float | None = None,
    channels: Channels = "mix",
) -> Iterator[Samples]:
    """Read a recording in blocks of equal length (the last is shorter), in memory that does not grow.

    The blocks together equal what `load` gives. A silent recording is accepted. Of a recording that is cut off all
    that is there comes first, then the error (reason `truncated`): whoever wants the rest keeps the blocks.

    Args:
        source: a path, an open binary file, which is read from its start, or what `open_raw` gives.
        block_seconds: length of a block.
        sample_rate: samples per second of the result.
        max_seconds: refuse to decode more than this; None means `MAX_STREAM_SECONDS`.
        channels: as for `load`.

    Yields:
        samples. (T,) for `mix`, else (C, T)

    Raises:
        AudioError: as `load`, when the first block is asked for or when the fault is reached.
    """
    if not (isfinite(block_seconds) and block_seconds * sample_rate >= 1):
        raise ValueError(f"`block_seconds` must be at least one sample, but is {block_seconds} instead")
    limit = MAX_STREAM_SECONDS if max_seconds is None else max_seconds
    with closing(open_audio(source)) as recording:
        _check_length(recording, 0, None, limit)
        faults: list[AudioError] = []
        blocks = _of_channels(recording, _up_to_fault(recording.blocks(0, None), faults), limit, channels, 0)
        resampled = _resampled(blocks, recording.sample_rate, sample_rate)
        total = 0
        for block in _cut(resampled, round(block_seconds * sample_rate)):
            total += len(block)
            yield block[:, 0] if channels == "mix" else np.ascontiguousarray(block.T)
        if faults:
            raise faults[0]
        if not total:
            raise _empty(recording.name)


def resample(waveform: NDArray[Any], from_rate: int, to_rate: int) -> Samples:
    """Change the sample rate (soxr, high quality). (T,) -> (about T * to_rate / from_rate,)"""
    samples = np.asarray(waveform, dtype=np.float32)
    if from_rate == to_rate or samples.size == 0:
        return samples
    return np.asarray(soxr.resample(samples, from_rate, to_rate), dtype=np.float32)


def _check_part(name: str, offset: float, duration: float | None) -> None:
    if not (isfinite(offset) and 0 <= offset <= MOST_SECONDS):
        raise AudioError(f"`offset` must be 0 or more seconds, but is {offset} instead; correct it", "too_short", name)
    if duration is not None and not (isfinite(duration) and 0 < duration <= MOST_SECONDS):
        raise AudioError(
            f"`duration` must be more than 0 seconds, but is {duration} instead; correct it", "too_short", name
        )


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


def _up_to_fault(blocks: Iterator[Samples], faults: list[AudioError]) -> Iterator[Samples]:
    """Blocks up to where a recording is cut off, whose error goes to `faults` rather than to who decodes."""
    try:
        yield from blocks
    except AudioError as error:
        if error.reason != "truncated":
            raise
        faults.append(error)


def _of_channels(
    recording: OpenAudio, blocks: Iterator[Samples], limit: float, channels: Channels, first: int
) -> Iterator[Samples]:
    """Mix or choose the channels of blocks (T, C), and stop at NaN and at more samples than allowed."""
    numbers = channel_numbers(channels, recording.channels, recording.name)
    checked = _checked(recording, (chosen(block, numbers) for block in blocks), limit)
    return mixed(checked, recording.sample_rate, first) if channels == "mix" else checked


def _checked(recording: OpenAudio, blocks: Iterator[Samples], limit: float) -> Iterator[Samples]:
    """Blocks (T, C) as they are, as long as they are finite and not too many."""
    most = (limit + 2 * CONTEXT_SECONDS + 1) * recording.sample_rate  # context may start up to 1 s early
    seen = 0
    for block in blocks:
        if not np.isfinite(block).all():
            raise AudioError(
                f"`{recording.name}` must hold finite samples, but holds NaN or infinity; "
                "write it again from its source",
                "nan",
                recording.name,
            )
        seen += len(block)
        if seen > most:
            raise _too_long(recording.name, limit, "is longer")
        yield block


def _resampled(blocks: Iterator[Samples], rate: int, sample_rate: int) -> Iterator[Samples]:
    """Resample a stream of blocks (T, C) as one signal."""
    if rate == sample_rate:
        yield from blocks
        return
    resampler: soxr.ResampleStream | None = None
    channels = 1
    for block in blocks:
        if resampler is None:
            channels = block.shape[1]
            resampler = soxr.ResampleStream(rate, sample_rate, channels, dtype="float32")
        yield resampler.resample_chunk(np.ascontiguousarray(block)).reshape(-1, channels)
    if resampler is not None:
        rest = resampler.resample_chunk(np.zeros((0, channels), np.float32), last=True)
        yield rest.reshape(-1, channels)


def _cut(parts: Iterator[Samples], size: int) -> Iterator[Samples]:
    """Cut a stream of parts (T, C) of any length into blocks of `size`; the last may be shorter."""
    kept: list[Samples] = []
    count = 0
    for part in parts:
        kept.append(part)
        count += len(part)
        if count >= size:
            whole = np.concatenate(kept)
            for start in range(0, count - size + 1, size):
                yield whole[start : start + size].copy()
            kept = [whole[count - count % size :].copy()]
            count %= size
    if count:
        yield np.concatenate(kept)


def _check_sound(waveform: Samples, name: str, allow_silent: bool) -> None:
    if len(waveform) == 0:
        raise _empty(name)
    if not allow_silent and np.ptp(waveform, axis=0).max() / 2 < SILENCE:
        raise AudioError(
            f"`{name}` must hold sound, but is silent (below -100 dBFS); check the microphone or the channel",
            "silent",
            name,
        )


def _empty(name: str) -> AudioError:
    return AudioError(f"`{name}` must hold audio, but holds 0 samples; record it again", "empty", name)


def _too_long(name: str, limit: float, what: str) -> AudioError:
    return AudioError(f"`{name}` must be at most {limit:g} s, but {what}; cut it or raise the limit", "too_long", name)
