"""How a released model wants to be decoded: `decoding.json` in its folder, with the files that it names beside it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from noisewise.config import parse
from noisewise.decoding.config import DecodingConfig
from noisewise.errors import ConfigError
from noisewise.files import read_json, replaced, replaced_folder, replaced_path

NAME = "decoding.json"
LEXICON = "lexicon.txt"


def read(folder: str | Path) -> DecodingConfig | None:
    """The default decoding of a model folder, its paths resolved against the folder; None where there is none.

    Raises:
        ConfigError: the file is not a configuration of decoding.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        return None
    try:
        config = parse(DecodingConfig, read_json(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"`{path}` must say how to decode, but does not: {error}") from error
    return moved(config, lambda name, file: str(Path(folder) / file))


def write(folder: str | Path, config: DecodingConfig) -> Path:
    """Make a decoding the default of a model: its language model and lexicon are copied into the folder.

    Returns:
        The file written.
    """
    folder = Path(folder)
    copied = moved(config, lambda name, file: _copied(Path(file), folder / _target(name, Path(file))))
    with replaced(folder / NAME) as file:
        file.write(json.dumps(copied.values(), indent=2) + "\n")
    return folder / NAME


def moved(config: DecodingConfig, place: Callable[[str, str], str]) -> DecodingConfig:
    """A configuration whose files are elsewhere.

    Args:
        config: with paths.
        place: `lm`, `rescoring_lm` or `lexicon`, and its path, to the new one.
    """
    files = {name: place(name, file) for name in ("lm", "lexicon") if (file := getattr(config, name))}
    rescoring = config.rescoring
    if rescoring is not None:
        rescoring = replace(rescoring, lm=place("rescoring_lm", rescoring.lm))
    return replace(config, rescoring=rescoring, **files)  # type: ignore[arg-type]


def _copied(source: Path, target: Path) -> str:
    """The name of the copy; a file is whole or not there."""
    if not (target.exists() and source.samefile(target)):
        if source.is_dir():
            with replaced_folder(target) as temporary:
                shutil.copytree(source, temporary, dirs_exist_ok=True)
        else:
            with replaced_path(target) as partial:
                shutil.copyfile(source, partial)
    return target.name


def _target(name: str, source: Path) -> str:
    """Where a file is copied to; the readers of language models go by what its name ends in."""
    if name == "lexicon":
        return LEXICON
    if source.is_dir():
        return name
    return name + (".arpa.gz" if source.suffix == ".gz" else source.suffix or ".arpa")
