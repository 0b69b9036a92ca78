"""Options of decoding by their names, as `load` and `transcribe` take them, and the configuration that they make."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from noisewise.config import dump, parse
from noisewise.decoding.config import DecodingConfig
from noisewise.decoding.recording_decoder import Greedy
from noisewise.errors import DecodingError

OF_LM = ("lm_unit", "lm_weight", "bonus")


def with_options(config: DecodingConfig | Greedy, **options: Any) -> DecodingConfig | Greedy:
    """A configuration with what was given by name.

    Args:
        config: what is changed; greedy decoding becomes a search where an option needs one.
        options: `beam`, `nbest`, and the fields `lm`, `lm_unit`, `lm_weight`, `bonus`, `lexicon` of `DecodingConfig`;
            None where one was not given.

    Raises:
        DecodingError: an option of a language model, and there is none.
        ConfigError: a value out of its range.

    Example:
        >>> with_options("greedy", beam=8, nbest=None).search.beam
        8
        >>> with_options("greedy", beam=None)
        'greedy'
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not given:
        return config
    found = DecodingConfig() if isinstance(config, str) else config
    if "beam" in given and found.whisper is not None:
        nbest = min(found.whisper.nbest, given["beam"])
        found = replace(found, whisper=replace(found.whisper, beam=given["beam"], nbest=nbest))
    elif "beam" in given and found.attention is not None:
        found = replace(found, attention=replace(found.attention, beam=given["beam"]))
    elif "beam" in given:
        found = replace(found, search=replace(found.search, beam=given["beam"]))
    if "nbest" in given:
        found = found.most(given["nbest"])
    files = {name: str(given[name]) for name in ("lm", "lexicon") if isinstance(given.get(name), str | Path)}
    fields = {name: given[name] for name in OF_LM if name in given}
    found = parse(DecodingConfig, {**dump(found), **fields, **files})
    if fields and found.lm is None:
        raise DecodingError(f"`{next(iter(fields))}` must come with a language model, but there is none; give `lm`")
    return found
