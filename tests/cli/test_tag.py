"""`noisewise tag` from the words of the command line to files and exit status."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from noisewise.audio import waveform
from noisewise.cli.main import main
from noisewise.inference.tagger import Tagger


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with a recording of two windows, one of one window deeper, and a file that is none."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    random = np.random.default_rng(0)
    for seconds, name in ((2.5, "b.wav"), (1.0, "deep/A.FLAC")):
        waveform.save(folder / name, (0.1 * random.standard_normal(round(16_000 * seconds))).astype(np.float32))
    (folder / "notes.txt").write_text("no audio")
    return folder


def test_a_folder_as_json(recordings: Path, tagger_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tag", str(recordings), "--model", str(tagger_dir), "--format", "json", "--top", "2"]) == 0
    first, second = json.loads(capsys.readouterr().out)["recordings"]
    assert [Path(each["source"]).name for each in (first, second)] == ["b.wav", "A.FLAC"]
    assert [(each["start"], each["end"]) for each in first["windows"]] == [(0.0, 2.0), (0.5, 2.5)]
    assert [len(each["tags"]) for each in (first, second)] == [2, 2]
    expected = Tagger.load(tagger_dir).tag(recordings / "b.wav")
    assert first["tags"][0]["probability"] == pytest.approx(float(expected.probabilities.max()), abs=1e-3)


def test_a_bad_file_is_named_and_the_rest_is_written(
    recordings: Path, tagger_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recordings / "broken.wav").write_bytes(b"RIFF....WAVE")
    words = ["tag", str(recordings), "--model", str(tagger_dir), "--format", "csv", "--window", "1", "--hop", "1"]
    assert main([*words, "--output", str(tmp_path / "out")]) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["A.csv", "b.csv"]
    shown = capsys.readouterr()
    assert shown.out == "" and "broken.wav" in shown.err and shown.err.count("\n") == 1
    rows = list(csv.DictReader((tmp_path / "out" / "b.csv").open()))
    assert {row["start"] for row in rows if row["of"] == "window"} == {"0.000", "1.000", "1.500"}
    assert main([*words, "--output", str(tmp_path / "all.csv")]) == 1
    assert {Path(row["path"]).name for row in csv.DictReader((tmp_path / "all.csv").open())} == {
        "A.FLAC",
        "b.wav",
        "broken.wav",
    }


def test_unlikely_labels_are_left_out(recordings: Path, tagger_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["tag", str(recordings / "b.wav"), "--model", str(tagger_dir), "--threshold", "0.3"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0].startswith(str(recordings / "b.wav")) and lines[1].startswith("      0.00 to")
    assert main([*words, "--format", "tsv"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()[1:]]
    assert {row[1] for row in rows} == {"recording", "window"}
    assert min(float(row[5]) for row in rows) >= 0.3 and len(rows) <= 9


def test_requests_that_cannot_be_met(
    recordings: Path, tagger_dir: Path, model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = [str(recordings), "--model", str(tagger_dir)]
    for words, sentence in (
        ([*right, "--format", "xml"], "format must be one of text, json, csv, tsv"),
        ([*right, "--hop", "4"], "`hop_seconds` must be at most `window_seconds`, 2"),
        ([*right, "--top", "0"], "`top` must be 1 or more"),
        ([*right, "--device", "gpuu"], "`device` must be one that torch can use"),
        ([str(recordings), "--model", str(model_dir)], "must hold a tagger"),
        ([str(recordings), "--model", "nowhere"], "there is no such folder"),
    ):
        assert main(["tag", *words]) == 2
        shown = capsys.readouterr()
        assert sentence in shown.err and shown.err.count("\n") == 1 and shown.out == ""


def test_parts_of_a_table_and_a_run_that_goes_on(
    recordings: Path, tagger_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, output = recordings / "parts.tsv", tmp_path / "out.json"
    table.write_text("path\tstart\tduration\nb.wav\t0\t1\nb.wav\t1.5\t1\n")
    words = ["tag", str(table), "--model", str(tagger_dir), "--format", "json", "--output", str(output), "--resume"]
    assert main(words) == 0
    first = output.read_text()
    starts = [[each["start"] for each in one["windows"]] for one in json.loads(first)["recordings"]]
    assert starts == [[0.0], [1.5]]
    monkeypatch.setattr(Tagger, "probabilities", None)  # nothing is left for the model
    output.unlink()
    assert main(words) == 0 and output.read_text() == first
    assert main([*words[:-3], "--resume"]) == 2, "beside what should the state be?"
