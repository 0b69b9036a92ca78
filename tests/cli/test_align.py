"""`noisewise align` from the words of the command line to files and exit status."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.audio import waveform
from noisewise.cli.main import main
from noisewise.inference.recogniser import Recogniser

SECONDS = 1.6


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with two recordings, a text, and a table that names four recordings, two of which cannot be aligned."""
    folder = tmp_path / "in"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("a.wav", "b.wav"):
        waveform.save(folder / name, (0.1 * random.standard_normal(round(16_000 * SECONDS))).astype(np.float32))
    (folder / "said.txt").write_text("Yes,\nfifty-one!\n")
    rows = ["path\ttext", "a.wav\tTWO", "b.wav\tNO", "missing.wav\tYES", f"b.wav\t{'LONG ' * 99}"]
    (folder / "table.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_one_recording_as_json(recordings: Path, model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["align", str(recordings / "a.wav"), str(recordings / "said.txt"), "--model", str(model_dir)]
    assert main(words) == 0
    (found,) = json.loads(capsys.readouterr().out)["transcripts"]
    assert found["text"] == "Yes, fifty-one!"
    assert found["duration"] == SECONDS
    first, second = found["words"]
    assert [letter["text"] for letter in first["characters"]] == [*"YES"]
    assert [letter["text"] for letter in second["characters"]] == [*"FIFTYONE"]
    times = [letter[edge] for word in (first, second) for letter in word["characters"] for edge in ("start", "end")]
    assert times == sorted(times)
    assert (first["start"], second["end"]) == (times[0], times[-1])
    assert 0 <= times[0] < times[-1] <= SECONDS + 0.04


def test_the_suffix_of_the_output_names_the_form(recordings: Path, model_dir: Path, tmp_path: Path) -> None:
    for name, begin in (("a.TextGrid", 'File type = "ooTextFile"'), ("a.ctm", "a 1 "), ("a.vtt", "WEBVTT")):
        output = tmp_path / "out" / name
        words = ["align", str(recordings / "a.wav"), "TWO", "--model", str(model_dir), "--output", str(output)]
        assert main(words) == 0
        assert output.read_text().startswith(begin)


def test_a_table_names_what_failed_and_writes_the_rest(
    recordings: Path, model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["align", str(recordings / "table.tsv"), "--model", str(model_dir), "--format", "textgrid"]
    assert main([*words, "--output", str(tmp_path / "out")]) == 1
    assert len([*(tmp_path / "out").glob("*.TextGrid")]) == 2
    missing, long = capsys.readouterr().err.splitlines()
    assert "missing.wav" in missing
    assert "no such file" in missing
    assert "b.wav: `text` must fit 1.6" in long
    assert "need at least" in long


def test_words_that_cannot_be_spelled_fail_or_are_stars(
    recordings: Path, model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["align", str(recordings / "a.wav"), "IN 2014 * YES", "--model", str(model_dir)]
    assert main(words) == 1
    assert "'2014' cannot be: it lacks 0 (1), 1 (1), 2 (1), 4 (1); spell it out" in capsys.readouterr().err
    assert main([*words, "--unknown", "star"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["transcripts"]
    assert [word["text"] for word in found["words"]] == ["IN", "2014", "*", "YES"]
    assert [bool(word["characters"]) for word in found["words"]] == [True, False, False, True]


def test_requests_that_cannot_be_met(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio, table = str(recordings / "a.wav"), recordings / "other.csv"
    table.write_text("path,said\na.wav,YES\n")
    (recordings / "empty.tsv").write_text("path\ttext\n")
    for words, sentence in (
        ([audio], "must come with its text"),
        ([audio, "nowhere.txt"], "`nowhere.txt` must be a text file"),
        ([audio, "YES", "--format", "txt"], "--format must be one of json, textgrid"),
        ([audio, "YES", "--unknown", "guess"], "--unknown must be error or star"),
        ([audio, "YES", "--model", "nowhere"], "`nowhere` must be 'box' or the folder"),
        ([str(table)], "line 2: must have a `path` and a `text`"),
        ([str(recordings / "empty.tsv")], "a row below, but holds none"),
        ([str(recordings / "table.tsv"), "--format", "srt"], "srt holds one recording, but 4 were given"),
    ):
        assert main(["align", *words]) == 2
        shown = capsys.readouterr()
        assert sentence in shown.err
        assert shown.err.count("\n") == 1
        assert shown.out == ""


def test_channels_are_aligned_apart_and_a_run_goes_on(
    recordings: Path, model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = [waveform.load(recordings / name) for name in ("a.wav", "b.wav")]
    soundfile.write(recordings / "call.wav", np.stack(sides, axis=1), 16_000, subtype="FLOAT")
    output = tmp_path / "out.json"
    words = ["align", str(recordings / "call.wav"), "TWO NO", "--model", str(model_dir), "--output", str(output)]
    assert main([*words, "--channels", "2,1", "--resume"]) == 0
    first = output.read_text()
    found = json.loads(first)["transcripts"]
    assert [each["channel"] for each in found] == [2, 1]
    for each, name in zip(found, ("b.wav", "a.wav"), strict=True):
        alone = tmp_path / f"{name}.json"
        assert main(["align", str(recordings / name), "TWO NO", "--model", str(model_dir), "--output", str(alone)]) == 0
        assert each["words"] == json.loads(alone.read_text())["transcripts"][0]["words"]
    assert main([*words, "--channels", "auto"]) == 2
    output.unlink()
    monkeypatch.setattr(Recogniser, "log_probs", None)  # nothing is left for the model
    assert main([*words, "--channels", "2,1", "--resume"]) == 0 and output.read_text() == first
