"""Specifications of recognisers: kinds, and the options behind a `?`, as in `whisper:tiny.en?beam=1&language=en`.

`box`, folders, `command:`, `python:` and `openai:` have no options here: a program has arguments, a server has fields
of its form (`openai:URL#MODEL&language=en`), and a noisewise model the options of decoding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

from noisewise.config import above, config, parse, within
from noisewise.errors import ConfigError, RecogniserError, install_line
from noisewise.safe_text import received

OptionsT = TypeVar("OptionsT")
WINDOW_SECONDS = 30.0
"""Longest part of a recording that is given to a model at once, where the library does not cut by itself."""


@config
class WhisperOptions:
    """Options of `whisper:`."""

    beam: int = 5
    """Hypotheses that the search keeps; 1 is greedy."""
    language: str = ""
    """Code of the language, such as en; empty to detect it in each recording."""
    quantisation: str = "default"
    """Number format of the weights: default (as stored), int8, int8_float32, int16, float16, bfloat16, float32."""
    threads: int = 0
    """Threads of each worker; 0 for what the library chooses."""
    prompt: str = ""
    """Text that the decoder sees as what was said before."""
    context: bool = False
    """Whether the decoder sees the text of the window before, in recordings of more than 30 s."""
    fallback: bool = False
    """Whether what is improbable or repeats itself is sampled again at higher temperatures; then two runs differ."""
    vad: bool = False
    """Whether parts that Silero VAD takes for no speech are left out."""

    def __post_init__(self) -> None:
        within(1, 100, beam=self.beam)
        within(0, 1024, threads=self.threads)


@config
class HuggingFaceOptions:
    """Options of `hf:`."""

    beam: int = 1
    """Hypotheses that the search of a sequence-to-sequence model keeps; 1 is greedy."""
    language: str = ""
    """Language, for models that are told one; empty for none, or to detect it."""
    quantisation: Literal["float32", "float16", "bfloat16"] = "float32"
    """Number format of weights and arithmetic."""
    threads: int = 0
    """Threads of torch; 0 for what it chooses."""
    prompt: str = ""
    """What a model that follows instructions is asked to do; empty for its own request."""
    tokens: int = 256
    """Most tokens of a window that a sequence-to-sequence model writes."""
    window: float = WINDOW_SECONDS
    """Seconds; longer recordings are cut at pauses into parts of this length or less."""

    def __post_init__(self) -> None:
        within(1, 100, beam=self.beam)
        within(0, 1024, threads=self.threads)
        within(1, 100_000, tokens=self.tokens)
        above(0.5, window=self.window)


@config
class OnnxOptions:
    """Options of `onnx:`."""

    language: str = ""
    """Language, for Whisper and Canary; empty for none, or to detect it."""
    quantisation: str = ""
    """Suffix of the files of quantised weights, such as int8; empty for the others."""
    threads: int = 0
    """Threads of onnxruntime; 0 for what it chooses."""
    type: str = ""
    """Type of the model in a folder whose config.json names none, such as nemo-conformer-tdt."""
    window: float = WINDOW_SECONDS
    """Seconds; longer recordings are cut at pauses into parts of this length or less."""

    def __post_init__(self) -> None:
        within(0, 1024, threads=self.threads)
        above(0.5, window=self.window)


KINDS: Mapping[str, Any] = MappingProxyType(
    {
        "command": None,
        "python": None,
        "openai": None,
        "hf": HuggingFaceOptions,
        "whisper": WhisperOptions,
        "onnx": OnnxOptions,
    }
)
"""Kinds of recognisers that are no noisewise model, to the class of their options; None for those that have none."""


@dataclass(frozen=True)
class Specification:
    """A specification in its parts."""

    whole: str
    """As it was given."""
    kind: str
    """A key of `KINDS`, or `model` for `box` and folders."""
    target: str
    """What stands between the kind and the options."""
    options: Any = None
    """Of the class that `KINDS` names, or None."""


def kind_of(specification: str) -> str:
    """The kind of a recogniser: a key of `KINDS`, or `model`.

    Example:
        >>> [kind_of(each) for each in ("box", "whisper:tiny.en?beam=1", "command:a {}")]
        ['model', 'whisper', 'command']
    """
    kind, colon, _ = specification.partition(":")
    return kind if colon and kind in KINDS else "model"


def parsed(specification: str) -> Specification:
    """A specification in its parts, the options checked.

    Raises:
        RecogniserError: the kind has no such option, or an option no such value.

    Example:
        >>> parsed("whisper:tiny.en?beam=1&language=en").options.beam
        1
    """
    kind = kind_of(specification)
    rest = specification if kind == "model" else specification.partition(":")[2]
    cls = KINDS.get(kind)
    if cls is None:
        return Specification(specification, kind, rest)
    target, text = _split(rest)
    return Specification(specification, kind, target, _options(cls, specification, text))


def _split(rest: str) -> tuple[str, str]:
    """Target and options; a `?` in the name of a folder that is there is part of the name."""
    if Path(rest).expanduser().exists():
        return rest, ""
    target, _, text = rest.partition("?")
    return target, text


def _options(cls: type[OptionsT], specification: str, text: str) -> OptionsT:
    shown = received(specification)
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))
    except ValueError as error:
        raise RecogniserError(f"`{shown}` must have options as in ?beam=5&language=en, but has not: {error}") from error
    known = [each.name for each in fields(cls)]  # type: ignore[arg-type]  # a configuration is a dataclass
    unknown = [name for name, _ in pairs if name not in known]
    if unknown or len(pairs) > len({name for name, _ in pairs}):
        what = f"has '{unknown[0]}'" if unknown else "names one twice"
        raise RecogniserError(f"options of `{shown}` must be of {', '.join(known)}, each once, but it {what}")
    try:
        return parse(cls, dict(pairs))
    except ConfigError as error:
        raise RecogniserError(f"options of `{shown}` must have values that fit, but have not: {error}") from error


def missing(specification: str, module: str, extra: str) -> RecogniserError:
    """The error of a recogniser whose library is not installed."""
    return RecogniserError(
        f"`{received(specification)}` needs {module}, which is not installed; install it with: {install_line(extra)}"
    )
