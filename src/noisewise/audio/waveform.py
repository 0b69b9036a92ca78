"""Recordings in and out: any readable file becomes mono float32 samples at 16 kHz, or a clear `AudioError`.

Files are decoded in blocks, so that neither a lying header nor a compressed file of years of silence can take more
memory than the limits allow. Legend: T samples, C channels.
"""

import io
import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from math import gcd, isfinite
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from noisewise.audio.media import MediaSource, media_format
from noisewise.audio.source import (
    AudioError,
    AudioInfo,
    Samples,
    SoundFileSource,
    Source,
    missing_bytes,
    name_of,
)

__all__ = [
    "MAX_SECONDS",
    "SAMPLE_RATE",
    "AudioError",
    "AudioInfo",
    "info",
    "load",
    "resample",
    "save",
    "stream",
]

SAMPLE_RATE = 16_000
"""Samples per second of every waveform in the package."""
MAX_SECONDS = 24 * 3600.0
"""The most that is decoded from one file unless the caller asks for more."""
MAX_BYTES = 1 << 31
"""The most that is read from a pipe, which has to be kept to be searched."""
RATES = (1_000, 768_000)
"""Sample rates that recordings have; others come from broken headers."""
SILENCE = 1e-5
"""Half the peak-to-peak range below which a recording is silent: -100 dBFS."""
DURATION_SLACK_SECONDS = 0.025
"""How much a part may reach past the end of the file, for durations that were rounded."""
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
        source: a path, or an open binary file.
        sample_rate: samples per second of the result.
        offset: where to start, in seconds; the file is searched, not decoded up to there.
        duration: how much to read, in seconds; None reads to the end.
        max_seconds: refuse to decode more than this; None means `MAX_SECONDS`.
        allow_silent: accept a recording (or part) without any sound.

    Returns:
        samples, in -1..1 for integer formats; channels are averaged. (T,)

    Raises:
        AudioError: the recording is missing, not audio, empty, truncated, silent, too long or too short, or holds
            NaN or infinite samples; `reason` says which.
    """
    _check_part(offset, duration)
    with closing(_open(source)) as recording:
        rate = recording.sample_rate
        start, stop = _part(recording, offset, duration)
        _check_length(recording, start, stop, max_seconds)
        first, last = _with_context(start, stop, rate, sample_rate)
        if recording.samples is not None and last is not None:
            last = min(last, recording.samples)
        blocks = _limited(recording, recording.blocks(first, last), max_seconds)
        parts = list(_resampled(blocks, rate, sample_rate))
    waveform = parts[0] if len(parts) == 1 else np.concatenate([*parts, np.zeros(0, np.float32)])
    if first or last != stop:
        lead = round(offset * sample_rate) - first * sample_rate // rate
        end = None if duration is None else lead + round(duration * sample_rate)
        waveform = waveform[lead:end].copy()
    _check_sound(waveform, name_of(source), allow_silent)
    return waveform


def info(source: str | Path | BinaryIO) -> AudioInfo:
    """Read the header of a recording, without decoding it.

    Raises:
        AudioError: the recording is missing, not audio, or shorter than its header promises.
    """
    with closing(_open(source)) as recording:
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

    Raises:
        AudioError: as `load`, when the first block is asked for or when the fault is reached.
    """
    if not (isfinite(block_seconds) and block_seconds * sample_rate >= 1):
        raise ValueError(f"`block_seconds` must be at least one sample, but is {block_seconds} instead")
    with closing(_open(source)) as recording:
        _check_length(recording, 0, recording.samples, max_seconds)
        blocks = _limited(recording, recording.blocks(0, None), max_seconds)
        resampled = _resampled(blocks, recording.sample_rate, sample_rate)
        yield from _reblocked(resampled, round(block_seconds * sample_rate), recording.name)


def readable_formats() -> list[str]:
    """Formats that can be read without the extra `media`, in lower case."""
    return sorted(name.lower() for name in soundfile.available_formats())


def resample(waveform: NDArray[Any], from_rate: int, to_rate: int) -> Samples:
    """Change the sample rate (soxr, high quality). (T,) -> (about T * to_rate / from_rate,)"""
    if from_rate == to_rate:
        return np.asarray(waveform, dtype=np.float32)
    return np.asarray(
        soxr.resample(waveform.astype(np.float32, copy=False), from_rate, to_rate), dtype=np.float32
    )


