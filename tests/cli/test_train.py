"""`noisewise train`: what it prints, what it leaves, how it refuses."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from noisewise.cli.main import main
from noisewise.training.loop import Trainer
from tests.corpus import write_corpus, write_recipe
from tests.test_files import limited_files

QUICK = ["train.workers=0", "run.steps=1", "run.validate_every=1", "run.save_every=1"]


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    return str(write_recipe(tmp_path))


def test_a_run_lands_under_runs_and_its_model_transcribes(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", recipe, *QUICK]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["folder"] == "runs/ctc"
    assert "step 1/1" in err and "s left" in err and "last validation, step 1/1" in err
    assert "reference  " in err and json.loads(out)["best_step"] == 1
    assert main(["transcribe", "corpus/u0.wav", "--model", "runs/ctc/best"]) == 0


def test_show_prints_every_value(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", recipe, "optimizer.lr=3e-4", "--show"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["optimizer"]["lr"] == 3e-4
    assert shown["optimizer"]["betas"] == [0.9, 0.98]
    assert not Path("runs").exists()


def test_schema_needs_no_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--schema"]) == 0
    assert set(json.loads(capsys.readouterr().out)["required"]) == {"train", "validation"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "`RECIPE` must be given"),
        (["nothing.yaml"], "no such file"),
        (["ctc.yaml", "optimizer.lrr=1"], "optimizer.lrr: unknown key; did you mean 'lr'?"),
        (["ctc.yaml", "train.manifests=[missing]"], "missing"),
        (["ctc.yaml", "train.quarantine=missing.jsonl"], "missing.jsonl"),
        (["ctc.yaml", "train.workers=[1"], "train.workers=[1"),
        (["ctc.yaml", "train.batch_seconds=long"], "train.batch_seconds"),
        (["corpus"], "must be a YAML file"),
        (["corpus/manifest.tsv"], "YAML"),
        (["corpus/u0.wav"], "u0.wav"),
    ],
)
def test_mistakes_are_one_line(recipe: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    left = {path.name for path in Path("runs").rglob("*")}
    assert left <= {"ctc", "recipe.yaml", ".lock"}, "a run must not have begun"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_is_the_exit_status(
    number: signal.Signals,
    status: int,
    recipe: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = Trainer.save

    def asked(trainer: Trainer) -> None:
        if trainer.state.step == 1:
            os.kill(os.getpid(), number)
        real(trainer)

    monkeypatch.setattr(Trainer, "save", asked)
    words = ["train", recipe, "train.workers=0", "run.steps=3", "run.validate_every=3", "run.save_every=1"]
    assert main(words) == status
    err = capsys.readouterr().err
    assert "noisewise: stopped at step 2 of 3; the same command goes on\n" in err and "Traceback" not in err
    monkeypatch.setattr(Trainer, "save", real)
    assert main(words) == 0


def test_tensorboard_that_is_missing_is_said_before_anything(
    recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main(["train", recipe, *QUICK, "run.tensorboard=true"]) == 2
    err = capsys.readouterr().err
    assert "`run.loggers`" in err and "tensorboard" in err and "pip install" in err and err.count("\n") == 1
    assert not Path("runs").exists()


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    with limited_files(20_000):
        assert main(["train", recipe, *QUICK]) == 2
    err = capsys.readouterr().err
    assert "larger than the system allows" in err and "Traceback" not in err
    assert not [path for path in Path("runs").rglob("*") if "partial" in path.name or "unfinished" in path.name]
    assert main(["train", recipe, *QUICK]) == 0
