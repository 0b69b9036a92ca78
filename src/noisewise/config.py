"""Typed, frozen configurations: from YAML and dotted overrides to a dataclass, and back to plain values.

A configuration is a dataclass under `@config`. YAML holds values only: no interpolation, includes, classes or
code. Alternatives carry `kind:` and are joined by `Annotated[A | B, one_of("kind")]`.

Bounds of fields are checked in `__post_init__`, by `within` and `above` where they are ranges, so that they hold
however a configuration is built: from YAML, from a command or in Python.

Files outlive the form of their configuration. A class whose fields have moved says how older values read today, by

    @classmethod
    def migrated(cls, values: dict[str, Any]) -> dict[str, Any]: ...

a pure function from plain values of any form there has been to plain values of today's, which leaves today's alone.
`parse` applies it wherever that class stands; `migrated` alone is for those who compare stored values.
"""

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

import yaml
from pydantic import ConfigDict, Discriminator, Tag, TypeAdapter, ValidationError

from noisewise.errors import ConfigError

T = TypeVar("T")

MOST_BYTES = 1 << 20
"""Length of the longest YAML that is read."""
MOST_NODES = 20_000
"""Keys and values that it may hold."""
MOST_DEEP = 50
"""Levels that they may be nested."""
MOST_DIGITS = 100
"""Digits of a whole number in it."""
MOST_SHOWN = 200
"""Characters of a value that an error shows."""
MOST_PROBLEMS = 5
"""Problems that an error names."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(cls: type[T]) -> type[T]:
    """Make a class a configuration: a frozen, keyword-only dataclass that refuses unknown keys."""
    made = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    made.__pydantic_config__ = ConfigDict(extra="forbid", use_attribute_docstrings=True)  # type: ignore[attr-defined]
    return made


@dataclasses.dataclass(frozen=True)
class TrainingOnly:
    """The mark of a field that changes how a model learns, not what it computes: `Annotated[float, TRAINING_ONLY]`."""


TRAINING_ONLY = TrainingOnly()


def training_only(cls: type[Any]) -> frozenset[str]:
    """Names of the fields that are marked `TRAINING_ONLY`: two stages of training may differ in them."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return frozenset(name for name, hint in hints.items() if TRAINING_ONLY in getattr(hint, "__metadata__", ()))


def within(low: float, high: float, **values: float) -> None:
    """Refuse numbers out of a range, by their names.

    Args:
        low: least value that is allowed.
        high: greatest value that is allowed; infinity for any.
        values: names and values.

    Raises:
        ConfigError: one is below `low` or above `high`.
    """
    for name, value in values.items():
        if not low <= value <= high:
            span = f"between {low:g} and {high:g}" if high < math.inf else f"{low:g} or more"
            raise ConfigError(f"`{name}` must be {span}, but is {value:g} instead")


def above(low: float, **values: float) -> None:
    """Refuse numbers that are not greater than a bound, by their names.

    Raises:
        ConfigError: one is `low` or less, or not finite.
    """
    for name, value in values.items():
        if not low < value < math.inf:
            raise ConfigError(f"`{name}` must be more than {low:g}, but is {value:g} instead")


UNSAID = "(none)"
"""Kind of the one member of a union that needs no `kind:`."""


def one_of(tag: str, otherwise: str | None = None) -> Discriminator:
    """The mark of a tagged union: `tag` names the field (a `Literal`) that chooses the member.

    `otherwise` is the kind of values without that field; each member is then marked by `member`.
    """
    if otherwise is None:
        return Discriminator(tag)

    def kind(value: Any) -> str:
        return str(value.get(tag, otherwise) if isinstance(value, dict) else getattr(value, tag, otherwise))

    return Discriminator(kind)


def member(kind: str) -> Tag:
    """The mark of a member of a union in which one member needs no `kind:`."""
    return Tag(kind)


def load(cls: type[T], path: str | Path, overrides: Sequence[str] = ()) -> T:
    """Read a configuration from a YAML file, then apply overrides such as `optimizer.lr=3e-4`.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit `cls`.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"`{path}` must be a YAML file, but there is no such file; check the path")
    try:
        with path.open("rb") as file:
            values = _plain_values(file.read(MOST_BYTES + 1).decode("utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: not UTF-8
        raise ConfigError(f"`{path}` must be YAML with plain values, but is not: {_one_line(error)}") from error
    if values is not None and not isinstance(values, dict):
        raise ConfigError(f"`{path}` must hold keys and values, but holds a {type(values).__name__} instead")
    return parse(cls, override(values or {}, overrides))


def override(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Apply `key.path=value` strings to a copy of nested plain values; numbers step into lists.

    Raises:
        ConfigError: a string has no `=`, no value in YAML, or a path that leads nowhere.

    Example:
        >>> override({"run": {"steps": 10}, "texts": ["a"]}, ["run.steps=1e3", "texts.0=b", "optimizer.lr=3e-4"])
        {'run': {'steps': 1000.0}, 'texts': ['b'], 'optimizer': {'lr': 0.0003}}
    """
    values = _copied(values)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"an override must be key.path=value, but is {_short(text)} instead")
        if key.count(".") >= MOST_DEEP:
            raise ConfigError(f"an override must have {MOST_DEEP} keys at most, but is {_short(text)} instead")
        _set(values, key.split("."), _value(text, value), key)
    return values


