"""Opens a recording, from a path, an open file or a pipe, with the decoder that its bytes ask for."""

import io
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

from noisewise.audio.files.libsndfile import OpenAudio, SoundFileAudio
from noisewise.audio.files.pyav import PyAVAudio
from noisewise.audio.files.truncation import media_format, missing_bytes
from noisewise.errors import AudioError

MAX_PIPE_BYTES = 1 << 31
"""The most that is read from a pipe, which has to be kept to be searched."""
RATES = (1_000, 768_000)
"""Sample rates that recordings have; others come from broken headers."""


def open_audio(source: str | Path | BinaryIO) -> OpenAudio:
    """Find the decoder of a recording and check what can be checked before decoding.

    Raises:
        AudioError: the recording is missing, not audio, empty or truncated.
    """
    name = name_of(source)
    if not isinstance(source, str | Path):
        return _decoder(source if source.seekable() else _kept(source, name), None, name)
    with _opened(Path(source), name) as file:
        if not file.seekable():
            return _decoder(_kept(file, name), None, name)
        return _decoder(file, str(source), name)


def readable_formats() -> list[str]:
    """Formats that can be read without the extra `media`, in lower case."""
    return sorted(name.lower() for name in soundfile.available_formats())


def name_of(source: str | Path | BinaryIO) -> str:
    """A name for messages: the path, the name of an open file, or `<stream>`."""
    if isinstance(source, str | Path):
        return str(source)
    name: Any = getattr(source, "name", None)
    return name if isinstance(name, str) else "<stream>"


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


def _kept(file: BinaryIO, name: str) -> BinaryIO:
    """All of a pipe, in memory."""
    content = file.read(MAX_PIPE_BYTES + 1)
    if len(content) > MAX_PIPE_BYTES:
        raise AudioError(
            f"`{name}` must be at most {MAX_PIPE_BYTES >> 20} MiB when it comes through a pipe, but is more; "
            "write it to a file first",
            "too_long",
            name,
        )
    return io.BytesIO(content)


def _decoder(file: BinaryIO, path: str | None, name: str) -> OpenAudio:
    """Open with libsndfile (which is faster by path), or else through the media extra."""
    file.seek(0)
    head = file.read(16)
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
    container = media_format(head)
    if container is not None:
        recording: OpenAudio = PyAVAudio(path or file, container, name)
    else:
        recording = _sound_file(path or file, name)
    return _checked(recording)


def _sound_file(file: str | BinaryIO, name: str) -> OpenAudio:
    try:
        return SoundFileAudio(file, name)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: raw samples without a header
        raise AudioError(
            f"`{name}` must be audio (wav, flac, ogg, mp3, ...), but is not, or is of a format that cannot be read; "
            "convert it first",
            path=name,
        ) from error


def _checked(recording: OpenAudio) -> OpenAudio:
    name, rate = recording.name, recording.sample_rate
    if recording.samples == 0:
        recording.close()
        raise AudioError(f"`{name}` must hold audio, but holds 0 samples; record it again", "empty", name)
    if not RATES[0] <= rate <= RATES[1]:
        recording.close()
        raise AudioError(
            f"`{name}` must have {RATES[0]} to {RATES[1]} samples per second, but has {rate} instead; convert it first",
            path=name,
        )
    return recording
