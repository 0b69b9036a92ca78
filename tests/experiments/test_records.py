"""Kept records: all that lie under results/ are of today's recipes, and stay so when configurations grow."""

import json
import shutil
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from noisewise.config import _configs
from noisewise.errors import EvaluationError
from noisewise.experiments import plan as plans
from noisewise.experiments import records
from noisewise.experiments.records import kept
from noisewise.experiments.runs import Run, runs_of
from noisewise.recipe import Recipe

RESULTS = Path("results")
PLANS = {"cat/mini": Path("recipes/mini/cat/plan.yaml"), "wav2code/mini": Path("recipes/mini/wav2code/plan.yaml")}


@pytest.fixture(scope="module")
def of_plans() -> dict[str, tuple[plans.Plan, list[Run]]]:
    """Plan and runs of all plans that records are kept of."""
    found = {}
    for title, path in PLANS.items():
        plan = plans.read(path)
        seeds = sorted(int(folder.name.removeprefix("seed_")) for folder in (RESULTS / title).glob("seed_*"))
        found[title] = plan, runs_of(plan, path, Path("runs") / plans.title(path), seeds, list(plan.runs))
    return found


@pytest.fixture
def grown(of_plans: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every configuration that a recipe can hold has one more field with a default."""

    @dataclass
    class More:
        novel: float = 0.5

    for cls in _configs(Recipe, set()):
        (more,) = fields(More)
        monkeypatch.setitem(cls.__dataclass_fields__, "novel", more)
        monkeypatch.setattr(cls, "novel", 0.5, raising=False)


def all_kept(of_plans: dict[str, tuple[plans.Plan, list[Run]]]) -> Iterator[tuple[str, bool]]:
    """Every record under results/, and whether it counts."""
    for title, (plan, runs) in of_plans.items():
        by_key = {one.key: one for one in runs}
        for path in sorted((RESULTS / title).glob("seed_*/*.json")):
            key = f"{path.parent.name}/{path.stem}"
            yield f"{title}/{key}", kept(by_key[key], plan, RESULTS / title) is not None


def test_every_plan_with_records_is_tested() -> None:
    assert {path.parts[1] + "/" + path.parts[2] for path in RESULTS.glob("**/seed_*/*.json")} == PLANS.keys()


def test_all_records_are_kept(of_plans: dict[str, Any]) -> None:
    found = dict(all_kept(of_plans))
    assert len(found) >= 96 and all(found.values()), [name for name, is_kept in found.items() if not is_kept]


def test_all_records_are_kept_when_configurations_grow(of_plans: dict[str, Any], grown: None) -> None:
    found = dict(all_kept(of_plans))
    assert len(found) >= 96 and all(found.values())


def one_run(of_plans: dict[str, Any]) -> tuple[plans.Plan, Run, Path]:
    plan, runs = of_plans["wav2code/mini"]
    return plan, next(one for one in runs if one.key == "seed_0/ew2_noisy"), RESULTS / "wav2code/mini"


def test_a_value_of_a_new_field_is_another_recipe(of_plans: dict[str, Any], grown: None) -> None:
    plan, run, folder = one_run(of_plans)
    recipe, optimizer = copy(run.recipe), copy(run.recipe.optimizer)  # `replace` would ask __init__ for the new field
    object.__setattr__(recipe, "optimizer", optimizer)
    changed = replace(run, recipe=recipe)
    object.__setattr__(optimizer, "novel", 0.6)
    assert kept(changed, plan, folder) is None
    object.__setattr__(optimizer, "novel", 0.5)
    assert kept(changed, plan, folder) is not None


def test_a_changed_value_is_another_recipe(of_plans: dict[str, Any]) -> None:
    plan, run, folder = one_run(of_plans)
    faster = replace(run.recipe, optimizer=replace(run.recipe.optimizer, lr=2 * run.recipe.optimizer.lr))
    assert kept(replace(run, recipe=faster), plan, folder) is None
    before = [replace(one, recipe=replace(one.recipe, papers_protocol=True)) for one in run.after]
    assert before and kept(replace(run, after=before), plan, folder) is None, "of a run that it begins from"


def test_what_is_written_now_is_format_2(of_plans: dict[str, Any], tmp_path: Path) -> None:
    plan, run, folder = one_run(of_plans)
    old = kept(run, plan, folder)
    assert old is not None and old.format == "noisewise-run-1"
    new = replace(old, format=records.FORMAT, trained=replace(old.trained, recipe_sha256=records._hash(run)))
    new.save(tmp_path)
    assert json.loads((tmp_path / f"{run.key}.json").read_text())["format"] == "noisewise-run-2"
    assert kept(run, plan, tmp_path) == new
    old.save(tmp_path)
    assert kept(run, plan, tmp_path) == old, "saved again as it was"
    replace(old, format=records.FORMAT).save(tmp_path)
    assert kept(run, plan, tmp_path) is None, "the hash of one format is not that of the other"


def test_files_of_other_formats_are_refused(of_plans: dict[str, Any], tmp_path: Path) -> None:
    plan, run, folder = one_run(of_plans)
    path = tmp_path / f"{run.key}.json"
    assert kept(run, plan, tmp_path) is None, "nothing is there"
    path.parent.mkdir()
    shutil.copy(folder / f"{run.key}.json", path)
    path.write_text(path.read_text().replace("noisewise-run-1", "noisewise-run-3", 1))
    with pytest.raises(EvaluationError, match=r"noisewise-run-2.*delete it"):
        kept(run, plan, tmp_path)
