import json
import shutil
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


def test_a_table(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["prepare", "table", str(folder), str(out)]) == 0
    assert "4 entries" in capsys.readouterr().out
    assert main(["prepare", "table", str(folder), str(out)]) == 0
    assert "was there" in capsys.readouterr().out


def test_rejected_entries_give_status_1(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "u1.wav").write_bytes(b"")
    assert main(["prepare", "table", str(folder), str(tmp_path / "out")]) == 1
    shown = capsys.readouterr()
    assert "3 entries" in shown.out and "rejected (empty)" in shown.err
    (line,) = (tmp_path / "out/rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["path"].endswith("u1.wav")


def test_babble(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prepare", "babble", str(folder), str(tmp_path / "out"), "--clips", "2", "--seconds", "1"]
    assert main([*words, "--voices", "2", "3", "--seed", "5"]) == 0
    assert len(list((tmp_path / "out/flac").iterdir())) == 2


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_spoken_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "spoken-commands", str(tmp_path / "out"), "--utterances", "2", "--workers", "1"]) == 0
    assert "2 entries" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tabel", "in", "out"], "did you mean 'table'?"),
        (["table", "in"], "must get IN OUT, but got 1 paths"),
        (["table", "nowhere", "out"], "no such path"),
        (["spoken-commands", "a", "b"], "must get OUT, but got 2 paths"),
        (["an4", "nowhere", "out"], "an4_train.fileids"),
    ],
)
def test_a_wrong_request_is_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
