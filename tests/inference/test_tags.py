"""Tags in their written forms."""

import csv
import io
import json

import numpy as np
import pytest

from noisewise.errors import ConfigError
from noisewise.inference.tags import Tag, Tags, Window, render, spelled

LABELS = ["dog", "rain, heavy", "a\tsiren"]


def tagged() -> list[Tags]:
    windows = [
        Window(0.0, 2.0, np.array([0.1, 0.7, 0.2], np.float32)),
        Window(1.5, 3.5, np.array([0.25, 0.25, 0.5], np.float32)),
    ]
    long = Tags("a b.wav", LABELS, np.array([0.2, 0.5, 0.3], np.float32), windows, 3.5)
    short = Tags("c.wav", LABELS, windows[0].probabilities, windows[:1], 2.0)
    return [long, Tags("bad.wav", LABELS, np.zeros(0, np.float32), error="`bad.wav` must be audio"), short]


def test_the_likeliest_come_first_and_equals_in_the_order_of_the_classes() -> None:
    sounds = tagged()[0].sounds(top=2)
    assert [tag.label for tag in sounds.tags] == ["rain, heavy", "a\tsiren"]
    assert [tag.label for tag in tagged()[0].sounds().windows[1].tags] == ["a\tsiren", "dog", "rain, heavy"]
    assert tagged()[0].sounds(threshold=0.25).windows[1].tags == [
        Tag("a\tsiren", 0.5),
        Tag("dog", 0.25),
        Tag("rain, heavy", 0.25),
    ]
    assert tagged()[0].sounds(threshold=1.0).tags == []


def test_json_holds_labels_probabilities_and_times() -> None:
    first, bad, last = json.loads(render(tagged(), "json", top=1))["recordings"]
    assert first == {
        "source": "a b.wav",
        "duration": 3.5,
        "tags": [{"label": "rain, heavy", "probability": 0.5}],
        "windows": [
            {"start": 0.0, "end": 2.0, "tags": [{"label": "rain, heavy", "probability": 0.7}]},
            {"start": 1.5, "end": 3.5, "tags": [{"label": "a\tsiren", "probability": 0.5}]},
        ],
        "error": None,
    }
    assert bad["error"] == "`bad.wav` must be audio" and bad["tags"] == bad["windows"] == []
    assert last["source"] == "c.wav"


def test_tables_have_a_row_for_each_label() -> None:
    rows = list(csv.DictReader(io.StringIO(render(tagged(), "csv", top=2, threshold=0.3))))
    assert [(row["path"], row["of"], row["start"], row["end"], row["label"], row["probability"]) for row in rows] == [
        ("a b.wav", "recording", "0.000", "3.500", "rain, heavy", "0.5000"),
        ("a b.wav", "recording", "0.000", "3.500", "a\tsiren", "0.3000"),
        ("a b.wav", "window", "0.000", "2.000", "rain, heavy", "0.7000"),
        ("a b.wav", "window", "1.500", "3.500", "a\tsiren", "0.5000"),
        ("bad.wav", "recording", "", "", "", ""),
        ("c.wav", "recording", "0.000", "2.000", "rain, heavy", "0.7000"),
        ("c.wav", "window", "0.000", "2.000", "rain, heavy", "0.7000"),
    ]
    assert rows[4]["error"] == "`bad.wav` must be audio"
    lines = render(tagged(), "tsv", top=2, threshold=0.3).splitlines()
    assert len(lines) == 8 and all(line.count("\t") == 6 for line in lines)
    assert lines[2] == "a b.wav\trecording\t0.000\t3.500\ta siren\t0.3000\t"


def test_text_is_a_line_a_recording_and_windows_where_there_are_several() -> None:
    assert render(tagged(), "text", top=1) == (
        "a b.wav\train, heavy 0.50\n"
        "      0.00 to     2.00 s\train, heavy 0.70\n"
        "      1.50 to     3.50 s\ta siren 0.50\n"
        "c.wav\train, heavy 0.70\n"
    )
    assert spelled([]) == ""


@pytest.mark.parametrize("asked", [{"form": "xml"}, {"form": "json", "top": 0}, {"form": "json", "threshold": 1.5}])
def test_what_cannot_be_written_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        render(tagged(), **asked)  # type: ignore[arg-type]
