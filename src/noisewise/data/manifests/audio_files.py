"""Audio files by their names: which names are those of audio, and where the file of a row lies."""

import os
from pathlib import Path, PurePosixPath

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif", ".au", ".sph", ".m4a", ".webm"})
PLACES = ("", "wavs", "clips", "audio", "wav")
"""Folders in which the files of a table lie, when not beside it."""


def is_audio(name: str) -> bool:
    """Whether a name has a suffix of audio."""
    return PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES


def located(folder: Path, name: str) -> str:
    """The file of a row relative to the folder of its table: as it is named, else in `PLACES`, else with a suffix."""
    if os.path.isabs(name) or os.path.exists(folder / name):
        return name
    suffixes = ("",) if is_audio(name) else ("", *sorted(AUDIO_SUFFIXES))
    tried = (str(PurePosixPath(place, f"{name}{suffix}")) for place in PLACES for suffix in suffixes)
    return next((path for path in tried if os.path.isfile(folder / path)), name)