def save(
    path: str | Path, waveform: NDArray[Any], sample_rate: int = SAMPLE_RATE, *, subtype: str | None = None
) -> None:
    """Write samples to a file whose suffix names the format; the file appears whole or not at all.

    16-bit files keep 16-bit samples exactly: what was loaded from one is saved as it was.

    Args:
        path: where to write, for instance `speech.flac`.
        waveform: float samples in -1..1, or int16. (T,) or (T, C)
        sample_rate: samples per second.
        subtype: coding, for instance `PCM_24` or `FLOAT`; None means the usual one of the format.

    Raises:
        AudioError: a sample is NaN or infinite, or would be clipped.
        ValueError: libsndfile cannot write this format.
    """
    path = Path(path)
    kind = path.suffix[1:].upper()
    try:
        subtype = subtype or soundfile.default_subtype(kind)
        known = soundfile.check_format(kind, subtype)
    except ValueError:
        known = False
    if not known:
        raise ValueError(
            f"`{path}` must end in a format that libsndfile writes, such as .flac or .wav; rename it"
        )
    samples = _as_written(waveform, str(subtype), str(path))
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        with soundfile.SoundFile(temporary, "x", sample_rate, channels, subtype, format=kind) as file:
            for start in range(0, len(samples), BLOCK_WRITTEN):
                file.write(samples[start : start + BLOCK_WRITTEN])
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


BLOCK_WRITTEN = 1 << 16
"""Samples handed to an encoder at a time; Vorbis needs stack for each."""


def _open(source: str | Path | BinaryIO) -> Source:
    """Find the decoder for a recording and check what can be checked before decoding."""
    name = name_of(source)
    file: BinaryIO
    if isinstance(source, str | Path):
        file = _opened(Path(source), name)
        with file:
            if not file.seekable():
                return _decoder(_kept(file, name), None, name)
            return _decoder(file, str(source), name)
    file = source if source.seekable() else _kept(source, name)
    return _decoder(file, None, name)


def _opened(path: Path, name: str) -> BinaryIO:
    if path.is_dir():
        raise AudioError(
            f"`{name}` must be an audio file, but is a folder instead; name the files in it", path=name
        )
    try:
        return path.open("rb")
    except FileNotFoundError:
        reason = "there is no such file; check the path"
    except (OSError, ValueError) as error:
        reason = f"cannot be opened: {getattr(error, 'strerror', None) or error}"
    raise AudioError(f"`{name}` must be an audio file, but {reason}", "missing", name)


def _kept(file: BinaryIO, name: str) -> BinaryIO:
    """All of a pipe, in memory."""
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise AudioError(
            f"`{name}` must be at most {MAX_BYTES >> 20} MiB when it comes through a pipe, but is more; "
            "write it to a file first",
            "too_long",
            name,
        )
    return io.BytesIO(content)


def _decoder(file: BinaryIO, path: str | None, name: str) -> Source:
    """Open with libsndfile, or else through the media extra."""
    file.seek(0)
    head = file.read(64)
    if not head:
        raise AudioError(f"`{name}` must hold audio, but holds 0 bytes; record it again", "empty", name)
    lacking = missing_bytes(file)
    if lacking:
        raise AudioError(
            f"`{name}` must hold all that its header promises, but lacks {lacking} bytes or more; "
            "copy or record it again",
            "truncated",
            name,
        )
    file.seek(0)
    try:
        recording: Source = SoundFileSource(path or file, name)
    except (soundfile.LibsndfileError, TypeError) as error:
        recording = _media(file, path, name, head, error)
    _check_header(recording)
    return recording


def _media(file: BinaryIO, path: str | None, name: str, head: bytes, error: Exception) -> Source:
    container = media_format(head)
    if container is None:
        raise AudioError(
            f"`{name}` must be audio (wav, flac, ogg, mp3, ...), but is not: no known format is found in it; "
            "convert it first",
            path=name,
        ) from error
    return MediaSource(path or file, container, name)


def _check_header(recording: Source) -> None:
    name = recording.name
    if recording.samples == 0:
        raise AudioError(f"`{name}` must hold audio, but holds 0 samples; record it again", "empty", name)
    if not RATES[0] <= recording.sample_rate <= RATES[1]:
        raise AudioError(
            f"`{name}` must have {RATES[0]} to {RATES[1]} samples per second, but its header says "
            f"{recording.sample_rate}; convert it first",
            path=name,
        )


