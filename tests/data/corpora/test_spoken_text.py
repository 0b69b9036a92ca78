import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisewise.audio.mix import rms
from noisewise.data.corpora import spoken_text
from noisewise.data.corpora.preparation import Part
from noisewise.data.manifests.read import column, load_audio, read, text_of
from noisewise.errors import DataError

Calls = list[list[str]]
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text("".join(f"The {first} and the {second} went on.\n" for first in WORDS for second in WORDS[:4]))
    return path


def made(text: Path, output: Path, **options: Any) -> Part:
    chosen: dict[str, Any] = {"voice": ["espeak"], "seed": 3, "workers": 1} | options
    (part,) = spoken_text.prepare(text, output, **chosen)
    return part


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "flac").iterdir()}


def test_entries_say_how_they_were_spoken(text: Path, tmp_path: Path, espeak_calls: Calls) -> None:
    part = made(text, tmp_path / "out", limit=6, rooms=0.5)
    assert (part.utterances, part.texts) == (6, 6)
    cuts = list(read(tmp_path / "out"))
    lines = text.read_text().splitlines()
    for cut in cuts:
        file, _, line = str(column(cut, "source")).partition(":")
        assert file == "book.txt" and lines[int(line) - 1] == text_of(cut)
        assert cut.speaker and column(cut, "voice") == "espeak:" and "GPL" in str(column(cut, "licence"))
        assert 0.8 <= float(str(column(cut, "speed"))) <= 1.25 and abs(float(str(column(cut, "pitch")))) <= 3
        samples = load_audio(cut)
        assert cut.sample_rate == 16_000 and -45 < 20 * np.log10(rms(samples)) < -12
    assert len({text_of(cut) for cut in cuts}) == 6
    assert 0 < sum(column(cut, "room_seconds") is not None for cut in cuts) < 6


def test_neither_workers_nor_size_change_an_utterance(text: Path, tmp_path: Path, espeak_calls: Calls) -> None:
    made(text, tmp_path / "one", limit=4)
    made(text, tmp_path / "two", limit=8, workers=3)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert len(two) == 8 and one.items() <= two.items()
    made(text, tmp_path / "other", limit=4, seed=4)
    assert not set(one.values()) & set(contents(tmp_path / "other").values())


def test_a_run_goes_on_where_it_stopped(text: Path, tmp_path: Path, espeak_calls: Calls) -> None:
    made(text, tmp_path / "out", limit=3)
    before, stamps = len(espeak_calls), [path.stat().st_mtime_ns for path in sorted((tmp_path / "out/flac").iterdir())]
    assert made(text, tmp_path / "out", limit=5).utterances == 5
    assert len(espeak_calls) == before + 2
    assert [path.stat().st_mtime_ns for path in sorted((tmp_path / "out/flac").iterdir())][:3] == stamps
    assert not made(text, tmp_path / "out", limit=5).fresh
    with pytest.raises(DataError, match="choose another folder"):
        made(text, tmp_path / "out", limit=5, rooms=0.5)


@pytest.mark.parametrize("workers", [1, 3])
def test_hours_end_the_corpus_and_nothing_lies_beside_it(
    text: Path, tmp_path: Path, espeak_calls: Calls, workers: int
) -> None:
    part = made(text, tmp_path / "out", hours=0.006, workers=workers)
    assert 21.6 <= part.seconds < 28 and part.utterances < 15
    assert len(contents(tmp_path / "out")) == part.utterances


def test_a_sentence_that_fails_is_listed_and_the_rest_goes_on(text: Path, tmp_path: Path, espeak_calls: Calls) -> None:
    text.write_text(text.read_text() + "This is quite unspeakable I think.\nThis is a silent one here.\n")
    part = made(text, tmp_path / "out")
    assert part.utterances == 40 and len(part.rejected) == 2
    lines = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert {line["reason"] for line in lines} == {"voice"} and any("unspeakable" in line["message"] for line in lines)


def test_a_reading_at_an_impossible_rate_is_rejected(text: Path, tmp_path: Path, espeak_calls: Calls) -> None:
    with pytest.raises(DataError, match=r"but has 12\.0"):
        spoken_text._check_rate("one two three", 0.25)


def test_what_is_unknown_or_left_out_is_said(
    text: Path, tmp_path: Path, espeak_calls: Calls, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text.write_text(text.read_text() + "He came in 1865 or later.\n")
    monkeypatch.setattr("noisewise.data.voices.espeak.LICENCE", "")
    made(text, tmp_path / "out", limit=1)
    assert "40 sentences can be spoken; left out: 1 (numerals" in caplog.text
    assert "the licence of the voice espeak is unknown" in caplog.text
    (cut,) = read(tmp_path / "out")
    assert column(cut, "licence") == "unknown"


def test_a_folder_of_texts(text: Path, tmp_path: Path, espeak_calls: Calls) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "b.txt").write_text("We went home early today.\n")
    (folder / "a.txt").write_text("They came home late today.\n")
    (folder / "SOURCE.md").write_text("This is not to be spoken.\n")
    assert made(folder, tmp_path / "out").utterances == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minimum_words": 5, "maximum_words": 4}, "not above `maximum_words`"),
        ({"hours": float("nan")}, "`hours` must be above 0"),
        ({"rooms": 1.5}, "between 0 and 1"),
        ({"minimum_words": 20, "maximum_words": 30}, r"holds none; left out: 40 \(too short or too long\)"),
    ],
)
def test_what_cannot_be_asked_for(
    text: Path, tmp_path: Path, espeak_calls: Calls, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        made(text, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
