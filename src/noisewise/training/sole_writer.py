"""One writer to a run's folder: two programs that train in it would undo each other's checkpoints."""

import os
from pathlib import Path
from typing import IO

from noisewise.errors import NoisewiseError

_HELD: dict[Path, IO[str]] = {}
"""Locks of this process; they end with it, however it ends."""


class FolderInUse(NoisewiseError):
    """Another program trains in the folder."""


def sole_writer(folder: Path) -> None:
    """Claim a run's folder for this process until it ends.

    Raises:
        FolderInUse: another process has it.
    """
    if os.name != "posix":
        return
    import fcntl

    path = (folder / ".lock").resolve()
    if path in _HELD:
        return
    folder.mkdir(parents=True, exist_ok=True)
    file = path.open("w", encoding="utf-8")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not flock: loader processes would inherit that
    except OSError as error:
        file.close()
        raise FolderInUse(
            f"`{folder}` must be written by one program at a time, but another one trains in it; wait for it, stop "
            "it, or choose another folder with --output"
        ) from error
    _HELD[path] = file
