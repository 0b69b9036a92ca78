"""What can go wrong for a user: one class for each kind that a caller may want to tell apart.

Every message says what is wrong and what to do: "`x` must be A, but is B instead; do C". The command line prints it as
one line.
"""

from pathlib import Path
from typing import Literal

Reason = Literal["missing", "not_audio", "empty", "truncated", "nan", "silent", "too_long", "too_short"]


class NoisewiseError(ValueError):
    """Something that a user can cause, and mend."""

    exit_status = 2
    """Exit status of a command that it ends."""


class ConfigError(NoisewiseError):
    """A value of a configuration, or an option, that cannot be used."""


class AudioError(NoisewiseError):
    """Audio that cannot be read, mixed or degraded; `reason` says why in one word and `path` names the file."""

    def __init__(self, message: str, reason: Reason = "not_audio", path: str = ""):
        super().__init__(message)
        self.reason: Reason = reason
        self.path = path


class DataError(NoisewiseError):
    """A manifest, corpus or store of embeddings that cannot be used."""


class ModelError(NoisewiseError):
    """A model folder, checkpoint, tokenizer or encoder that cannot be used."""


class InteropError(ModelError):
    """A checkpoint of another project that cannot be read or written."""


class DecodingError(NoisewiseError):
    """A language model, lexicon, hotword or option of decoding that cannot be used."""


class AlignmentError(DecodingError):
    """A text that cannot be aligned with its recording."""


class EvaluationError(NoisewiseError):
    """A measurement that cannot be made, or a stored result that cannot be used."""


class RecogniserError(EvaluationError):
    """A system under test that cannot be used."""


class RunError(NoisewiseError):
    """A run, or a plan of runs, that cannot be carried out."""


_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "alloc_failed",
    "bad_alloc",
    "malloc() failed",
    "can't start new thread",
)
"""What allocators of PyTorch (CPU, CUDA, cuBLAS, MPS), C++ and libsndfile say where memory ends, in lower case."""


def lacks_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, comes of a lack of memory and not of what was being read."""
    while error is not None:
        text = " ".join(str(error).lower().split())
        if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
            return True
        error = error.__cause__
    return False


def install_line(extra: str) -> str:
    """The command that installs an extra: from the checkout that the package is in, or else from the package index."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file():
        return f"pip install 'noisewise[{extra}]'"
    return f"pip install -e '{'.' if root == Path.cwd().resolve() else root}[{extra}]'"
