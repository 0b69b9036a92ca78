"""Configurations: YAML values, overrides, and errors that name the key."""

import math
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisewise.config import (
    TRAINING_ONLY,
    UNSAID,
    above,
    architecture,
    config,
    dump,
    dump_yaml,
    flat,
    load,
    member,
    migrated,
    one_of,
    override,
    parse,
    schema,
    training_only,
    within,
)
from noisewise.errors import ConfigError


@config
class Circle:
    """A circle."""

    kind: Literal["circle"] = "circle"
    radius: float = 1.0
    """Half the width."""


@config
class Square:
    """A square."""

    kind: Literal["square"] = "square"
    side: float = 1.0
    """The width."""


@config
class Drawing:
    """What is drawn."""

    dim: int = 512
    """Width."""
    shape: Annotated[Circle | Square, one_of("kind")] = Circle()
    """What."""
    sizes: tuple[int, ...] = (1, 2)
    """Several."""
    name: str = "x"
    """Name."""


def written(folder: Path, text: str) -> Path:
    path = folder / "drawing.yaml"
    path.write_text(text)
    return path


def test_values_and_overrides_reach_the_dataclass(tmp_path: Path) -> None:
    path = written(tmp_path, "dim: 3\nshape: {kind: square, side: 1e-3}\nname: no\n")
    assert load(Drawing, path) == Drawing(dim=3, shape=Square(side=0.001), name="no")
    changed = load(Drawing, path, ["shape.side=5e2", "sizes=[4, 5]", "sizes.1=7"])
    assert changed == Drawing(dim=3, shape=Square(side=500.0), sizes=(4, 7), name="no")


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("-2.5E+3", -2500.0), (".5", 0.5), ("7", 7), ("true", True), ("no", "no")]
)
def test_numbers_and_booleans_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = override({}, [f"a={text}"])["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dimm": 3}, r"dimm: unknown key; did you mean 'dim'\?"),
        ({"shape": {"kind": "circle", "radios": 1}}, r"shape.radios: unknown key; did you mean 'radius'\?"),
        ({"shape": {"kind": "circle", "side": 1}}, "shape.side: unknown key of this kind, .* or change `kind`"),
        ({"shape": {"kind": "oval"}}, "shape.kind: must be one of .*circle.*square.*, but is 'oval' instead"),
        ({"shape": {"radius": 1}}, "shape: must carry `kind:`"),
        ({"dim": "wide"}, "dim: .*integer.*, but is 'wide' instead"),
    ],
)
def test_errors_name_the_key_and_what_to_write(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(Drawing, values)


LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
"""Ten lines that stand for 10^11 values."""


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "- 1\n- 2",
        "!!python/object/apply:os.getcwd []",
        "\x00",
        LAUGHS,
        "a: &a [*a]",
        "{" * 5000,
        "dim: " + "9" * 5000,
        "a:\n\t- 1",
        "just words",
        "{[1]: 2}",
        "a: b: c",
        "dim: 1\nshape: {kind: square}\ndim: 2",
        "shape: {kind: circle, kind: square}",
    ],
    ids=range(14),
)
def test_files_that_are_not_plain_yaml_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"drawing\.yaml"):
        load(Drawing, written(tmp_path, text))


@given(st.one_of(st.binary(max_size=200), st.text("ab:[]{}-,&*!|>?#'\"\n\t 1.", max_size=60).map(str.encode)))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawing.yaml"
        path.write_bytes(content)
        try:
            load(Drawing, path)
        except ConfigError as error:
            assert str(error)


@pytest.mark.parametrize(
    "text", ["dim", "=3", "name.x=1", "sizes.9=1", "dim=[1", "dim=*a", "name=!!python/name:os.sep"]
)
def test_overrides_that_lead_nowhere_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        override(dump(Drawing()), [text])


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(Drawing, tmp_path / "nothing.yaml")


@given(st.integers(), st.floats(allow_nan=False), st.lists(st.integers(), max_size=4), st.text())
def test_dump_then_load_gives_the_same(dim: int, side: float, sizes: list[int], name: str) -> None:
    import yaml

    drawing = Drawing(dim=dim, shape=Square(side=side), sizes=tuple(sizes), name=name)
    assert parse(Drawing, dump(drawing)) == drawing
    assert parse(Drawing, yaml.safe_load(dump_yaml(drawing))) == drawing


def test_schema_carries_the_docstrings() -> None:
    described = schema(Drawing)
    assert described["properties"]["dim"]["description"] == "Width."
    assert described["additionalProperties"] is False


@config
class Plain:
    """A member that does not say its kind."""

    width: int = 1
    """How wide."""


@config
class Either:
    """A choice whose first member needs no `kind:`."""

    what: Annotated[Annotated[Plain, member(UNSAID)] | Annotated[Circle, member("circle")], one_of("kind", UNSAID)]
    """What."""


