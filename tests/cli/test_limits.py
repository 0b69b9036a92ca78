"""The options of bounds are the fields of `Limits`, with their types and defaults."""

import inspect
from dataclasses import fields

from noisewise.cli.limits import OPTIONS, chosen, with_limits
from noisewise.serving.limits import Limits


def test_options_are_the_fields() -> None:
    assert list(OPTIONS) == [each.name for each in fields(Limits)]
    for each in fields(Limits):
        kind, _, default = OPTIONS[each.name]
        value = getattr(Limits(), each.name)
        assert isinstance(value, kind) and default == f"{value:g}".replace("1e+09", "1000000000")


def test_a_command_is_given_what_was_given() -> None:
    def command(port: int, limits: dict[str, float]) -> tuple[int, dict[str, float]]:
        return port, limits

    given = with_limits(command)
    assert [*inspect.signature(given).parameters][:2] == ["port", "upload_megabytes"]
    assert given(port=1, **{**dict.fromkeys(OPTIONS), "sockets": 3}) == (1, {"sockets": 3})
    assert chosen({"sockets": 3}) == Limits(sockets=3)
