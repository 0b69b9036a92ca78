import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.cli.main import main
from noisewise.data.manifests.read import read, text_of

MODULE = """
VERSIONS = {"mine": "1.0"}
def one(waveforms):
    return ["Go home." if abs(each).max() > 0.3 else "Chapter 4." for each in waveforms]
def two(waveforms):
    return ["GO HOME" for each in waveforms]
"""


@pytest.fixture
def speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "labelling_systems.py").write_text(MODULE)
    for place, level in enumerate((0.5, 0.1)):
        soundfile.write(tmp_path / f"u{place}.wav", np.tile([1, -1], 8000) * level, 16_000)
    (tmp_path / "list.csv").write_text("path\nu0.wav\nu1.wav\n")
    return tmp_path / "list.csv"


def test_two_recognisers(speech: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = ["--model", "python:labelling_systems:one", "--model2", "python:labelling_systems:two"]
    assert main(["label", str(speech), *models, "--output", "out.jsonl.gz"]) == 0
    shown = capsys.readouterr().out
    assert "1 of 2 entries kept, 0.0 of 0.0 minutes" in shown
    assert "left out: 1 (numerals: holds what the normaliser removes" in shown and "out.rejected.jsonl" in shown
    (cut,) = read("out.jsonl.gz")
    assert text_of(cut) == "Go home."
    assert cut.custom["labelled"]["by"][0] == {"model": "python:labelling_systems:one", "mine": "1.0"}
    (line,) = Path("out.rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["reasons"] == ["numerals", "disagreement"]


def test_one_recogniser_without_confidences_must_be_wanted(speech: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["label", str(speech), "--model", "python:labelling_systems:one", "--output", "out.jsonl.gz"]
    assert main(words) == 2
    assert "must give confidences where there is no --model2" in capsys.readouterr().err
    assert main([*words, "--confidence", "0", "--numerals"]) == 0
    assert "2 of 2 entries kept" in capsys.readouterr().out and not Path("out.rejected.jsonl").exists()


def test_a_recording_that_cannot_be_read_gives_status_1(speech: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("u1.wav").write_bytes(b"")
    words = ["label", str(speech), "--model", "python:labelling_systems:one", "--confidence", "0"]
    assert main([*words, "-o", "out.jsonl.gz"]) == 1
    assert "left out: 1 (audio: cannot be read)" in capsys.readouterr().out


def test_the_box_labels_with_its_confidences(speech: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Words, or none, of what is no speech: confidences are there either way."""
    assert main(["label", str(speech), "-o", "out.jsonl.gz", "--confidence", "0.99"]) == 2
    assert "must have an entry that can be kept, but has none" in capsys.readouterr().err
