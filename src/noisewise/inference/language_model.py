"""Language models of all kinds by their path: the folder of a Transformer, or what `noisewise.lm` reads."""

from pathlib import Path
from typing import cast

from noisewise.checkpoints import model_folder
from noisewise.errors import NoisewiseError
from noisewise.lm import loading
from noisewise.lm.protocol import LanguageModel
from noisewise.models.incremental_lm import IncrementalLM
from noisewise.models.lm import TransformerLM, TransformerLMConfig
from noisewise.text.vocabulary import Vocabulary


def load(path: str | Path, backend: str = "noisewise", device: str = "cpu") -> LanguageModel:
    """Read a language model.

    Args:
        path: a folder that `noisewise train` wrote, an ARPA file, or the folder of a mixture.
        backend: what reads a file; see `lm.loading.load`.
        device: where a Transformer runs.

    Raises:
        NoisewiseError: it cannot be used.
    """
    if not Path(path).is_dir() or loading.is_mixture(path):
        return loading.load(path, backend)
    if backend != "noisewise":
        raise NoisewiseError(f"`lm_backend` must be noisewise for the folder `{path}`, but is {backend} instead")
    return cast(LanguageModel, transformer(path, device))


def transformer(folder: str | Path, device: str = "cpu") -> IncrementalLM:
    """The Transformer language model of a folder.

    Raises:
        NoisewiseError: the folder holds none, or not a whole one.
    """
    stored = model_folder.load_stored(folder)
    model = stored.model(TransformerLM).to(device)
    vocabulary = Vocabulary.load(stored.folder / Vocabulary.FILE)
    if len(vocabulary) != stored.config.vocabulary:
        raise NoisewiseError(
            f"`{stored.folder / Vocabulary.FILE}` must hold {stored.config.vocabulary} tokens, but holds "
            f"{len(vocabulary)} instead; copy the folder whole"
        )
    return IncrementalLM(model, vocabulary.tokens)


def is_over_characters(path: str | Path, given: bool) -> bool:
    """Whether the tokens of a language model are characters: a Transformer states it, for a file `given` does."""
    if not Path(path).is_dir() or loading.is_mixture(path):
        return given
    config = model_folder.load_config(path)
    return isinstance(config, TransformerLMConfig) and config.unit == "characters"
