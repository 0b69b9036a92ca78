"""Models from elsewhere: read by name tables into ours, and written back."""

from pathlib import Path

from noisewise.interop import huggingface_folder
from noisewise.interop.checkpoint import Checkpoint


def recognises(path: Path) -> bool:
    """Whether `read` is for this path."""
    return huggingface_folder.recognises(path)


def read(path: Path) -> Checkpoint:
    """Read a folder of transformers.

    Raises:
        InteropError: the message names the file, what is wrong and what to do.
    """
    return huggingface_folder.read(path)


def weight_files(path: Path) -> list[Path]:
    """The files with the weights."""
    return huggingface_folder.weight_files(path)
