"""Paths and commands that hold on another machine."""

import shlex
from pathlib import Path

import pytest

from noisewise.evaluation.provenance import command, portable, versions


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("NOISEWISE_DATA", str(tmp_path / "data"))
    return tmp_path


def test_paths(folders: Path) -> None:
    assert portable(f"{folders}/data/an4#split=test") == "$NOISEWISE_DATA/an4#split=test"
    assert portable(f"{folders}/data") == "$NOISEWISE_DATA"
    assert portable(f"{folders}/data2/an4") == "an4", "a folder of a similar name is another one"
    assert portable(f"{folders}/here/out/x.json") == "out/x.json"
    assert portable(f"{folders}/elsewhere/my model") == "my model"
    assert portable("../shared/an4#split=test") == "../shared/an4#split=test"
    assert portable("box") == "box"


def test_paths_without_a_folder_of_corpora(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOISEWISE_DATA")
    assert portable(f"{folders}/data/an4") == "an4"


def test_programs(folders: Path) -> None:
    line = f"command:{folders}/bin/python {folders}/here/asr.py --model={folders}/m.bin --fast {{}}"
    assert portable(line) == "command:python asr.py --model=m.bin --fast {}"
    assert portable("python:a.b:c") == "python:a.b:c"


def test_a_command_runs_in_a_shell(folders: Path) -> None:
    words = ["noisewise", "evaluate", f"{folders}/data/an4#split=test", "--model", "command:asr {}", "it's"]
    line = command(words)
    assert line == "noisewise evaluate $NOISEWISE_DATA/an4#split=test --model 'command:asr {}' 'it'\"'\"'s'"
    assert shlex.split(line)[2:] == ["$NOISEWISE_DATA/an4#split=test", "--model", "command:asr {}", "it's"]
    assert command([f"{folders}/data/my an4"]) == "$NOISEWISE_DATA/'my an4'"


def test_versions_name_the_libraries() -> None:
    assert {"python", "noisewise", "numpy", "jiwer"} <= versions().keys()