def parse(cls: type[T], values: Any) -> T:
    """Validate plain values and build the dataclass.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a wrong type, or a missing value.
    """
    try:
        found: T = _adapter(typing.cast(Hashable, cls)).validate_python(migrated(cls, values))
        return found
    except ValidationError as error:
        problems = error.errors()
        more = f"; and {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else ""
        raise ConfigError("; ".join(_explain(cls, problem) for problem in problems[:MOST_PROBLEMS]) + more) from error


def migrated(hint: Any, values: Any) -> Any:
    """Plain values of any form that a configuration has had, in today's; see the head of this file.

    Args:
        hint: a configuration class, a union of them, or a container of them.
        values: plain values; what does not fit is left for `parse` to refuse.
    """
    if isinstance(values, list | tuple):
        return [migrated(hint, value) for value in values] if any(_nearest(hint)) else values
    if not isinstance(values, dict):
        return values
    if typing.get_origin(hint) is dict:
        return {key: migrated(typing.get_args(hint)[1], value) for key, value in values.items()}
    members = list(_nearest(hint))
    of_kind = [one for one in members if getattr(one, "kind", None) == values.get("kind")]
    chosen = of_kind[0] if of_kind else members[0] if len(members) == 1 else None
    if chosen is None:
        return values
    if hasattr(chosen, "migrated"):
        values = chosen.migrated(values)
    hints = typing.get_type_hints(chosen)
    return {key: migrated(hints.get(key), value) for key, value in values.items()}


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested plain values by dotted keys, as an override writes them; lists are values.

    Example:
        >>> flat({"optimizer": {"lr": 0.1}, "steps": 3})
        {'optimizer.lr': 0.1, 'steps': 3}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return found


def architecture(value: Any) -> dict[str, Any]:
    """What must be the same for weights to mean the same: the values of a configuration, by dotted keys, without those
    of `training_only` fields."""
    left_out = training_only(type(value))
    return flat({name: each for name, each in dump(value).items() if name not in left_out})


@lru_cache(maxsize=64)
def _adapter(cls: Any) -> TypeAdapter[Any]:
    """The validator of a type; that of a recipe takes a second to build."""
    return TypeAdapter(cls)


