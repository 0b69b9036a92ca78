"""Voices by name: `espeak`, `espeak:en-gb+f3`, `piper:VOICE.onnx`."""

from collections.abc import Mapping, Sequence

from noisewise.data.voices.espeak import Espeak
from noisewise.data.voices.piper import Piper
from noisewise.data.voices.voice import Voice
from noisewise.errors import ConfigError

FORMS = "espeak, espeak:NAME, piper:FILE.onnx, piper:FOLDER or piper:PACKAGE"


def voice(specification: str, licence: str = "") -> Voice:
    """Open a voice.

    Args:
        specification: `espeak` (all its accents and variants), `espeak:NAME` (one of its voices), or `piper:SOURCE` (an
            onnx file, a folder, or an installed package).
        licence: terms, when the voice does not say them.

    Raises:
        ConfigError: no such kind of voice.
        DataError: the voice is not there, or cannot be used.
    """
    kind, _, name = specification.partition(":")
    if kind == "espeak":
        return Espeak(name, licence)
    if kind == "piper" and name:
        return Piper(name, licence)
    if specification.endswith(".onnx"):
        return Piper(specification, licence)
    raise ConfigError(f"`--voice` must be {FORMS}, but is '{specification}' instead; choose one of them")


def voices(specifications: Sequence[str], licences: Mapping[str, str]) -> list[Voice]:
    """Open voices, each once; one that is named twice is in the list twice, and so drawn twice as often.

    Args:
        specifications: as `voice` takes them.
        licences: specification to terms.

    Raises:
        ConfigError: none, or a licence of a voice that is not among them.
    """
    if not specifications:
        raise ConfigError(f"`--voice` must name a voice at least, but is not given; say {FORMS}")
    if foreign := sorted(set(licences) - set(specifications)):
        raise ConfigError(f"`--licence` must be VOICE=TERMS of a `--voice`, but names '{foreign[0]}'; check the name")
    opened = {each: voice(each, licences.get(each, "")) for each in dict.fromkeys(specifications)}
    return [opened[each] for each in specifications]
