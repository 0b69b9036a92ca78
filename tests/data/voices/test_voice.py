"""Every voice takes what the interface has, in its order and by its names."""

import inspect

import pytest

from noisewise.data.voices.espeak import Espeak
from noisewise.data.voices.piper import Piper
from noisewise.data.voices.voice import Manner, Voice


@pytest.mark.parametrize("kind", [Espeak, Piper])
def test_signatures_are_those_of_the_interface(kind: type[Voice]) -> None:
    for name in ("say", "speaker"):
        assert inspect.signature(getattr(kind, name)) == inspect.signature(getattr(Voice, name)), name
    assert isinstance(inspect.getattr_static(kind, "facts"), property)


def test_a_manner_is_a_value() -> None:
    assert Manner(1.1, -2.0, 3) == Manner(speed=1.1, pitch=-2.0, seed=3)
    assert Manner(1.1, -2.0, 3) != Manner(1.1, 2.0, 3)
    with pytest.raises(AttributeError):
        Manner(1.0, 0.0, 0).speed = 2.0  # type: ignore[misc]
