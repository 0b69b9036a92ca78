"""Recipes: every one parses, and its essence leaves out what may change while a run goes on."""

from pathlib import Path

import pytest

from noisewise.config import dump, load, parse
from noisewise.recipe import FREE, Recipe, essence

RECIPES = sorted(
    path
    for path in (Path(__file__).parent.parent / "recipes").rglob("*.yaml")
    if path.name not in ("plan.yaml", "fine_tune.yaml")
)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_recipe_parses_and_survives_a_round_trip(path: Path) -> None:
    recipe = load(Recipe, path)
    assert parse(Recipe, dump(recipe)) == recipe


def test_the_essence_is_without_what_may_change() -> None:
    recipe = load(Recipe, RECIPES[0])
    found = essence(recipe)
    assert not set(FREE) & found["run"].keys() and found["run"].keys() | set(FREE) == dump(recipe)["run"].keys()
    assert found | {"run": None} == dump(recipe) | {"run": None}
    longer = load(Recipe, RECIPES[0], ["run.steps=987654", "run.keep=7"])
    assert essence(longer) == found != essence(load(Recipe, RECIPES[0], ["run.seed=987654"]))
