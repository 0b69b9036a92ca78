import json
import shutil
from importlib import import_module
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.cli.main import main
from noisewise.cli.prepare import CORPORA


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
    assert "already there" in capsys.readouterr().out


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


def test_a_known_corpus_with_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data/audio/16kHz/isolated/dt05_bus_real"
    folder.mkdir(parents=True)
    for channel in (1, 5, 6):
        wave = 0.1 * np.random.default_rng(channel).standard_normal(1600)
        soundfile.write(folder / f"F01_1_BUS.CH{channel}.wav", wave, 16_000)
    (tmp_path / "data/transcriptions").mkdir()
    (tmp_path / "data/transcriptions/dt05_real.dot_all").write_text("ONE (F01_1_BUS)\n")
    words = ["prepare", "chime4", str(tmp_path), str(tmp_path / "out"), "--channels", "1", "5", "--workers", "1"]
    assert main(words) == 0
    assert "cuts_dt05_real.jsonl.gz: 2 entries" in capsys.readouterr().out


def test_shards(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "u1.wav").write_bytes(b"")
    assert main(["prepare", "shards", f"{folder}#speaker!=s2", str(tmp_path / "out"), "--shard-size", "2"]) == 1
    shown = capsys.readouterr()
    assert "cuts.000001.jsonl.gz: 1 entries" in shown.out and "all are in" in shown.err
    assert main(["prepare", "shards", f"shar:{tmp_path}/out", str(tmp_path / "again")]) == 0
    assert "2 entries" in capsys.readouterr().out
    assert len((tmp_path / "out.rejected.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("name", CORPORA)
def test_every_corpus_of_the_table_has_its_function(name: str) -> None:
    corpus = CORPORA[name]
    accepted = signature(import_module(f"noisewise.data.corpora.{corpus.module}").prepare).parameters
    positional = [value for value in accepted.values() if value.kind is value.POSITIONAL_OR_KEYWORD]
    assert len(positional) == len(corpus.paths.split())
    assert set(corpus.options) | ({"report"} if corpus.options else set()) <= set(accepted)


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
        (["librispeech", "nowhere", "out"], "must be a folder"),
        (["musan", "in", "out", "--channels", "1"], "`musan` must go without --channels"),
        (["an4", "in", "out", "--seed", "1"], "`an4` must go without --seed"),
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


def sidecars(folder: Path, count: int = 4) -> Path:
    folder.mkdir()
    for index in range(count):
        wave = 0.1 * np.random.default_rng(index).standard_normal(16_000)
        soundfile.write(folder / f"u{index}.wav", wave, 16_000)
        (folder / f"u{index}.txt").write_text("YES NO\n")
    return folder


def test_a_folder_of_ones_own_is_prepared_checked_and_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines of the README: what lies beside the audio is learned, and the prepared folder is a manifest."""
    folder, out = sidecars(tmp_path / "my#folder"), str(tmp_path / "manifests")
    assert main(["prepare", "table", str(folder), out]) == 0
    shown = capsys.readouterr()
    assert "4 entries, 4 with text, 0.1 minutes, written" in shown.out and "warning" not in shown.err
    assert main(["check", out]) == 0
    recipe = str(Path(__file__).parents[2] / "recipes/tiny/ctc.yaml")
    changes = [f"train.manifests=[{out}]", f"validation.manifests=[{out}]", "train.noise=null", "train.workers=0"]
    steps = ["run.steps=1", "run.validate_every=1", "run.save_every=1"]
    assert main(["train", recipe, "--output", str(tmp_path / "run"), *changes, *steps]) == 0
    rows = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert any(row.get("loss", 0) > 0 for row in rows), rows


def test_a_folder_without_texts_is_warned_of_with_the_line_that_works(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "manifest.tsv").unlink()
    (folder / "list.csv").write_text("sound;words\n" + "".join(f"u{index};YES\n" for index in range(4)))
    out = str(tmp_path / "out")
    assert main(["prepare", "table", str(folder), out]) == 0
    shown = capsys.readouterr()
    assert "4 entries, 0 with text" in shown.out
    assert shown.err.startswith("warning: 4 entries, 0 with text: training a recogniser needs transcripts")
    line = f"prepare table {folder}/list.csv {out} --columns path=COLUMN text=COLUMN"
    assert f"`noisewise {line}`" in shown.err
    words = line.replace("path=COLUMN", "path=sound").replace("text=COLUMN", "text=words").split()
    assert main(words) == 0
    assert "4 entries, 4 with text" in capsys.readouterr().out


def test_a_part_is_held_out(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "table", str(folder), str(tmp_path / "out"), "--hold-out", "0.25", "--seed", "3"]) == 0
    shown = capsys.readouterr().out
    assert "cuts_train.jsonl.gz: 3 entries, 3 with text, 3 speakers" in shown
    assert "cuts_validation.jsonl.gz: 1 entries" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--columns", "file"], "must be NAME=COLUMN"),
        (["--columns", "path=a", "path=b"], "must be NAME=COLUMN, each once"),
        (["--hold-out", "1"], "`--hold-out` must be above 0 and below 1, but is 1.0"),
        (["--hold-out", "nan"], "`--hold-out` must be above 0 and below 1"),
        (["--columns", "path=sound"], "must have the column 'sound'"),
    ],
)
def test_an_option_of_a_table_that_cannot_be(
    words: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "table", str(folder), str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
