"""Samples to a file, whole or not at all."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from noisewise.errors import AudioError
from noisewise.files import replaced_path

BLOCK = 1 << 16
"""Samples handed to an encoder at a time; Vorbis needs stack for each."""


def save(path: str | Path, waveform: NDArray[Any], sample_rate: int = 16_000, *, subtype: str | None = None) -> None:
    """Write samples to a file whose suffix names the format; the file appears whole or not at all.

    16-bit files keep 16-bit samples exactly: what was loaded from one is saved as it was.

    Args:
        path: where to write, for instance `speech.flac`.
        waveform: float samples in -1..1, or int16. (T,) or (T, C)
        sample_rate: samples per second.
        subtype: coding, for instance `PCM_24` or `FLOAT`; None means the usual one of the format.

    Raises:
        AudioError: a sample is NaN or infinite, or would be clipped; or libsndfile cannot write this format.
        OSError: the disk is full, or cannot be written to.
    """
    path = Path(path)
    kind, coding = _format(path, subtype)
    samples = _as_written(np.asarray(waveform), coding, str(path))
    with replaced_path(path) as partial:
        _write(partial, samples, sample_rate, kind, coding)


def _format(path: Path, subtype: str | None) -> tuple[str, str]:
    """libsndfile's names of the container and the coding."""
    kind = {".opus": "OGG", ".oga": "OGG", ".aif": "AIFF"}.get(path.suffix.lower(), path.suffix[1:].upper())
    try:
        usual = "OPUS" if path.suffix.lower() == ".opus" else soundfile.default_subtype(kind)
        coding = subtype or usual
        if soundfile.check_format(kind, coding):
            return kind, str(coding)
    except ValueError:
        coding = subtype
    what = f"{path.suffix or 'no suffix'}" + (f" with {coding}" if coding else "")
    raise AudioError(
        f"`{path}` must end in a format that libsndfile writes, such as .flac or .wav, but has {what} instead",
        path=str(path),
    )


def _as_written(waveform: NDArray[Any], coding: str, name: str) -> NDArray[Any]:
    """Samples as they go to libsndfile: 16-bit codings by our own rounding, which undoes that of `load`."""
    if waveform.dtype == np.int16:
        return waveform
    if not np.isfinite(waveform).all():
        raise AudioError(f"`waveform` for `{name}` must be finite, but holds NaN or infinity", "nan", name)
    peak = float(np.abs(waveform).max(initial=0.0))
    if peak > 1.0 and coding not in ("FLOAT", "DOUBLE"):
        raise AudioError(
            f"`waveform` for `{name}` must lie in -1..1, but peaks at {peak:.4f}; scale it or use FLOAT",
            path=name,
        )
    if coding != "PCM_16":
        return waveform
    return np.asarray(np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype(np.int16))


def _write(path: Path, samples: NDArray[Any], sample_rate: int, kind: str, coding: str) -> None:
    """Encode in memory, then write: libsndfile says nothing when the disk is too full for the end of a file."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    encoded = io.BytesIO()
    with soundfile.SoundFile(encoded, "w", sample_rate, channels, coding, format=kind) as file:
        for start in range(0, len(samples), BLOCK):
            file.write(samples[start : start + BLOCK])
    path.write_bytes(encoded.getbuffer())
