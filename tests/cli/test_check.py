import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.cli.main import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "speech"
    made.mkdir()
    lines = ["path\tspeaker\ttext"]
    for index in range(4):
        wave = 0.1 * np.random.default_rng(index).standard_normal(8000)
        soundfile.write(made / f"u{index}.wav", wave, 16_000)
        lines.append(f"u{index}.wav\ts{index}\tYES")
    (made / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return made


def test_nothing_wrong_is_status_0(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quarantine = tmp_path / "quarantine.jsonl"
    assert main(["check", str(folder), "--quarantine", str(quarantine)]) == 0
    shown = capsys.readouterr()
    assert "4 entries, 0.0 minutes, 0 entries with errors" in shown.out and "reason" not in shown.out
    assert (shown.err, quarantine.read_text()) == ("", "")


def test_errors_are_status_1_and_go_to_the_files(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "u1.wav").write_bytes(b"")
    soundfile.write(folder / "u2.wav", np.ones(8000), 16_000, subtype="FLOAT")
    soundfile.write(folder / "u3.wav", np.tile([1.0, -1.0], 2000), 8000)
    report, quarantine = tmp_path / "report.json", tmp_path / "quarantine.jsonl"
    assert main(["check", str(folder), "--report", str(report), "--quarantine", str(quarantine)]) == 1
    shown = capsys.readouterr()
    assert "2 entries with errors" in shown.out
    assert [line.split()[:3] for line in shown.out.splitlines()[2:6]] == [
        ["empty", "error", "1"],
        ["silent", "error", "1"],
        ["clipped", "warning", "1"],
        ["resampled", "note", "1"],
    ]
    assert "error (empty): " in shown.err and "line 3, u1: " in shown.err
    made = json.loads(report.read_text())
    assert made["entries"] == 4 and made["entries_with_errors"] == 2 and made["rules"]["hop"] == 320
    assert made["counts"] == {"empty": 1, "silent": 1, "clipped": 1, "resampled": 1}
    assert [(item["id"], item["reason"], item["line"]) for item in made["findings"]] == [
        ("u1", "empty", 3),
        ("u2", "silent", 4),
        ("u3", "clipped", 5),
        ("u3", "resampled", 5),
    ]
    assert [json.loads(line)["id"] for line in quarantine.read_text().splitlines()] == ["u1", "u2"]


def test_warnings_are_status_0_unless_strict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "u3.wav").write_bytes((folder / "u0.wav").read_bytes())
    assert main(["check", str(folder)]) == 0
    assert main(["check", str(folder), "--strict"]) == 1
    assert main(["check", str(folder), "--strict", "--ignore", "duplicate_audio"]) == 0


def test_vocabulary_and_hop_of_a_model(folder: Path, model_dir: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert main(["check", str(folder), "--model", str(model_dir), "--report", str(report)]) == 0
    assert json.loads(report.read_text())["rules"]["hop"] == 640
    assert main(["check", str(folder), "--model", str(model_dir), "--hop", "4000"]) == 1  # 2 frames for YES
    assert main(["check", str(folder), "--tokens", str(model_dir / "tokens.txt"), "--hop", "2000"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no such path"),
        (["speech", "--ignore", "clip"], "did you mean 'clipped'?"),
        (["speech", "--tokens", "nothing.txt"], "no such file"),
        (["speech", "--model", "nothing"], "no such folder"),
        (["speech", "--model", "box", "--tokens", "tokens.txt"], "both are"),
        (["speech", "--report", "no/folder/report.json"], "in a folder that exists"),
        (["speech", "--quarantine", "speech"], "must be a file"),
        (["speech", "--cache", "speech/manifest.tsv"], "must be a cache"),
        (["speech#split=dev"], "at least one entry"),
    ],
)
def test_a_wrong_request_is_one_line(
    words: list[str],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder.parent)
    assert main(["check", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(path.name for path in folder.parent.iterdir()) == ["speech"]
