"""Recipes: every one parses, the tiny ones take a step, and a folder keeps to its recipe."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from noisewise import model_folder
from noisewise.config import ConfigError, dump, load, parse
from noisewise.recipe import Recipe, train
from noisewise.training import log
from tests.corpus import TINY, run_tiny, write_corpus, write_recipe

RECIPES = sorted(
    path for path in (Path(__file__).parent.parent / "recipes").rglob("*.yaml") if path.name != "plan.yaml"
)
QUICK = ["train.workers=0", "run.steps=2", "run.validate_every=2", "run.save_every=2"]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_recipe_parses_and_survives_a_round_trip(path: Path) -> None:
    recipe = load(Recipe, path)
    assert parse(Recipe, dump(recipe)) == recipe


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A working folder in which one tiny recipe after the other leaves its run."""
    folder = tmp_path_factory.mktemp("tiny")
    write_corpus(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


@pytest.mark.parametrize("name", sorted(path.stem for path in TINY.glob("*.yaml")))
def test_every_tiny_recipe_takes_steps(name: str, trained: None) -> None:
    run = run_tiny(name) if not (Path("runs") / name).exists() else Path("runs") / name
    records = log.read(run, "train")
    assert [record["step"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert all(math.isfinite(value) for record in records for value in record.values() if isinstance(value, float))
    about = json.loads((run / "best" / "config.json").read_text())
    assert about["recipe"]["model"]["kind"] == about["model"]["kind"]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    write_corpus(tmp_path)
    return write_recipe(tmp_path)


def test_a_recipe_runs_and_leaves_a_model(tiny: Path, tmp_path: Path) -> None:
    metrics = train(load(Recipe, tiny, QUICK), tmp_path / "run")
    assert set(metrics) == {"wer", "cer", "ctc"}
    about = model_folder.load(tmp_path / "run" / "best").about
    assert about["recipe"]["run"]["steps"] == 2 and about["metrics"] == metrics


def test_more_steps_go_on_but_another_model_does_not(tiny: Path, tmp_path: Path) -> None:
    train(load(Recipe, tiny, QUICK), tmp_path / "run")
    train(load(Recipe, tiny, [*QUICK, "run.steps=3"]), tmp_path / "run")
    assert [record["step"] for record in log.read(tmp_path / "run", "train")] == [1, 2, 3]
    with pytest.raises(ConfigError, match=r"other values of model\.encoder\.layers, optimizer\.lr"):
        train(load(Recipe, tiny, [*QUICK, "model.encoder.layers=1", "optimizer.lr=1"]), tmp_path / "run")


def test_a_run_can_start_from_a_released_model(tiny: Path, tmp_path: Path) -> None:
    train(load(Recipe, tiny, QUICK), tmp_path / "first")
    start = f"start_from={tmp_path / 'first' / 'best'}"
    train(load(Recipe, tiny, [*QUICK, start, "optimizer.lr=0", "run.average_decay=0"]), tmp_path / "second")
    first, second = (model_folder.load(tmp_path / run / "best").model.state_dict() for run in ("first", "second"))
    assert all((first[name] == second[name]).all() for name in first)


def test_a_broken_file_is_skipped_and_reported(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus" / "u3.wav").write_bytes(b"RIFF")
    train(load(Recipe, tiny, QUICK), tmp_path / "run")
    skipped = log.read(tmp_path / "run", "skipped")
    assert {record["id"] for record in skipped} == {"u3"}
    assert all(record["reason"] for record in skipped)


def test_wrong_vocabulary_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`model\.vocabulary` must be 30, but is 29"):
        train(load(Recipe, tiny, ["model.vocabulary=29"]), tmp_path / "run")
