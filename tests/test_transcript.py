"""Transcripts in their six written forms."""

import json

import pytest

from noisewise.decoding.hypothesis import Word
from noisewise.transcript import FormatError, Transcript, cues, overall_confidence, render, short_names

WORDS = [
    Word("ENTER", 0.5, 0.9, 0.99),
    Word("SIX", 1.0, 1.25, 0.5),
    Word("TWO", 3661.5, 3662.0, 0.75),
]
ONE = Transcript("calls/first call.wav", "ENTER SIX TWO", WORDS, 3700.0, 0.8)
BAD = Transcript("calls/second.wav", error="the file is empty")


def test_txt_of_one_is_its_text_and_of_several_names_the_source() -> None:
    assert render([ONE], "txt") == "ENTER SIX TWO\n"
    assert render([ONE, BAD], "txt") == "calls/first call.wav\tENTER SIX TWO\ncalls/second.wav\t\n"


def test_json_holds_words_with_times_and_confidences() -> None:
    document = json.loads(render([ONE, BAD], "json"))["transcripts"]
    assert document[0]["words"][1] == {"text": "SIX", "start": 1.0, "end": 1.25, "confidence": 0.5}
    assert document[0]["error"] is None
    assert document[1]["error"] == "the file is empty"


def test_srt_and_vtt_cut_at_the_pause_and_count_past_the_hour() -> None:
    assert render([ONE], "srt") == (
        "1\n00:00:00,500 --> 00:00:01,250\nENTER SIX\n\n2\n01:01:01,500 --> 01:01:02,000\nTWO\n"
    )
    assert render([ONE], "vtt") == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.250\nENTER SIX\n\n01:01:01.500 --> 01:01:02.000\nTWO\n"
    )


def test_a_rounded_clock_never_shows_a_thousand_milliseconds() -> None:
    late = Transcript("a.wav", "A", [Word("A", 59.9996, 60.2, 1.0)], 61.0, 1.0)
    assert "00:01:00,000 --> 00:01:00,200" in render([late], "srt")


def test_subtitles_hold_one_recording() -> None:
    with pytest.raises(FormatError, match="srt must hold one recording, but there are 2"):
        render([ONE, BAD], "srt")


def test_an_unknown_form_is_named() -> None:
    with pytest.raises(FormatError, match="one of txt, json, srt, vtt, tsv, ctm, but is 'docx'"):
        render([ONE], "docx")


def test_tsv_has_a_row_for_every_recording_also_the_bad_one() -> None:
    header, first, second = render([ONE, BAD], "tsv").splitlines()
    assert header.split("\t") == ["path", "duration_seconds", "text", "confidence", "error"]
    assert first.split("\t") == ["calls/first call.wav", "3700.000", "ENTER SIX TWO", "0.8000", ""]
    assert second.split("\t")[-1] == "the file is empty"


def test_ctm_is_six_columns_with_a_duration() -> None:
    lines = [line.split(" ") for line in render([ONE], "ctm").splitlines()]
    assert lines[1] == ["first_call", "1", "1.000", "0.250", "SIX", "0.5000"]


def test_names_stay_apart_when_two_folders_hold_the_same_name() -> None:
    assert short_names(["a/x.wav", "b/x.wav", "b/y.wav"]) == ["a_x.wav", "b_x.wav", "y"]


def test_long_speech_without_pauses_is_cut_to_readable_length() -> None:
    words = [Word("WORD", second * 0.5, second * 0.5 + 0.5, 1.0) for second in range(100)]
    pieces = list(cues(words))
    assert [word for piece in pieces for word in piece] == words
    assert all(piece[-1].end - piece[0].start <= 6.0 for piece in pieces)
    letters = [Word("W" * 40, second * 0.1, second * 0.1 + 0.1, 1.0) for second in range(10)]
    assert all(len(piece) <= 2 for piece in cues(letters))


def test_confidence_is_weighted_by_letters() -> None:
    assert overall_confidence([Word("A", 0, 1, 0.0), Word("BCD", 1, 2, 1.0)]) == pytest.approx(0.75)
    assert overall_confidence([]) == 0.0
