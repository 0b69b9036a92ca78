"""The options of decoding that several verbs share, and the configuration that they make."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisewise.decoding.decoder import DecodingConfig
    from noisewise.decoding.recordings import Greedy

Decoding = Annotated[
    str | None,
    typer.Option(help="greedy or beam.", show_default="what the model's folder says, else greedy"),
]
Beam = Annotated[int | None, typer.Option(help="Prefixes that the beam search keeps.", show_default="50")]
Lm = Annotated[Path | None, typer.Option(help="Language model, ARPA or ARPA.gz; means --decoding beam.")]
LmUnit = Annotated[str | None, typer.Option(help="What it is over: words or characters.", show_default="words")]
LmWeight = Annotated[float | None, typer.Option(help="Weight of the language model.", show_default="0.5")]
Bonus = Annotated[float | None, typer.Option(help="Added for each word.", show_default="1")]
Lexicon = Annotated[Path | None, typer.Option(help="File with the only words that may come out, one a line.")]
Hotwords = Annotated[
    list[str] | None,
    typer.Option("--hotword", help="A word or phrase to listen for, or WORD=BOOST per letter; several times."),
]


def chosen(
    model: str,
    decoding: str | None,
    *,
    beam: int | None = None,
    lm: Path | None = None,
    lm_unit: str | None = None,
    lm_weight: float | None = None,
    bonus: float | None = None,
    lexicon: Path | None = None,
) -> "DecodingConfig | Greedy | None":
    """The decoding that the options ask for; None when they ask for nothing.

    Options change what the model's folder says, where it says something.

    Raises:
        NoisewiseError: options that contradict each other.
    """
    from noisewise.config import NoisewiseError

    if decoding not in (None, "greedy", "beam"):
        raise NoisewiseError(f"--decoding must be greedy or beam, but is '{decoding}' instead")
    files = {"lm": None if lm is None else str(lm), "lexicon": None if lexicon is None else str(lexicon)}
    values = {**files, "lm_unit": lm_unit, "lm_weight": lm_weight, "bonus": bonus}
    given = {name: value for name, value in values.items() if value is not None}
    named = [f"--{name.replace('_', '-')}" for name in (["beam"] if beam is not None else []) + list(given)]
    if decoding == "greedy":
        if named:
            raise NoisewiseError(
                f"--decoding must be beam with {named[0]}, but is greedy instead; leave one of them out"
            )
        return "greedy"
    if not named and decoding is None:
        return None
    from dataclasses import replace

    from noisewise.config import dump, parse
    from noisewise.decoding.decoder import DecodingConfig

    base = _default(model) or DecodingConfig()
    if beam is not None:
        base = replace(base, search=replace(base.search, beam=beam))
    config = parse(DecodingConfig, {**dump(base), **given})
    if config.lm is None and {"lm_weight", "bonus", "lm_unit"} & given.keys():
        raise NoisewiseError(f"{named[-1]} must come with a language model, but there is none; give --lm FILE")
    return config


def _default(model: str) -> "DecodingConfig | None":
    """What the folder of a model says; what is no model will be refused when it is loaded."""
    from noisewise import model_folder
    from noisewise.decoding import default

    try:
        folder = model_folder.locate(model)
    except model_folder.ModelFolderError:
        return None
    return default.read(folder)


def boosts(hotwords: list[str] | None) -> dict[str, float | None]:
    """Hotwords of the command line to their boosts; None for that of the configuration.

    Raises:
        NoisewiseError: a boost that is no number.
    """
    from noisewise.config import NoisewiseError

    found: dict[str, float | None] = {}
    for text in hotwords or []:
        word, equals, number = text.partition("=")
        try:
            found[word] = float(number) if equals else None
        except ValueError as error:
            raise NoisewiseError(f"--hotword must be WORD or WORD=BOOST, but is '{text}' instead") from error
    return found


def words(**given: object) -> list[str]:
    """The options that were given, as words of a command line."""
    found: list[str] = []
    for name, value in given.items():
        for each in value if isinstance(value, list) else [value]:
            found += [] if each is None else [f"--{name.replace('_', '-')}={each}"]
    return found
