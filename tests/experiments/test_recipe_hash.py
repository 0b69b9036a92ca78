"""Hashes of recipes: equal when fields are added, regrouped or renamed, another when a value is."""

import json
from dataclasses import field, fields, replace
from typing import Annotated, Any, ClassVar, Literal

import pytest

from noisewise.config import _configs, config, dump, one_of
from noisewise.experiments import recipe_hash as hashing
from noisewise.experiments.recipe_hash import differences, recipe_hash
from noisewise.recipe import FREE, Recipe


@config
class Small:
    kind: Literal["small"] = "small"
    width: int = 4


@config
class Large:
    kind: Literal["large"] = "large"
    width: int = 4


@config
class Whole:
    name: str
    part: Annotated[Small | Large, one_of("kind")] = Small()
    rates: list[float] = field(default_factory=lambda: [1.0])


def test_only_what_differs_is_hashed() -> None:
    assert differences(Whole(name="a")) == {"name": "a"}
    assert differences(Whole(name="a", part=Small(width=5))) == {"name": "a", "part": {"kind": "small", "width": 5}}
    assert differences(Whole(name="a", part=Large())) == {"name": "a", "part": {"kind": "large"}}
    assert differences(Whole(name="a", rates=[])) == {"name": "a", "rates": []}


def test_a_raised_schema_is_hashed_even_where_all_is_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Small, "SCHEMA", 2, raising=False)
    assert differences(Whole(name="a")) == {"name": "a", "part": {"schema": 2, "kind": "small"}}
    assert differences(Whole(name="a", part=Large())) == {"name": "a", "part": {"kind": "large"}}


def test_fields_that_are_regrouped_keep_both_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    @config
    class Flat:
        front_end: Literal["waveform", "log_mel"] = "waveform"
        bins: int = 80
        kernel: int = 10
        dim: int = 8

    @config
    class Waveform:
        kind: Literal["waveform"] = "waveform"
        kernel: int = 10

    @config
    class LogMel:
        kind: Literal["log_mel"] = "log_mel"
        bins: int = 80

    @config
    class Grouped:
        front_end: Annotated[Waveform | LogMel, one_of("kind")] = Waveform()
        dim: int = 8
        new: float = 0.5

        SCHEMA: ClassVar[int] = 1

        @classmethod
        def as_hashed(cls, differences: dict[str, Any]) -> dict[str, Any]:
            inner = dict(differences.pop("front_end", {}))
            kind = {"front_end": inner.pop("kind")} if inner.get("kind") == "log_mel" else {}
            inner.pop("kind", None)
            return {**differences, **inner, **kind}

    frozen = dump(Flat())
    monkeypatch.setattr(hashing, "_defaults_1", lambda: {"Flat": frozen, "Grouped": frozen})
    pairs = [
        (Flat(), Grouped()),
        (Flat(kernel=3), Grouped(front_end=Waveform(kernel=3))),
        (Flat(front_end="log_mel"), Grouped(front_end=LogMel())),
        (Flat(front_end="log_mel", bins=64, dim=9), Grouped(front_end=LogMel(bins=64), dim=9)),
    ]
    for old, new in pairs:
        assert differences(new) == differences(old)
        assert differences(new, hashing._completed_1) == dump(old), "as format 1 had it"
    assert differences(Grouped(new=0.6), hashing._completed_1) not in [dump(old) for old, _ in pairs]


def tiny() -> Recipe:
    from noisewise.config import load

    return load(Recipe, "recipes/tiny/wav2code.yaml")


@pytest.mark.parametrize("number", [1, 2])
def test_what_the_run_computes_decides(number: int) -> None:
    recipe = tiny()
    before = recipe_hash(recipe, {}, number)
    assert recipe_hash(replace(recipe, run=replace(recipe.run, log_every=7, steps=12345)), {}, number) == before
    assert recipe_hash(replace(recipe, run=replace(recipe.run, seed=recipe.run.seed + 1)), {}, number) != before
    assert recipe_hash(replace(recipe, papers_protocol=True), {}, number) != before
    assert recipe_hash(recipe, {"ew2": "1234"}, number) != before


def test_format_1_is_the_full_dump_of_its_time() -> None:
    """The encoder's front end was then written in fields of the encoder; tokenizers had none but their kind."""
    from noisewise.recipe import essence

    full = differences(tiny(), hashing._completed_1)
    for name in FREE:
        full["run"].pop(name, None)
    now = json.loads(json.dumps(essence(tiny())))
    encoder, expected = full["model"].pop("encoder"), now["model"].pop("encoder")
    assert full.pop("tokenizer") == {"kind": now.pop("tokenizer")["kind"]}
    assert full == now
    front_end = expected.pop("front_end")
    assert (encoder["front_end"], encoder["bins"], encoder["channels"]) == tuple(front_end.values())
    assert {name: encoder[name] for name in expected} == expected


def test_a_default_that_changes_raises_the_schema() -> None:
    """Kept records left these values to the defaults: they would count as runs with the new ones."""
    frozen = hashing._defaults_1()
    there = {cls.__name__: cls for cls in _configs(Recipe, set())}
    assert not frozen.keys() - there.keys(), "a class has another name now; rename it in config_defaults_1.json too"
    for name, defaults in frozen.items():
        cls = there[name]
        values = {one.name: hashing._default(one) for one in fields(cls) if one.name in defaults}
        now = {field: differences(value, hashing._completed_1) for field, value in values.items()}
        regrouped = hasattr(cls, "as_hashed")
        assert hashing._schema(cls) > 1 or regrouped or json.loads(json.dumps(now)) == defaults, (
            f"a default of {name} has changed or has gone; raise SCHEMA or give as_hashed (see recipe_hash)"
        )
