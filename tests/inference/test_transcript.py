"""Transcripts in their written forms."""

import csv
import io
import json
import re
import unicodedata

import pytest

from noisewise.decoding.alignment.align import AlignedWord
from noisewise.decoding.hypothesis import Word
from noisewise.errors import ConfigError, DataError
from noisewise.inference.tags import Sounds, Tag, TaggedWindow
from noisewise.inference.transcript import (
    Alternative,
    Transcript,
    moved,
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
        "1\n00:00:00,500 --> 00:00:01,500\nENTER SIX\n\n2\n01:01:01,500 --> 01:01:02,500\nTWO\n"
    )
    assert ONE.to_vtt(min_seconds=0.1, trail=0.0) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.250\nENTER SIX\n\n01:01:01.500 --> 01:01:02.000\nTWO\n"
    )


def test_a_rounded_clock_never_shows_a_thousand_milliseconds() -> None:
    late = Transcript("a.wav", "A", [Word("A", 59.9996, 60.2, 1.0)], 61.0, 1.0)
    assert "00:01:00,000 --> 00:01:01,000" in render([late], "srt")


def test_subtitles_hold_one_recording() -> None:
    with pytest.raises(ConfigError, match="srt must hold one recording, but there are 2"):
        render([ONE, BAD], "srt")


def test_an_unknown_form_is_named() -> None:
    with pytest.raises(ConfigError, match="one of txt, json, srt, vtt, tsv, csv, ctm, rttm, textgrid, but is 'docx'"):
        render([ONE], "docx")


def test_tsv_has_a_row_for_every_recording_also_the_bad_one() -> None:
    header, first, second = render([ONE, BAD], "tsv").splitlines()
    assert header.split("\t") == ["path", "duration_seconds", "text", "confidence", "error", "channel"]
    assert first.split("\t") == ["calls/first call.wav", "3700.000", "ENTER SIX TWO", "0.8000", "", ""]
    assert second.split("\t")[-2] == "the file is empty"


def test_ctm_is_six_columns_with_a_duration() -> None:
    lines = [line.split(" ") for line in render([ONE], "ctm").splitlines()]
    assert lines[1] == ["first_call", "1", "1.000", "0.250", "SIX", "0.5000"]


def test_names_stay_apart_when_two_folders_hold_the_same_name() -> None:
    assert short_names(["a/x.wav", "b/x.wav", "b/y.wav"]) == ["a_x.wav", "b_x.wav", "y"]


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["a/b/x.wav", "a_b/x.wav"], ["a_b_x.wav", "a_b_x.wav_2"]),
        (["x.wav", "x.flac", "x.wav"], ["x.wav", "x.flac", "x.wav_2"]),
        (["c/x.wav", "x_2.wav", "c/x.wav"], ["x", "x_2", "x_3"]),
        (["X.wav", "d/x.wav"], ["X.wav", "d_x.wav"]),
        (["/long/way/a/x.wav", "/long/way/b/x.wav"], ["a_x.wav", "b_x.wav"]),
        ([".wav", "..wav", "/", ""], ["wav", "_wav", "recording", "recording_2"]),
    ],
)
def test_no_two_recordings_share_a_name(sources: list[str], names: list[str]) -> None:
    found = short_names(sources)
    assert len({name.lower() for name in found}) == len(sources)
    if sources[0] != ".wav":
        assert found == names
    assert all(name and "/" not in name and not name.startswith(".") for name in found)
    (long,) = short_names(["ü" * 3000 + "end.wav"])
    assert long.endswith("end") and len(long.encode()) < 200


def test_what_ends_cues_cells_and_rows_is_escaped() -> None:
    texts = ["AT&T", "E<i>F</i>", "nine-->", "a\u2028b\tc\nd", "\x1b[2Jx", "\udcff"]
    words = [Word(text, at, at + 0.5, 1.0) for at, text in enumerate(texts)]
    one = Transcript("a\tb.wav", "=1+1", words, 6.0, 1.0, error="bad\nline")
    vtt = render([one], "vtt")
    assert "AT&amp;T" in vtt and "E&lt;i&gt;F&lt;/i&gt;" in vtt and "nine--&gt;" in vtt
    assert [line for line in vtt.splitlines() if "-->" in line] == [
        line for line in vtt.splitlines() if line.startswith("00:")
    ]
    assert all("-->" not in line for line in render([one], "srt").splitlines() if "nine" in line)
    for form in ("srt", "vtt", "ctm", "tsv", "csv", "txt", "textgrid", "rttm", "json"):
        document = render([one], form)
        document.encode()
        assert not {"\x1b", "\u2028"} & {*document}
    assert all(len(line.split(" ")) == 6 for line in render([one], "ctm").splitlines())
    header, row = render([one], "tsv").splitlines()
    assert len(row.split("\t")) == len(header.split("\t")) and row.split("\t")[2] == "'=1+1"
    (cells,) = csv.DictReader(io.StringIO(render([Transcript("-a,b.wav", 'SAY "A"')], "csv")))
    assert (cells["path"], cells["text"]) == ("./-a,b.wav", 'SAY "A"')


