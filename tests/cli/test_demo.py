"""`noisewise demo` on an untrained model: the numbers are bad, the form is right."""

import json
import re
from pathlib import Path

import pytest

import noisewise
from noisewise.audio import waveform
from noisewise.cli.main import main
from noisewise.text.normalise import normalise

FOLDER = Path(noisewise.__file__).parent / "assets" / "recordings"


def test_reference_transcript_error_rate_and_speed(model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--model", str(model_dir)]) == 0
    shown = capsys.readouterr().out
    assert "reference   ENTER SIX TWO FOUR" in shown
    assert shown.count("transcript  ") == 4
    assert re.search(r"^word error rate   \d+\.\d %$", shown, re.MULTILINE)
    assert re.search(r"^real-time factor  0\.\d{4}  ", shown, re.MULTILINE)


def test_every_recording_is_there_with_its_reference() -> None:
    entries = json.loads((FOLDER / "recordings.json").read_text(encoding="utf-8"))
    assert {entry["file"] for entry in entries} == {path.name for path in FOLDER.glob("*.flac")}
    for entry in entries:
        assert 1 < len(waveform.load(FOLDER / entry["file"])) / 16_000 < 10
        assert normalise(entry["text"]) == entry["text"]