def test_what_does_not_say_its_kind_is_the_plain_member() -> None:
    assert parse(Either, {"what": {"width": 3}}).what == Plain(width=3)
    assert parse(Either, {"what": {"kind": "circle", "radius": 2}}).what == Circle(radius=2)
    for chosen in (Either(what=Plain(width=3)), Either(what=Circle(radius=2.0))):
        assert parse(Either, dump(chosen)) == chosen
    for values, message in (
        ({"widht": 3}, r"^what\.widht: unknown key; did you mean 'width'"),
        ({"width": "wide"}, r"^what\.width: "),
        ({"kind": "circle", "radiu": 3}, r"^what\.radiu: unknown key; did you mean 'radius'"),
        ({"kind": "cube"}, r"^what\.kind: must be one of .*'circle'.*, but is 'cube' instead"),
    ):
        with pytest.raises(ConfigError, match=message):
            parse(Either, {"what": values})


def test_bounds_hold_the_ends_or_leave_them_out() -> None:
    within(0, 1, a=0.0, b=1.0)
    within(1, math.inf, a=1)
    above(0, a=1e-9)
    for low, high, value, span in (
        (0, 1, -0.1, "between 0 and 1"),
        (0, 1, math.nan, "between"),
        (2, math.inf, 1, "2 or more"),
    ):
        with pytest.raises(ConfigError, match=f"`a` must be {span}"):
            within(low, high, a=value)
    for value in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="`a` must be more than 0"):
            above(0, a=value)


@config
class Engine:
    """Fuel, once called juice."""

    kind: Literal["engine"] = "engine"
    fuel: str = "petrol"

    @classmethod
    def migrated(cls, values: dict[str, Any]) -> dict[str, Any]:
        """`juice` is `fuel` today."""
        return {"fuel" if name == "juice" else name: value for name, value in values.items()}


@config
class Pedals:
    """No fuel."""

    kind: Literal["pedals"] = "pedals"


@config
class Vehicle:
    """What moves."""

    drives: tuple[Annotated[Engine | Pedals, one_of("kind")], ...] = ()
    spare: Annotated[Engine, TRAINING_ONLY] = Engine()


def test_older_forms_are_read_wherever_their_class_stands() -> None:
    old = {"drives": [{"kind": "pedals"}, {"kind": "engine", "juice": "diesel"}], "spare": {"juice": "gas"}}
    found = parse(Vehicle, old)
    assert found == Vehicle(drives=(Pedals(), Engine(fuel="diesel")), spare=Engine(fuel="gas"))
    assert old["spare"] == {"juice": "gas"}, "what was given must not change"
    assert migrated(Vehicle, dump(found)) == dump(found)
    with pytest.raises(ConfigError, match="juice: unknown key"):
        parse(Vehicle, {"drives": [{"kind": "pedals", "juice": "gas"}]})


def test_marked_fields_are_no_architecture() -> None:
    assert training_only(Vehicle) == {"spare"}
    assert architecture(Vehicle()) == {"drives": []}
    assert flat({"a": {"b": {"c": 1}}, "d": [1]}) == {"a.b.c": 1, "d": [1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n".join(f"k{number}: 1" for number in range(100_000)), "more than 20000 keys"),
        ("[" * 3000, "or 50 levels"),
        ("a: " + "{b: " * 60 + "1" + "}" * 60, "or 50 levels"),
        ("a: 0x" + "f" * 6000, "more than 100 digits"),
        ("a: " + "9" * 5000, "more than 100 digits"),
        ("a: 0b" + "1" * 5000, "more than 100 digits"),
        ("a: '" + "x" * (2 << 20) + "'", "longer than 1 MiB"),
        ("a: 1\nb: 2\na: 3", "'a' stands twice"),
        ("a: \xff", "must be YAML with plain values"),
    ],
    ids=["keys", "lists", "mappings", "hexadecimal", "decimal", "binary", "long", "twice", "bytes"],
)
def test_yaml_beyond_the_limits_is_refused_at_once(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(text.encode("latin-1"))
    start = time.monotonic()
    with pytest.raises(ConfigError, match=message) as caught:
        load(Numbers, tmp_path / "a.yaml")
    assert time.monotonic() - start < 10 and len(str(caught.value)) < 500


@pytest.mark.parametrize("key", ["²", "-1", "9" * 5000, "٣", "1_0", "3"])
def test_a_step_into_a_list_is_a_small_number(key: str) -> None:
    with pytest.raises(ConfigError, match="must step into a list of 2"):
        override({"a": [1, 2]}, [f"a.{key}=3"])


@pytest.mark.parametrize(
    "text", [".".join("a" * 100_000) + "=1", "a=" + "[" * 5000, "a=" + "9" * 5000], ids=["keys", "levels", "digits"]
)
def test_an_override_beyond_the_limits_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="an override must") as caught:
        override({}, [text])
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("value", [10**6000, "x" * 10**6, list(range(10**5))], ids=["digits", "text", "list"])
def test_errors_show_the_beginning_of_a_value(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Numbers, {"a": value})
    assert len(str(caught.value)) < 500


def test_errors_name_some_of_many_problems() -> None:
    start = time.monotonic()
    with pytest.raises(ConfigError, match="; and 9995 more"):
        parse(Numbers, {f"k{number}": 1 for number in range(10_000)} | {"a": 1.0})
    assert time.monotonic() - start < 10


@config
class Numbers:
    """One number."""

    a: float = 0.0