CALL = [
    Transcript("call.wav", "HI", [Word("HI", 0.5, 0.9, 1.0)], 3.0, 1.0, channel=1),
    Transcript("call.wav", "YES <B", [Word("YES", 0.2, 0.4, 1.0), Word("<B", 2.0, 2.2, 1.0)], 3.0, 1.0, channel=2),
]


def test_the_channel_is_kept_in_every_form() -> None:
    assert [line.split()[1] for line in render(CALL, "ctm").splitlines()] == ["1", "2", "2"]
    assert render(CALL, "rttm").splitlines()[1:] == [
        "SPEAKER call 2 0.200 0.200 <NA> <NA> channel_2 <NA> <NA>",
        "SPEAKER call 2 2.000 0.200 <NA> <NA> channel_2 <NA> <NA>",
    ]
    assert [each["channel"] for each in json.loads(render(CALL, "json"))["transcripts"]] == [1, 2]
    assert [row.split("\t")[5] for row in render(CALL, "tsv").splitlines()[1:]] == ["1", "2"]
    assert render(CALL, "txt") == "call.wav (channel 1)\tHI\ncall.wav (channel 2)\tYES <B\n"
    cues_of = render(CALL, "srt").split("\n\n")
    assert [cue.splitlines()[2] for cue in cues_of] == ["Channel 2: YES", "Channel 1: HI", "Channel 2: <B"]
    assert "<v Channel 2>&lt;B" in render(CALL, "vtt")
    assert [*read_textgrid(render(CALL, "textgrid"))] == ["words channel 1", "words channel 2"]
    with pytest.raises(ConfigError, match="must hold one recording"):
        render([*CALL, CALL[0]], "srt")


def test_plain_values_make_the_same_transcript() -> None:
    aligned = AlignedWord("A", 0.0, 0.5, 0.9, [Word("A", 0.0, 0.5, 0.9)])
    sounds = Sounds([Tag("rain", 0.5)], [TaggedWindow(0.0, 1.0, [Tag("rain", 0.5)])])
    full = Transcript("a.wav", "A", [aligned], 1.0, 0.9, [Alternative("B", -1.0)], WORDS, sounds, "cut", 2, 3.0, True)
    for one in (full, ONE, BAD):
        assert Transcript.from_dict(one.to_dict()) == one
        assert Transcript.from_dict(json.loads(one.to_json())) == one
        assert {*one.to_dict()} == {*BAD.to_dict()}
    assert Transcript.from_dict({"source": "a", "later": 1}) == Transcript("a")
    for broken in (
        {},
        {"source": "a", "words": [1]},
        {"source": "a", "words": [{"text": "a"}]},
        {"source": "a", "sounds": 3},
    ):
        with pytest.raises(DataError, match=r"must be those of `Transcript.to_dict`"):
            Transcript.from_dict(broken)
    assert moved(full, 10.0).words[0].characters[0].start == 10.0  # type: ignore[attr-defined]
    with pytest.warns(DeprecationWarning):
        assert ONE[0] is ONE


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
    words: list[Word] = [AlignedWord("Hi!", 0.1, 0.22, 0.9, letters), AlignedWord("*", 0.22, 0.5, 0.0)]
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


@pytest.mark.parametrize("form", ["txt", "tsv", "csv", "ctm", "srt", "vtt", "json", "rttm", "textgrid"])
@pytest.mark.parametrize("bad", ["\x1b[2J", "\x9b2J", "\udcff", "\u202e", "\u2066", "\r", "\x7f"])
def test_nothing_written_controls_a_terminal(form: str, bad: str) -> None:
    one = Transcript(f"a{bad}b.wav", f"GO{bad}UP", [Word(f"GO{bad}UP", 0.0, 1.0, 0.9)], duration=1.0)
    text = render([one], form)
    assert text.encode()
    assert not [
        letter
        for letter in text
        if letter not in "\n\t" and (unicodedata.category(letter) in ("Cc", "Cs") or letter in "\u202e\u2066")
    ]
    assert form == "rttm" or ("GO" in text and "UP" in text)


@pytest.mark.parametrize("form", ["tsv", "csv"])
@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "@SUM(A1)", "-x.wav", "\u202e=1+1", "\x1b=1+1", " =1+1", "＝1"])
def test_no_cell_of_a_table_is_a_formula(form: str, cell: str) -> None:
    sounds = Sounds([Tag(cell, 0.5)], [])
    document = render([Transcript(cell, cell, duration=1.0, error=cell, sounds=sounds)], form)
    header, row = csv.reader(io.StringIO(document), delimiter="\t" if form == "tsv" else ",")
    cells = dict(zip(header, row, strict=True))
    assert not [each for each in row if each.lstrip().startswith(tuple("=+-@＝＋－＠"))]
    visible = cell.strip(" \u202e\x1b")
    assert all(cells[name].endswith(visible) for name in ("path", "text", "error"))
