"""How a released model wants to be decoded: `decoding.json` in its folder, with the files that it names beside it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from noisewise.config import ConfigError, dump, parse
from noisewise.decoding.decoder import DecodingConfig

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
        config = parse(DecodingConfig, json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, ConfigError) as error:
        raise ConfigError(f"`{path}` must say how to decode, but does not: {error}") from error
    files = {name: str(Path(folder) / file) for name in ("lm", "lexicon") if (file := getattr(config, name))}
    return replace(config, **files) if files else config  # type: ignore[arg-type]


def write(folder: str | Path, config: DecodingConfig) -> Path:
    """Make a decoding the default of a model: its language model and lexicon are copied into the folder.

    Returns:
        The file written.
    """
    folder = Path(folder)
    files: dict[str, str] = {}
    if config.lm:
        files["lm"] = _copied(Path(config.lm), folder / f"lm{_suffix(Path(config.lm))}")
    if config.lexicon:
        files["lexicon"] = _copied(Path(config.lexicon), folder / LEXICON)
    path, temporary = folder / NAME, folder / f".{NAME}.new"
    temporary.write_text(json.dumps({**dump(config), **files}, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


def _copied(source: Path, target: Path) -> str:
    """The name of the copy; it is whole or not there."""
    if not (target.exists() and source.samefile(target)):
        temporary = target.with_name(f".{target.name}.new")
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    return target.name


def _suffix(path: Path) -> str:
    """What the readers of language models go by."""
    return ".arpa.gz" if path.suffix == ".gz" else path.suffix or ".arpa"