def dump(value: Any) -> Any:
    """Turn a configuration into plain values (dict, list, str, numbers, bool, None); `parse` undoes it.

    Example:
        >>> @config
        ... class Size:
        ...     dim: int = 8
        ...     kernels: tuple[int, ...] = (3, 2)
        >>> dump(Size())
        {'dim': 8, 'kernels': [3, 2]}
        >>> parse(Size, {"kernels": [5]})
        Size(dim=8, kernels=(5,))
        >>> parse(Size, {"dims": 4})
        Traceback (most recent call last):
        noisewise.errors.ConfigError: dims: unknown key; did you mean 'dim'?
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: dump(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: dump(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [dump(item) for item in value]
    return value


def dump_yaml(value: Any) -> str:
    """A configuration as YAML text that `load` reads back to an equal one."""
    return yaml.safe_dump(dump(value), sort_keys=False, allow_unicode=True)


def schema(cls: type[Any]) -> dict[str, Any]:
    """The JSON schema of a configuration, with field docstrings, for editors."""
    return TypeAdapter(cls).json_schema()


class _ValuesLoader(yaml.SafeLoader):
    """YAML with the numbers and booleans of YAML 1.2: `1e-3` is a number, `no` is a string.

    Aliases are refused: a few lines of them stand for values that fill any memory. So are keys that stand twice, of
    which YAML's reader would take the last, numbers of very many digits, and more values or levels than the limits.
    """

    nodes = depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node; see PyYAML."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read; write the value out")
        self.nodes += 1
        if self.nodes > MOST_NODES or self.depth >= MOST_DEEP:
            raise yaml.YAMLError(
                f"it has more than {MOST_NODES} keys and values, or {MOST_DEEP} levels; is it a configuration?"
            )
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_yaml_int(self, node: Any) -> Any:
        """One whole number; see PyYAML."""
        if len(node.value) > MOST_DIGITS:
            raise yaml.YAMLError(f"a number has more than {MOST_DIGITS} digits; write text in quotes")
        return super().construct_yaml_int(node)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """One mapping; see PyYAML."""
        keys: set[str] = set()
        for key in (key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key in keys:
                raise yaml.YAMLError(f"the key '{key[:MOST_SHOWN]}' stands twice; take one of them out")
            keys.add(key)
        return super().construct_mapping(node, deep)


_ValuesLoader.add_constructor("tag:yaml.org,2002:int", _ValuesLoader.construct_yaml_int)
_ValuesLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":float", ":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_ValuesLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf)$|^\.(nan|NaN)$"),
    list("-+.0123456789"),
)
_ValuesLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|True|false|False)$"), list("tTfF"))


def _plain_values(text: str) -> Any:
    """The values of YAML.

    Raises:
        yaml.YAMLError: it is none, or beyond a limit.
        ValueError: a value is none of its type.
        RecursionError: never within the limits; PyYAML's scanner is not ours.
    """
    if len(text) > MOST_BYTES:
        raise yaml.YAMLError(f"it is longer than {MOST_BYTES >> 20} MiB; is it a configuration?")
    return yaml.load(text, Loader=_ValuesLoader)


def _short(value: Any) -> str:
    """A value as Python writes it, cut where it is long."""
    try:
        shown = repr(value)
    except ValueError:  # a number of more digits than Python writes
        return "a number of very many digits"
    return shown if len(shown) <= MOST_SHOWN else f"{shown[: MOST_SHOWN - 3]}..."


def _value(text: str, value: str) -> Any:
    try:
        return _plain_values(value)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"an override must have a value in YAML, but is {_short(text)}: {_one_line(error)}"
        ) from error


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _set(values: Any, keys: list[str], value: Any, whole: str) -> None:
    key: Any = keys[0]
    if isinstance(values, list):
        if not re.fullmatch("[0-9]{1,9}", key) or int(key) >= len(values):
            raise ConfigError(f"`{whole}` must step into a list of {len(values)}, but has {_short(key)} instead")
        key = int(key)
    elif not isinstance(values, dict):
        raise ConfigError(f"`{whole}` steps into {_short(values)}, which has no keys; shorten the override")
    if len(keys) == 1:
        values[key] = value
        return
    if isinstance(values, dict) and values.get(key) is None:
        values[key] = {}
    _set(values[key], keys[1:], value, whole)


def _explain(cls: type[Any], problem: Any) -> str:
    """One sentence for one pydantic problem, with the dotted key as a user writes it."""
    steps = [str(step) for step in problem["loc"]]
    known = _dotted_keys(cls)
    key = ".".join(step for step in steps if not _is_tag(step, known, steps))
    match problem["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            leaf = steps[-1]
            anywhere = sorted(known["names"] | known["kinds"])
            near = [
                *difflib.get_close_matches(leaf, _names_at(cls, steps[:-1]), n=1),
                *difflib.get_close_matches(leaf, anywhere, n=1),
            ]
            if near[:1] == [leaf]:
                return f"{key}: unknown key of this kind, though another has it; take it out, or change `kind`"
            return f"{key}: unknown key" + (f"; did you mean '{near[0]}'?" if near else "")
        case "missing" | "missing_argument":
            return f"{key}: must be given, but is missing"
        case "union_tag_not_found":
            return f"{key or 'value'}: must carry `kind:`, one of the known kinds; {_one_line(problem['msg'])}"
        case "union_tag_invalid":
            expected = problem["ctx"]["expected_tags"]
            given = str(problem["ctx"]["tag"])[:MOST_SHOWN]
            return f"{key or 'value'}.kind: must be one of {expected}, but is '{given}' instead"
        case "value_error":  # of a configuration's own check: a whole sentence
            reason = problem["msg"].removeprefix("Value error, ")
            return f"{key}: {reason}" if key else reason
        case _:
            reason = problem["msg"][0].lower() + problem["msg"][1:]
            return f"{key}: {reason.replace('input ', '')}, but is {_short(problem['input'])} instead"


def _is_tag(step: str, known: dict[str, set[str]], steps: list[str]) -> bool:
    """Pydantic puts the chosen kind of a union into the location; users do not write it."""
    return step == UNSAID or (step in known["kinds"] and step is not steps[-1] and step not in known["names"])


def _names_at(cls: type[Any], steps: list[str]) -> list[str]:
    """Keys that are known where a location leads; kinds of unions stand in it like keys."""
    here = list(_nearest(cls))
    for step in steps:
        below = [hints[step] for hints in map(typing.get_type_hints, here) if step in hints]
        chosen = [one for one in here if getattr(one, "kind", None) == step]
        here = [config for hint in below for config in _nearest(hint)] if below else chosen or here
    return sorted({field.name for one in here for field in dataclasses.fields(one)})


def _dotted_keys(cls: type[Any]) -> dict[str, set[str]]:
    names: set[str] = set()
    kinds: set[str] = set()
    for found in _configs(cls, set()):
        for field in dataclasses.fields(found):
            names.add(field.name)
            if field.name == "kind":
                kinds.add(str(field.default))
    return {"names": names, "kinds": kinds}


def _configs(hint: Any, seen: set[Any]) -> Iterator[Any]:
    """Every dataclass that a type mentions, itself included."""
    for found in _nearest(hint):
        if found not in seen:
            seen.add(found)
            yield found
            for inner in typing.get_type_hints(found).values():
                yield from _configs(inner, seen)


def _nearest(hint: Any) -> Iterator[Any]:
    """The dataclasses that a type mentions, not those within them."""
    if hasattr(hint, "__pydantic_config__"):
        yield hint
    elif typing.get_origin(hint) is not None or isinstance(hint, types.UnionType):
        for inner in typing.get_args(hint):
            yield from _nearest(inner)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
