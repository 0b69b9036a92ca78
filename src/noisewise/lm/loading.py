"""Read a language model of any kind from its path."""

from collections.abc import Collection, Sequence
from pathlib import Path

from noisewise.config import parse
from noisewise.errors import DecodingError
from noisewise.files import read_json
from noisewise.lm import classes
from noisewise.lm.kenlm import FlashlightKenLM, KenLM
from noisewise.lm.mixture import MIXTURE, MixtureConfig, SentenceMixture
from noisewise.lm.ngram import BEGIN, END, UNKNOWN, NGram
from noisewise.lm.protocol import LanguageModel


def is_mixture(path: str | Path) -> bool:
    """Whether a path is the folder of a mixture."""
    return _is_file(Path(path) / MIXTURE)


def load(path: str | Path, backend: str = "noisewise", vocabulary: Sequence[str] | None = None) -> LanguageModel:
    """Read a language model.

    Args:
        path: an ARPA file, also packed by gzip; the folder of a mixture (`lm/mixture.py`); for `kenlm` and `flashlight`
            also a KenLM binary, which must come from a source you trust.
        backend: `noisewise` (needs nothing else), `kenlm` or `flashlight`.
        vocabulary: the words that will be asked for; only `flashlight` wants to know them.

    Raises:
        DecodingError: the file cannot be used.
    """
    if is_mixture(path):
        return read_mixture(path)
    if not _is_file(Path(path)):
        raise DecodingError(f"`{path}` must be a language model, but there is no such file; check the path")
    match backend:
        case "noisewise":
            return NGram.load(path)
        case "kenlm":
            return KenLM(path)
        case "flashlight":
            return FlashlightKenLM(path, vocabulary or [])
        case _:
            raise DecodingError(
                f"`backend` must be noisewise, kenlm or flashlight, but is '{backend}' instead; take noisewise"
            )


def read_mixture(folder: str | Path) -> SentenceMixture:
    """The mixture in a folder: `mixture.json`, and the files that it names.

    Raises:
        DecodingError: a file that cannot be used.
    """
    path = Path(folder) / MIXTURE
    try:
        said = parse(MixtureConfig, read_json(path))
    except (OSError, ValueError) as error:
        raise DecodingError(f"`{path}` must say what is mixed, but does not: {error}") from error
    files = [(path.parent / one.lm, one.classes and path.parent / one.classes) for one in said.models]
    return SentenceMixture([part(*each) for each in files], [one.weight for one in said.models])


def part(lm: str | Path, class_list: str | Path | None = None) -> LanguageModel:
    """One model of a mixture from its files.

    Raises:
        DecodingError: a file that cannot be used, or another mixture, which may hold itself.
    """
    if is_mixture(lm):
        raise DecodingError(f"`{lm}` must be an ARPA file to be part of a mixture, but is a mixture; take its parts")
    model = load(lm)
    return classes.ClassModel(model, classes.read(class_list)) if class_list else model


def words_of(model: LanguageModel) -> Collection[str]:
    """The vocabulary of a model without its marks; empty of one that cannot list it, as those of other packages."""
    match model:
        case NGram():
            return [word for word in model.vocabulary if word not in (BEGIN, END, UNKNOWN)]
        case classes.ClassModel():
            named = set(model.classes.values())
            return [*model.classes, *(word for word in words_of(model.model) if word not in named)]
        case SentenceMixture():
            return list(dict.fromkeys(word for each in model.models for word in words_of(each)))
    return ()


def _is_file(path: Path) -> bool:
    """Whether a path is a file; one that the system cannot look up is none."""
    try:
        return path.is_file()
    except OSError:
        return False
