"""Bounds of a server."""

from dataclasses import fields

import pytest

from noisewise.errors import ConfigError
from noisewise.serving.limits import Limits


@pytest.mark.parametrize("name", [each.name for each in fields(Limits)])
def test_none_is_zero(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Limits(**{name: 0})  # type: ignore[arg-type]


def test_megabytes_are_those_of_two() -> None:
    limits = Limits(upload_megabytes=2, spool_megabytes=3)
    assert (limits.upload_bytes, limits.spool_bytes) == (2 * 1024**2, 3 * 1024**2)
