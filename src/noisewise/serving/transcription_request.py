"""The form of `POST /v1/audio/transcriptions`, and what it asks for.

Names with `[]` are those of the SDKs, names without are accepted too. Fields that mean nothing here are passed over,
and named in the answer's header `X-Noisewise-Ignored`.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noisewise.serving.api_error import ApiError
from noisewise.serving.limits import Limits

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
GRANULARITIES = ("word", "segment")
LONGEST_HOTWORD = 100
"""Letters of the longest hotword."""
VAD = {"threshold": (0.0, 1.0), "prefix_padding_ms": (0.0, 1e6), "silence_duration_ms": (0.0, 1e6)}
"""Parameters of `server_vad` and their ranges."""
KNOWN = frozenset(
    ("file", "model", "language", "languages", "prompt", "keywords", "hotwords", "temperature", "stream", "include")
) | {"response_format", "timestamp_granularities", "chunking_strategy"}
Hotword = tuple[str, float | None]
"""A word or phrase, and its boost; None for that of the model."""


@dataclass(frozen=True)
class TranscriptionRequest:
    """What a client asks for.

    Example:
        >>> asked = parse([("model", "box"), ("keywords[]", "Anna"), ("stream", "true"), ("seed", "1")], Limits())
        >>> asked.hotwords, asked.stream, asked.ignored
        ((('Anna', None),), True, ('seed',))
    """

    model: str
    """Name of the model; empty for the first that is served."""
    response_format: str
    granularities: tuple[str, ...]
    """`word`, `segment` or both, of verbose_json."""
    logprobs: bool
    """Whether the log-probabilities of the letters are wanted."""
    hotwords: tuple[Hotword, ...]
    languages: tuple[str, ...]
    """Codes of the languages that it may be in; empty where none is named."""
    prompt: str
    stream: bool
    ignored: tuple[str, ...]
    """Names of the fields that were passed over."""


def parse(fields: Sequence[tuple[str, Any]], limits: Limits) -> TranscriptionRequest:
    """The request that a form makes.

    Args:
        fields: names and values of the form; files are passed over.
        limits: bounds of hotwords.

    Raises:
        ApiError: a value that cannot be used.
    """
    form = _Form(fields)
    response_format = form.choice("response_format", FORMATS, "json")
    granularities = form.choices("timestamp_granularities", GRANULARITIES)
    if granularities and response_format != "verbose_json":
        raise _wrong("timestamp_granularities[]", "come with `response_format` verbose_json", response_format)
    logprobs = bool(form.choices("include", ("logprobs",)))
    if logprobs and response_format != "json":
        raise _wrong("include[]", "come with `response_format` json for logprobs", response_format)
    form.number("temperature", 0.0, 1.0)
    _check_chunking(form)
    stream = form.truth("stream")
    is_streamed = stream and response_format in ("json", "text")
    passed_over = [name for name in form.names if name not in KNOWN]
    passed_over += ["stream"] if stream and not is_streamed else []
    return TranscriptionRequest(
        model=form.text("model"),
        response_format=response_format,
        granularities=granularities or ("segment",),
        logprobs=logprobs,
        hotwords=_hotwords(form, limits),
        languages=tuple(dict.fromkeys(filter(None, [form.text("language"), *form.list("languages")]))),
        prompt=form.text("prompt"),
        stream=is_streamed,
        ignored=tuple(passed_over),
    )


class _Form:
    """Fields by their names without `[]`; an empty value is none."""

    def __init__(self, fields: Sequence[tuple[str, Any]]):
        self._values: dict[str, list[str]] = {}
        self._nested: dict[str, dict[str, str]] = {}
        for name, value in fields:
            if not isinstance(value, str) or value == "":
                continue
            if nested := re.fullmatch(r"(chunking_strategy)\[(\w+)\]", name):
                self._nested.setdefault(nested[1], {})[nested[2]] = value
            else:
                self._values.setdefault(name.removesuffix("[]"), []).append(value)

    @property
    def names(self) -> list[str]:
        """Names of the fields that have a value, without what is nested."""
        return list(self._values)

    def text(self, name: str) -> str:
        """The last value of a field."""
        return self._values.get(name, [""])[-1]

    def list(self, name: str) -> list[str]:
        """All values of a field."""
        return self._values.get(name, [])

    def nested(self, name: str) -> Mapping[str, str]:
        """The values of `name[...]`."""
        return self._nested.get(name, {})

    def choice(self, name: str, among: Sequence[str], otherwise: str) -> str:
        """A value that must be one of several."""
        found = self.text(name) or otherwise
        if found not in among:
            raise _wrong(name, f"be one of {', '.join(among)}", found, "unsupported_value")
        return found

    def choices(self, name: str, among: Sequence[str]) -> tuple[str, ...]:
        """Values that must be some of several, also as one value with commas."""
        found = [each.strip() for value in self.list(name) for each in value.split(",")]
        for each in found:
            if each not in among:
                raise _wrong(f"{name}[]", f"be {' or '.join(among)}", each, "unsupported_value")
        return tuple(dict.fromkeys(found))

    def truth(self, name: str) -> bool:
        """A truth value."""
        found = self.text(name).lower()
        if found not in ("", "true", "false", "1", "0"):
            raise _wrong(name, "be true or false", found)
        return found in ("true", "1")

    def number(self, name: str, low: float, high: float) -> None:
        """Refuse a number out of its range."""
        if text := self.text(name):
            _in_range(name, text, low, high)


def _in_range(name: str, text: str, low: float, high: float) -> None:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not low <= found <= high:
        raise _wrong(name, f"be a number between {low:g} and {high:g}", text)


def _check_chunking(form: _Form) -> None:
    """Refuse a strategy that is none. Chunks change no transcript here, so nothing else is made of it."""
    text, values = form.text("chunking_strategy"), dict(form.nested("chunking_strategy"))
    if text.startswith("{"):
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise _wrong("chunking_strategy", "be `auto` or an object of type server_vad", text)
        values, text = {str(name): str(value) for name, value in given.items()}, ""
    kind = values.pop("type", text)
    if kind not in ("", "auto", "server_vad") or (values and kind != "server_vad"):
        raise _wrong("chunking_strategy", "be `auto` or an object of type server_vad", kind)
    for name, value in values.items():
        if name not in VAD:
            raise _wrong(f"chunking_strategy[{name}]", f"be one of {', '.join(VAD)}", name)
        _in_range(f"chunking_strategy[{name}]", value, *VAD[name])


def _hotwords(form: _Form, limits: Limits) -> tuple[Hotword, ...]:
    """Those of `keywords[]`, and of `hotwords` (with commas, or a JSON list), the spelling of other servers."""
    words = list(form.list("keywords"))
    for value in form.list("hotwords"):
        words += _listed(value)
    return checked_hotwords([(word, None) for word in words], limits)


def checked_hotwords(words: Sequence[Hotword], limits: Limits) -> tuple[Hotword, ...]:
    """Hotwords without spaces around them and without repetitions, the first boost counting.

    Raises:
        ApiError: there are too many, or one is too long.
    """
    found: dict[str, float | None] = {}
    for word, boost in words:
        if " ".join(word.split()):
            found.setdefault(" ".join(word.split()), boost)
    if len(found) > limits.most_hotwords:
        raise _wrong("keywords[]", f"be {limits.most_hotwords} words at most (--most-hotwords)", str(len(found)))
    for word in found:
        if len(word) > LONGEST_HOTWORD:
            raise _wrong("keywords[]", f"have {LONGEST_HOTWORD} letters each at most", f"{word[:20]}...")
    return tuple(found.items())


def _listed(value: str) -> list[str]:
    if value.lstrip().startswith("["):
        try:
            given = json.loads(value)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
            raise _wrong("hotwords", "be words with commas between them, or a JSON list of words", value[:50])
        return list(given)
    return value.split(",")


def _wrong(name: str, must: str, found: str, code: str = "invalid_value") -> ApiError:
    return ApiError(f"`{name}` must {must}, but is '{found[:100]}' instead", code, param=name)
