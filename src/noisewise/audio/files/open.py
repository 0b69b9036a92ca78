"""From a path, an open file or a pipe to an open `OpenAudio`, or an `AudioError` that says what is wrong."""

import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import soundfile

from noisewise.audio.files import mpeg
from noisewise.audio.files.joined import JoinedAudio, Link
from noisewise.audio.files.libsndfile import SoundFileAudio
from noisewise.audio.files.ogg import MOST_STRETCHES, Chain, read_chain
from noisewise.audio.files.pieces import Piece, Pieces
from noisewise.audio.files.protocol import OpenAudio, unreadable
from noisewise.audio.files.pyav import PyAVAudio, has_pyav
from noisewise.audio.files.raw import TYPES, RawRecording
from noisewise.audio.files.truncation import FALLBACKS, Extent, extent, media_format
from noisewise.errors import AudioError

MAX_PIPE_BYTES = 1 << 31
"""The most that is read from a pipe, which has to be kept to be searched."""
MEMORY_BYTES = 1 << 26
"""What comes through a pipe is kept in memory up to this, then in a temporary file."""
RATES = (1_000, 768_000)
"""Sample rates that recordings have; others come from broken headers."""
MAX_CHANNELS = 256

Openable = str | Path | BinaryIO | RawRecording


def open_audio(source: Openable) -> OpenAudio:
    """Find the decoder of a recording and check what can be checked before decoding.

    A recording whose end is missing is opened, with its `fault` set, as long as something of it can be decoded.

    Raises:
        AudioError: the recording is missing, not audio, empty, cannot be read, or nothing of it is left.
    """
    name = name_of(source)
    try:
        if isinstance(source, RawRecording):
            return _with_file(source.file, name, lambda file, path: _raw(source, path or file, name))
        return _with_file(source, name, lambda file, path: _decoder(file, path, name))
    except OSError as error:
        raise unreadable(name, error) from error


def readable_formats() -> list[str]:
    """Formats that can be read without the extra `media`, in lower case."""
    return sorted(name.lower() for name in soundfile.available_formats())


def name_of(source: Openable) -> str:
    """A name for messages: the path, the name of an open file, or `<stream>`.

    Bytes of a path that are no text appear as `\\xff`, so that the name can be printed and stored anywhere.
    """
    if isinstance(source, str | Path | RawRecording):
        return printable(str(source))
    name: Any = getattr(source, "name", None)
    return printable(name) if isinstance(name, str) else "<stream>"


def printable(name: str) -> str:
    """A name of a file in which bytes that are no text are written as `\\xff`."""
    return os.fsencode(name).decode(errors="backslashreplace") if not name.isascii() else name


def spooled(file: BinaryIO, name: str = "<stream>") -> BinaryIO:
    """All of a pipe, in a file that can be searched and read again: in memory, or on disk where it is long.

    Args:
        file: an open binary file, read from where it stands to its end.
        name: for messages.

    Raises:
        AudioError: it holds more than `MAX_PIPE_BYTES`, or cannot be read.
    """
    kept = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115
    total = 0
    try:
        while block := file.read(min(1 << 20, MAX_PIPE_BYTES + 1 - total)):
            total += len(block)
            if total > MAX_PIPE_BYTES:
                raise AudioError(
                    f"`{name}` must be at most {MAX_PIPE_BYTES >> 20} MiB when it comes through a pipe, but is more; "
                    "write it to a file first",
                    "too_long",
                    name,
                )
            kept.write(block)
    except OSError as error:
        raise unreadable(name, error) from error
    kept.seek(0)
    return cast("BinaryIO", kept)


def _with_file(
    source: str | Path | BinaryIO, name: str, opener: Callable[[BinaryIO, str | None], OpenAudio]
) -> OpenAudio:
    """Open the file of a recording for `opener`, which takes it, and its path if it can be opened again."""
    if not isinstance(source, str | Path):
        return opener(source if source.seekable() else spooled(source, name), None)
    with _opened(Path(source), name) as file:
        if not file.seekable():
            return opener(spooled(file, name), None)
        return opener(file, str(source))


