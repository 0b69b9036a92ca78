"""The hash by which a kept record is known as a run of a recipe; it outlives new fields of configurations.

Hashed is what differs from the defaults (format 2), so a field that is added with a default changes no hash:

    {"optimizer": {"lr": 0.003}, "model": {"kind": "ctc", "encoder": {"kind": "wav2vec2", "dim": 256}}, ...}

A configuration class can state two things about itself, both optional:

    @config
    class Wav2Vec2Config:
        SCHEMA: ClassVar[int] = 2
        # Raised when a default gets another value or another meaning: what was left to the defaults before is now
        # another recipe. 1 where it is not stated.

        @classmethod
        def as_hashed(cls, differences: dict[str, Any]) -> dict[str, Any]:
            # The differences in the spelling of the first records, where fields have been renamed or regrouped since:
            # {"front_end": {"kind": "log_mel", "bins": 64}} -> {"front_end": "log_mel", "bins": 64}; the inverse of
        # `migrated`.

The older format 1 hashed every value, defaults included. Its hash is computed from the defaults of that time, which
`assets/config_defaults_1.json` keeps by name of the class (rename a class there too), overlaid by the differences.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import noisewise
from noisewise.recipe import FREE, Recipe

DEFAULTS_1 = Path(noisewise.__file__).parent / "assets" / "config_defaults_1.json"
"""Defaults of every configuration when format 1 was last written: name of the class to name of the field to value."""
Completion = Callable[[type[Any], dict[str, Any]], dict[str, Any]]
"""From a configuration class and differences from its defaults to what is hashed."""


def recipe_hash(recipe: Recipe, before: Mapping[str, str], format_number: int = 2) -> str:
    """SHA-256 of every value that decides what a run computes.

    Args:
        recipe: of the run.
        before: names of the runs that it begins from, to their hashes in the same format.
        format_number: 2; 1 for the hash of records that were written before.
    """
    values = differences(recipe, _completed_1 if format_number == 1 else _as_they_are)
    run = {name: value for name, value in values.pop("run", {}).items() if name not in FREE}
    if run:
        values["run"] = run
    if before:
        values["after"] = dict(before)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _as_they_are(cls: type[Any], found: dict[str, Any]) -> dict[str, Any]:
    return found


def _completed_1(cls: type[Any], found: dict[str, Any]) -> dict[str, Any]:
    """A field that format 1 did not have stays among the values where it is not the default: another recipe."""
    return {**_defaults_1().get(cls.__name__, {}), **found}


def differences(value: Any, complete: Completion = _as_they_are) -> Any:
    """Plain values of a configuration where they differ from the defaults of its class.

    Args:
        value: a configuration, or a value of one.
        complete: applied to the differences of each configuration, the inner ones first.

    Returns:
        Values of the given kind with plain values within; `kind` and a `SCHEMA` above 1 are always among them.
    """
    if is_dataclass(value) and not isinstance(value, type):
        cls = type(value)
        found: dict[str, Any] = {} if _schema(cls) == 1 else {"schema": _schema(cls)}
        for field in fields(value):
            item = getattr(value, field.name)
            if field.name == "kind" or item != _default(field) or _has_schema(item):
                found[field.name] = differences(item, complete)
        hook = getattr(cls, "as_hashed", None)
        return complete(cls, hook(found) if hook else found)
    if isinstance(value, Mapping):
        return {key: differences(item, complete) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [differences(item, complete) for item in value]
    return value


def _schema(cls: type[Any]) -> int:
    return int(getattr(cls, "SCHEMA", 1))


def _has_schema(value: Any) -> bool:
    """Whether a configuration in a value has a schema above 1, so that it is hashed even where it is the default."""
    if is_dataclass(value) and not isinstance(value, type):
        return _schema(type(value)) != 1 or any(_has_schema(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, Mapping):
        return any(map(_has_schema, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_schema, value))


def _default(field: Field[Any]) -> Any:
    """The default of a field; `MISSING`, which equals no value, where it has none."""
    return field.default if field.default_factory is MISSING else field.default_factory()


@cache
def _defaults_1() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(DEFAULTS_1.read_text(encoding="utf-8"))
    return found
