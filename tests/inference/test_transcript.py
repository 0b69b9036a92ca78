"""Transcripts in their written forms."""

import json
import re

import pytest

from noisewise.decoding.alignment.align import AlignedWord
from noisewise.decoding.hypothesis import Word
from noisewise.errors import ConfigError
from noisewise.inference.transcript import (
    Transcript,
    cues,
    overall_confidence,
    render,
    short_names,
    without_doubtful,
)

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
    with pytest.raises(ConfigError, match="srt must hold one recording, but there are 2"):
        render([ONE, BAD], "srt")


def test_an_unknown_form_is_named() -> None:
    with pytest.raises(ConfigError, match="one of txt, json, srt, vtt, tsv, ctm, textgrid, but is 'docx'"):
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


def read_textgrid(document: str) -> dict[str, list[tuple[float, float, str]]]:
    """Tier name to intervals, as Praat reads the long text form: numbers, quoted texts and <flags> in a fixed order."""
    head, _, rest = document.partition("\n\n")
    assert head == 'File type = "ooTextFile"\nObject class = "TextGrid"'
    values = iter(re.findall(r'(?:= |: size = |\? )("(?:[^"]|"")*"|<exists>|-?\d+(?:\.\d+)?) ?$', rest, re.MULTILINE))

    def number() -> float:
        return float(next(values))

    def text() -> str:
        value = next(values)
        assert value[0] == value[-1] == '"'
        return value[1:-1].replace('""', '"')

    whole = (number(), number())
    assert next(values) == "<exists>"
    tiers: dict[str, list[tuple[float, float, str]]] = {}
    for _ in range(int(number())):
        assert text() == "IntervalTier"
        name = text()
        assert (number(), number()) == whole
        tiers[name] = [(number(), number(), text()) for _ in range(int(number()))]
        edges = [0.0, *(end for _, end, _ in tiers[name])]
        assert [start for start, _, _ in tiers[name]] == edges[:-1], "intervals must follow each other without holes"
        assert edges[-1] == whole[1]
        assert edges == sorted(set(edges)), "no interval may be empty"
    assert next(values, None) is None
    return tiers


def test_a_textgrid_covers_the_recording_and_quotes_double() -> None:
    said = [Word('SAY "A"', 0.04, 0.2, 1.0), Word("B", 0.2, 0.36, 1.0), Word("C", 0.48, 1.0, 1.0)]
    tiers = read_textgrid(render([Transcript("a.wav", "", said, 1.0)], "textgrid"))
    assert tiers == {
        "words": [(0.0, 0.04, ""), (0.04, 0.2, 'SAY "A"'), (0.2, 0.36, "B"), (0.36, 0.48, ""), (0.48, 1.0, "C")]
    }


def test_a_textgrid_has_a_tier_of_letters_where_they_are_known() -> None:
    letters = [Word("H", 0.1, 0.14, 0.9), Word("I", 0.18, 0.22, 0.9)]
    words = [AlignedWord("Hi!", 0.1, 0.22, 0.9, letters), AlignedWord("*", 0.22, 0.5, 0.0)]
    tiers = read_textgrid(render([Transcript("a.wav", "", words, 0.4)], "textgrid"))  # the last frame is not whole
    assert tiers["words"] == [(0.0, 0.1, ""), (0.1, 0.22, "Hi!"), (0.22, 0.5, "*")]
    assert tiers["characters"][1:4] == [(0.1, 0.14, "H"), (0.14, 0.18, ""), (0.18, 0.22, "I")]


def test_a_textgrid_of_nothing_is_one_empty_interval() -> None:
    assert read_textgrid(render([Transcript("a.wav", duration=2.0)], "textgrid")) == {"words": [(0.0, 2.0, "")]}


def test_letters_are_in_json_and_a_textgrid_holds_one_recording() -> None:
    word = AlignedWord("A", 0.0, 0.5, 0.9, [Word("A", 0.0, 0.5, 0.9)])
    (found,) = json.loads(render([Transcript("a.wav", "A", [word], 1.0, 0.9)], "json"))["transcripts"]
    assert found["words"][0]["characters"] == [{"text": "A", "start": 0.0, "end": 0.5, "confidence": 0.9}]
    with pytest.raises(ConfigError, match="textgrid must hold one recording"):
        render([ONE, ONE], "textgrid")


def test_stretches_that_the_model_is_unsure_of_are_no_speech() -> None:
    sure = [Word("ENTER", 1.0, 1.4, 0.9), Word("T", 2.0, 2.1, 0.2)]
    unsure = [Word("S", 6.0, 6.1, 0.3), Word("SI", 8.0, 8.3, 0.5)]
    assert without_doubtful([*sure, *unsure], 0.46) == (sure, unsure)
    assert without_doubtful([*unsure[:1], *sure], 0.0) == ([*unsure[:1], *sure], [])
    near = [*sure, Word("S", 5.0, 5.1, 0.3)]
    assert without_doubtful(near, 0.46) == (near, [])
    assert without_doubtful([], 0.46) == ([], [])


@pytest.mark.parametrize("form", ["txt", "tsv", "ctm", "srt", "vtt", "json"])
@pytest.mark.parametrize("bad", ["\x1b[2J", "\x9b2J", "\udcff", "\u202e"])
def test_nothing_written_controls_a_terminal(form: str, bad: str) -> None:
    text = render([Transcript(f"a{bad}.wav", f"GO{bad}", [Word(f"GO{bad}", 0.0, 1.0, 0.9)], duration=1.0)], form)
    assert text.encode() and bad not in text and "\\u" in text


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "@SUM(A1)", "-x.wav"])
def test_no_cell_of_a_table_is_a_formula(cell: str) -> None:
    rows = render([Transcript(cell, cell, duration=1.0)], "tsv").splitlines()
    assert rows[1].startswith(f"'{cell}\t1.000\t'{cell}\t0.0000\t")