def _opened(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        why = "there is no such file; check the path"
    except IsADirectoryError:
        raise AudioError(
            f"`{name}` must be an audio file, but is a folder instead; name the files in it", path=name
        ) from None
    except (OSError, ValueError) as error:
        why = f"cannot be opened ({getattr(error, 'strerror', None) or error}); check the path and its rights"
    raise AudioError(f"`{name}` must be an audio file, but {why}", "missing", name)


def _raw(raw: RawRecording, file: str | BinaryIO, name: str) -> OpenAudio:
    subtype, endian = TYPES[raw.dtype]
    if not isinstance(file, str):
        file.seek(0)
    return _checked(
        SoundFileAudio(
            file, name, format="RAW", subtype=subtype, endian=endian, samplerate=raw.rate, channels=raw.channels
        )
    )


def _decoder(file: BinaryIO, path: str | None, name: str) -> OpenAudio:
    """Open with libsndfile (which is faster by path), or else through the media extra."""
    file.seek(0)
    head = file.read(16)
    if not head:
        raise AudioError(f"`{name}` must hold audio, but holds 0 bytes; record it again", "empty", name)
    found = extent(file)
    fault = _lacks(name, f"{found.missing} bytes or more") if found.missing else None
    try:
        return _checked(_of_kind(file, path, name, head, found, fault))
    except AudioError as error:
        if fault is not None and error.reason in ("not_audio", "empty"):
            raise fault from error  # nothing of it is left
        raise


def _of_kind(
    file: BinaryIO, path: str | None, name: str, head: bytes, found: Extent, fault: AudioError | None
) -> OpenAudio:
    container = media_format(head)
    if container is not None:
        file.seek(0)
        return PyAVAudio(path or file, container, name, fault)
    if head.startswith(b"OggS"):
        return _ogg(file, path, name)
    if head.startswith(b"ID3") or (head[0] == 0xFF and head[1:2] >= b"\xe0"):
        return _mpeg(file, path, name)
    if found.patches:
        return _joined(file, path, name, [(_patched(file, found), 0.0)], fault)
    file.seek(0)
    try:
        return _sound_file(path or file, name, fault)
    except AudioError as error:
        fallback = FALLBACKS.get(head[:4])
        if error.reason != "not_audio" or fallback is None:
            raise
        return _fallback(file, path, name, fallback, error, fault)


def _fallback(
    file: BinaryIO, path: str | None, name: str, container: str, error: AudioError, fault: AudioError | None = None
) -> OpenAudio:
    """A coding that libsndfile does not know through PyAV, where it is installed; otherwise the first error."""
    if not has_pyav():
        raise error
    file.seek(0)
    try:
        return PyAVAudio(path or file, container, name, fault)
    except AudioError:
        raise error from None


def _ogg(file: BinaryIO, path: str | None, name: str) -> OpenAudio:
    chain = read_chain(file) if path is None else _chain_of(path, *_state(file))
    fault = _lacks(name, "its last page") if chain.missing else None
    file.seek(0)
    if len(chain.stretches) > MOST_STRETCHES:
        raise AudioError(
            f"`{name}` must hold at most {MOST_STRETCHES} recordings and gaps, but holds {len(chain.stretches)} "
            "instead; convert it first",
            path=name,
        )
    try:
        if chain.is_plain or not chain.stretches:
            return _sound_file(path or file, name, fault)
        parts: list[tuple[list[Piece], float]] = [(each.pieces(), each.gap_seconds) for each in chain.stretches]
        return _joined(file, path, name, parts, fault, can_seek=not any(each.is_shifted for each in chain.stretches))
    except AudioError as error:
        if fault is not None:
            raise fault from error
        if error.reason != "not_audio":
            raise
        return _fallback(file, path, name, "ogg", error)


def _state(file: BinaryIO) -> tuple[int, ...]:
    """What changes when a file does."""
    state = os.fstat(file.fileno())
    return state.st_ino, state.st_size, state.st_mtime_ns


@lru_cache(maxsize=256)
def _chain_of(path: str, *_state: int) -> Chain:
    """The pages of a file, read once for all parts of it."""
    with open(path, "rb") as file:
        return read_chain(file)


def _mpeg(file: BinaryIO, path: str | None, name: str) -> OpenAudio:
    size = file.seek(0, os.SEEK_END)
    found = [] if mpeg.is_whole(file, size) else mpeg.recordings(file, size)
    if not found:
        file.seek(0)
        try:
            return _sound_file(path or file, name, None)
        except AudioError as error:
            return _fallback(file, path, name, "aac", error)  # AAC behind a tag, as in streams
    fault = _lacks(name, "frames") if any(recording.truncated for recording in found) else None
    return _joined(file, path, name, [(recording.pieces(), 0.0) for recording in found], fault)


def _joined(
    file: BinaryIO,
    path: str | None,
    name: str,
    parts: list[tuple[list[Piece], float]],
    fault: AudioError | None,
    can_seek: bool = True,
) -> OpenAudio:
    """One source of pieces of the file, each with the seconds of silence before it."""
    owned = None if path is None else open(path, "rb")  # noqa: SIM115
    try:
        links: list[Link] = []
        failed: AudioError | None = None
        for pieces, gap in parts:
            try:
                part = _sound_file(cast("BinaryIO", Pieces(owned or file, pieces)), name, None, can_seek)
            except AudioError as error:
                failed = error
                continue
            if part.samples:
                links.append(Link(part, gap))
        if not links:
            raise fault or failed or _empty(name)
        return JoinedAudio(links, name, fault or (failed and _lacks(name, "one of its parts")), owned)
    except BaseException:
        if owned is not None:
            owned.close()
        raise


def _patched(file: BinaryIO, found: Extent) -> list[Piece]:
    """The file with the sizes in its header mended."""
    pieces: list[Piece] = []
    position = 0
    for start, content in found.patches:
        pieces += [(position, start), content]
        position = start + len(content)
    return [*pieces, (position, file.seek(0, os.SEEK_END))]


def _sound_file(file: str | BinaryIO, name: str, fault: AudioError | None, can_seek: bool = True) -> OpenAudio:
    try:
        return SoundFileAudio(file, name, fault, can_seek)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: raw samples without a header
        raise AudioError(
            f"`{name}` must be audio (wav, flac, ogg, mp3, ...), but is not, or is of a format that cannot be read; "
            "convert it first",
            path=name,
        ) from error


def _checked(recording: OpenAudio) -> OpenAudio:
    name, rate = recording.name, recording.sample_rate
    error: AudioError | None = None
    if recording.samples == 0:
        error = recording.fault or _empty(name)
    elif not RATES[0] <= rate <= RATES[1]:
        what = f"must have {RATES[0]} to {RATES[1]} samples per second, but has {rate} instead; convert it first"
        error = AudioError(f"`{name}` {what}", path=name)
    elif not 1 <= recording.channels <= MAX_CHANNELS:
        what = f"must have 1 to {MAX_CHANNELS} channels, but has {recording.channels} instead; record it again"
        error = AudioError(f"`{name}` {what}", path=name)
    if error is not None:
        recording.close()
        raise error
    return recording


def _empty(name: str) -> AudioError:
    return AudioError(f"`{name}` must hold audio, but holds 0 samples; record it again", "empty", name)


def _lacks(name: str, what: str) -> AudioError:
    return AudioError(
        f"`{name}` must hold all that its header promises, but lacks {what}; copy or record it again",
        "truncated",
        name,
    )
