"""The fields of a form, as SDKs and other servers spell them."""

from typing import Any

import pytest

from noisewise.serving.api_error import ApiError
from noisewise.serving.limits import Limits
from noisewise.serving.transcription_request import checked_hotwords, parse

LIMITS = Limits(most_hotwords=3)


def test_defaults() -> None:
    asked = parse([("model", "box"), ("language", ""), ("prompt", "")], LIMITS)
    assert (asked.model, asked.response_format, asked.granularities) == ("box", "json", ("segment",))
    assert not (asked.stream or asked.logprobs or asked.hotwords or asked.languages or asked.ignored)


def test_what_the_sdk_puts_on_the_wire() -> None:
    fields = [
        ("file", object()),
        ("model", "box"),
        ("language", "en"),
        ("prompt", "Anna, Bob"),
        ("response_format", "verbose_json"),
        ("temperature", "0.0"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("keywords[]", " Anna  Lee "),
        ("keywords[]", "Bob"),
        ("languages[]", "de"),
        ("known_speaker_names[]", "Anna"),
        ("chunking_strategy[type]", "server_vad"),
        ("chunking_strategy[threshold]", "0.5"),
    ]
    asked = parse(fields, LIMITS)
    assert asked.granularities == ("word", "segment")
    assert asked.hotwords == (("Anna Lee", None), ("Bob", None))
    assert (asked.languages, asked.prompt) == (("en", "de"), "Anna, Bob")
    assert asked.ignored == ("known_speaker_names",)


@pytest.mark.parametrize("name", ["hotwords", "hotwords[]"])
@pytest.mark.parametrize("value", ["Anna,Bob", '["Anna", "Bob"]'])
def test_hotwords_as_other_servers_spell_them(name: str, value: str) -> None:
    assert parse([(name, value)], LIMITS).hotwords == (("Anna", None), ("Bob", None))


def test_names_without_brackets() -> None:
    asked = parse([("timestamp_granularities", "word,segment"), ("response_format", "verbose_json")], LIMITS)
    assert asked.granularities == ("word", "segment")
    assert parse([("include", "logprobs")], LIMITS).logprobs
    assert parse([("keywords", "a"), ("keywords", "b")], LIMITS).hotwords == (("a", None), ("b", None))


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_stream_is_of_json_or_text(form: str) -> None:
    assert parse([("stream", "true"), ("response_format", form)], LIMITS).stream
    assert not parse([("stream", "False"), ("response_format", form)], LIMITS).stream


def test_a_stream_of_another_format_is_passed_over() -> None:
    asked = parse([("stream", "true"), ("response_format", "srt")], LIMITS)
    assert (asked.stream, asked.ignored) == (False, ("stream",))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities[]"),
        ({"timestamp_granularities[]": "letter", "response_format": "verbose_json"}, "timestamp_granularities[]"),
        ({"include[]": "logprobs", "response_format": "text"}, "include[]"),
        ({"include[]": "everything"}, "include[]"),
        ({"temperature": "2"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"stream": "perhaps"}, "stream"),
        ({"chunking_strategy": "none"}, "chunking_strategy"),
        ({"chunking_strategy": "{"}, "chunking_strategy"),
        ({"chunking_strategy": '{"type": "server_vad", "threshold": 2}'}, "chunking_strategy[threshold]"),
        ({"chunking_strategy[type]": "server_vad", "chunking_strategy[x]": "1"}, "chunking_strategy[x]"),
        ({"chunking_strategy[threshold]": "0.5"}, "chunking_strategy"),
        ({"hotwords": "[1]"}, "hotwords"),
        ({"hotwords": "a,b,c,d"}, "keywords[]"),
        ({"keywords[]": "a" * 101}, "keywords[]"),
    ],
)
def test_what_cannot_be_used_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as found:
        parse(list(fields.items()), LIMITS)
    assert (found.value.status, found.value.param) == (400, param)


@pytest.mark.parametrize(
    "value", ["auto", '{"type": "auto"}', '{"type": "server_vad", "threshold": 0.3, "silence_duration_ms": 200}']
)
def test_chunking_strategies(value: str) -> None:
    assert parse([("chunking_strategy", value)], LIMITS).ignored == ()


def test_the_first_boost_of_a_hotword_counts() -> None:
    assert checked_hotwords([("a", 2.0), (" a ", None), (" ", 1.0)], LIMITS) == (("a", 2.0),)
