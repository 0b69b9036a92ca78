"""Checkpoints of transformers, CTranslate2 and fairseq: read by tables of names into our models, and written back."""

from pathlib import Path
from typing import Literal

from noisewise.checkpoints.foreign import fairseq, huggingface_folder, whisper_folder
from noisewise.checkpoints.foreign import weight_files as transformers_weights
from noisewise.checkpoints.foreign.checkpoint import Checkpoint
from noisewise.errors import InteropError, NoisewiseError
from noisewise.models.whisper import ctranslate2
from noisewise.models.whisper.weights import is_ctranslate2

ForeignLayout = Literal["transformers", "ctranslate2", "fairseq"]


def layout_of(path: Path) -> ForeignLayout | None:
    """Whose checkpoint a path is: a folder of transformers, one of CTranslate2, or a `.pt` file of fairseq; None for
    anything else."""
    if fairseq.recognises(path):
        return "fairseq"
    if whisper_folder.recognises(path) and is_ctranslate2(path):
        return "ctranslate2"
    return "transformers" if huggingface_folder.recognises(path) else None


def read(path: Path, dictionary: Path | None = None, language: str | None = None) -> Checkpoint:
    """Read a folder of transformers or CTranslate2, or a file of fairseq.

    Args:
        path: a path to which `layout_of` gives a layout.
        dictionary: the letters of a fairseq model, if they are not beside it.
        language: of a model of many languages, such as MMS; that of its tokenizer if left out.

    Raises:
        InteropError: the message names the file, what is wrong and what to do.
    """
    try:
        if path.is_file():
            return fairseq.read(path, dictionary)
        return whisper_folder.read(path) if whisper_folder.recognises(path) else huggingface_folder.read(path, language)
    except NoisewiseError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, RuntimeError, TypeError, ValueError) as error:
        # a value of a wrong type in a file of others may surface anywhere
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise InteropError(f"`{path}` must be a checkpoint, but has values that do not fit: {reason}") from error


def weight_files(path: Path) -> list[Path]:
    """The files with the weights."""
    if path.is_file() or is_ctranslate2(path):
        return [path if path.is_file() else path / ctranslate2.FILE]
    return transformers_weights.paths(path)
