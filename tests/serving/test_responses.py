"""The formats of OpenAI's API."""

import json

import numpy as np
import pytest

from noisewise.decoding.alignment.align import AlignedWord
from noisewise.decoding.hypothesis import Word
from noisewise.inference.tags import Tags
from noisewise.inference.transcript import Transcript
from noisewise.serving import responses
from noisewise.serving.api_error import ApiError
from noisewise.serving.limits import Limits
from noisewise.serving.transcription_request import TranscriptionRequest, parse
from noisewise.text.tokenizer import CharacterTokenizer

WORDS = [Word("GO", 0.2, 0.5, 0.9), Word("ON", 0.6, 0.8, 0.5), Word("NOW", 2.0, 2.5, 1.0)]
TRANSCRIPT = Transcript("a.wav", "GO ON NOW", WORDS, 3.0, 0.8)


def asked(**fields: str) -> TranscriptionRequest:
    return parse(list(fields.items()), Limits())


def body(transcript: Transcript = TRANSCRIPT, **fields: str) -> object:
    return responses.body(transcript, asked(**fields), "en", CharacterTokenizer())


def test_json() -> None:
    assert body() == {"text": "GO ON NOW", "usage": {"type": "duration", "seconds": 3.0}}


def test_texts() -> None:
    assert body(response_format="text") == "GO ON NOW\n"
    assert body(response_format="srt") == TRANSCRIPT.to_srt()
    assert str(body(response_format="vtt")).startswith("WEBVTT\n\n00:00:00.200 -->")


@pytest.mark.parametrize(
    ("granularities", "keys"),
    [("", {"segments"}), ("segment", {"segments"}), ("word", {"words"}), ("word,segment", {"words", "segments"})],
)
def test_verbose_json(granularities: str, keys: set[str]) -> None:
    found = body(response_format="verbose_json", timestamp_granularities=granularities)
    assert isinstance(found, dict)
    always = {"task", "language", "duration", "text", "confidence", "usage"}
    assert found.keys() == always | keys
    assert (found["task"], found["language"], found["duration"]) == ("transcribe", "english", 3.0)
    if "words" in keys:
        assert found["words"][1] == {"word": "ON", "start": 0.6, "end": 0.8, "confidence": 0.5}


def test_segments_end_at_pauses() -> None:
    first, second = responses.segments(TRANSCRIPT, CharacterTokenizer())
    assert (first["text"], first["start"], first["end"]) == ("GO ON", 0.2, 0.8)
    assert (second["id"], second["text"], second["seek"]) == (1, "NOW", 200)
    assert first["avg_logprob"] == round((np.log(0.9) + np.log(0.5)) / 2, 4)
    assert CharacterTokenizer().decode(first["tokens"]) == "GO ON"
    whisper = {"id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob", "compression_ratio"}
    assert first.keys() == whisper | {"no_speech_prob", "confidence"}


def test_segments_are_not_longer_than_a_window() -> None:
    words = [Word("A", float(at), at + 0.9, 1.0) for at in range(70)]
    found = responses.segments(Transcript("a", " ".join("A" * 70), words, 70.0, 1.0))
    assert [each["start"] for each in found] == [0.0, 30.0, 60.0]
    assert all(each["end"] - each["start"] <= responses.SEGMENT_SECONDS for each in found)


def test_a_text_without_times_is_one_segment() -> None:
    (found,) = responses.segments(Transcript("a", "GO ON", [], 2.0))
    assert (found["start"], found["end"], found["text"], found["tokens"]) == (0.0, 2.0, "GO ON", [])
    assert responses.segments(Transcript("a", "", [], 2.0)) == []


def letters(text: str, start: float, probability: float) -> AlignedWord:
    spelled = [Word(letter, start, start + 0.1, probability) for letter in text]
    return AlignedWord(text, start, start + 0.1, probability, spelled)


def test_logprobs_join_to_the_text() -> None:
    words = [letters("GÖ", 0.0, 0.5), letters("ON", 0.2, 0.0), letters("NOW", 5.0, 1.0)]
    found = Transcript("a", "GÖ ON NOW", [*words], 6.0, 0.5)
    (values,) = [responses.body(found, asked(include="logprobs"), "en", None)]
    assert isinstance(values, dict)
    each = values["logprobs"]
    assert "".join(one["token"] for one in each) == found.text
    assert bytes(byte for one in each for byte in one["bytes"]).decode() == found.text
    assert [one["logprob"] for one in each][:3] == [-0.6931, -0.6931, round(float(np.log(1e-10)), 4)]


def events(transcript: Transcript, **fields: str) -> list[dict[str, object]]:
    *found, done = responses.deltas(transcript, asked(stream="true", **fields))
    assert done == "data: [DONE]\n\n"
    assert all(each.startswith("data: ") and each.endswith("\n\n") for each in found)
    return [json.loads(each.removeprefix("data: ")) for each in found]


@pytest.mark.parametrize("include", ["", "logprobs"])
def test_deltas_join_to_the_text(include: str) -> None:
    *found, done = events(TRANSCRIPT, include=include)
    assert [each["delta"] for each in found] == ["GO ON", " NOW"]
    assert done["type"] == "transcript.text.done" and done["text"] == "GO ON NOW"
    if include:
        tokens = [one["token"] for each in found for one in each["logprobs"]]  # type: ignore[attr-defined]
        assert "".join(tokens) == "GO ON NOW"


def test_an_empty_transcript_streams_too() -> None:
    (done,) = events(Transcript("a"))
    assert done == {"type": "transcript.text.done", "text": ""}


def test_a_text_that_words_do_not_join_to_is_one_delta() -> None:
    delta, _ = events(Transcript("a", "Go on, now.", WORDS, 3.0))
    assert delta["delta"] == "Go on, now."


def test_a_failure_is_an_event() -> None:
    assert json.loads(responses.failure(ApiError("no", "x"))[6:])["error"]["code"] == "x"


def test_tags() -> None:
    tags = Tags("a", ["dog", "rain"], np.array([0.25, 0.75], np.float32), duration=2.0)
    found = responses.tags_body("sounds", tags, 1, 0.0)
    assert found == {
        "object": "audio.tags",
        "model": "sounds",
        "duration": 2.0,
        "tags": [{"label": "rain", "probability": 0.75}],
        "windows": [],
    }
