"""Models from elsewhere: read by name tables into ours, and written back."""

from pathlib import Path

from noisewise.checkpoints.foreign import fairseq, huggingface_folder
from noisewise.checkpoints.foreign.checkpoint import Checkpoint


def recognises(path: Path) -> bool:
    """Whether `read` is for this path: a folder of transformers, or a `.pt` file."""
    return fairseq.recognises(path) or huggingface_folder.recognises(path)


def read(path: Path, dictionary: Path | None = None) -> Checkpoint:
    """Read a folder of transformers or a file of fairseq.

    Args:
        path: what `recognises` says yes to.
        dictionary: the letters of a fairseq model, if they are not beside it.

    Raises:
        InteropError: the message names the file, what is wrong and what to do.
    """
    return fairseq.read(path, dictionary) if path.is_file() else huggingface_folder.read(path)


def weight_files(path: Path) -> list[Path]:
    """The files with the weights."""
    return [path] if path.is_file() else huggingface_folder.weight_files(path)