def _check_part(offset: float, duration: float | None) -> None:
    if not (isfinite(offset) and offset >= 0):
        raise ValueError(f"`offset` must be 0 or more seconds, but is {offset} instead")
    if duration is not None and not (isfinite(duration) and duration > 0):
        raise ValueError(f"`duration` must be more than 0 seconds, but is {duration} instead")


def _part(recording: Source, offset: float, duration: float | None) -> tuple[int, int | None]:
    """Samples start..stop of the file that hold the part; stop is None when only decoding can tell."""
    rate, samples = recording.sample_rate, recording.samples
    start = round(offset * rate)
    stop = samples if duration is None else start + max(1, round(duration * rate))
    if samples is None or stop is None:
        return start, stop
    if start >= samples or stop > samples + DURATION_SLACK_SECONDS * rate:
        raise AudioError(
            f"`{recording.name}` must last {stop / rate:.2f} s for the part at {offset:g} s, but lasts "
            f"{samples / rate:.2f} s instead; ask for an earlier or shorter part",
            "too_short",
            recording.name,
        )
    return start, min(stop, samples)


def _with_context(start: int, stop: int | None, rate: int, sample_rate: int) -> tuple[int, int | None]:
    """Widen a part for the resampler, from a sample of the file that falls on a sample of the result."""
    if rate == sample_rate:
        return start, stop
    period, context = rate // gcd(rate, sample_rate), int(CONTEXT_SECONDS * rate)
    first = max(0, start - context) // period * period
    return first, None if stop is None else stop + context


def _check_length(recording: Source, start: int, stop: int | None, max_seconds: float | None) -> None:
    limit = MAX_SECONDS if max_seconds is None else max_seconds
    if stop is not None and stop - start > limit * recording.sample_rate:
        raise _too_long(recording.name, limit, f"is {(stop - start) / recording.sample_rate:.2f} s instead")


def _too_long(name: str, limit: float, what: str) -> AudioError:
    return AudioError(
        f"`{name}` must be at most {limit:g} s, but {what}; cut it or raise the limit", "too_long", name
    )


def _limited(recording: Source, blocks: Iterator[Samples], max_seconds: float | None) -> Iterator[Samples]:
    """Mix blocks (T, C) down to (T,), and stop at NaN and at more samples than allowed."""
    limit = MAX_SECONDS if max_seconds is None else max_seconds
    most = (limit + 2 * CONTEXT_SECONDS + 1) * recording.sample_rate  # context starts up to 1 s early
    seen = 0
    for block in blocks:
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        if not np.isfinite(mono).all():
            where = (seen + int(np.argmin(np.isfinite(mono)))) / recording.sample_rate
            raise AudioError(
                f"`{recording.name}` must hold finite samples, but holds NaN or infinity {where:.3f} s into what "
                "was read; write it again from its source",
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


def _reblocked(parts: Iterator[Samples], size: int, name: str) -> Iterator[Samples]:
    """Cut a stream of parts of any length into blocks of `size`; the last may be shorter."""
    rest, some = np.zeros(0, np.float32), False
    for part in parts:
        rest = np.concatenate([rest, part])
        while len(rest) >= size:
            some = True
            yield rest[:size].copy()
            rest = rest[size:]
    if len(rest):
        yield rest.copy()
    elif not some:
        raise AudioError(f"`{name}` must hold audio, but holds 0 samples; record it again", "empty", name)


def _check_sound(waveform: Samples, name: str, allow_silent: bool) -> None:
    if len(waveform) == 0:
        raise AudioError(f"`{name}` must hold audio, but holds 0 samples; record it again", "empty", name)
    if not allow_silent and np.ptp(waveform) / 2 < SILENCE:
        raise AudioError(
            f"`{name}` must hold sound, but is silent (below -100 dBFS); check the microphone or the channel",
            "silent",
            name,
        )


def _as_written(waveform: NDArray[Any], subtype: str, name: str) -> NDArray[Any]:
    """Samples as they go to libsndfile: 16-bit codings by our own rounding, which undoes that of `load`."""
    if waveform.dtype == np.int16:
        return waveform
    if not np.isfinite(waveform).all():
        raise AudioError(f"`waveform` for `{name}` must be finite, but holds NaN or infinity", "nan", name)
    peak = float(np.abs(waveform).max(initial=0.0))
    if peak > 1.0 and subtype not in ("FLOAT", "DOUBLE"):
        raise AudioError(
            f"`waveform` for `{name}` must lie in -1..1, but peaks at {peak:.3f}; scale it or use subtype FLOAT",
            path=name,
        )
    if subtype != "PCM_16":
        return waveform
    return np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype(np.int16)
