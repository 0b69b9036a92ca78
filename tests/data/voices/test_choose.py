import pytest

from noisewise.data.voices.choose import voice, voices
from noisewise.errors import ConfigError

Calls = list[list[str]]


def test_a_voice_that_is_named_twice_is_one_voice_twice(espeak_calls: Calls) -> None:
    first, second, third = voices(["espeak:en-us", "espeak", "espeak:en-us"], {"espeak": "mine"})
    assert first is third and second is not first
    assert second.licence == "mine" and first.licence.startswith("GPL")


@pytest.mark.parametrize(
    ("names", "licences", "message"),
    [
        ([], {}, "must name a voice at least"),
        (["festival:kal"], {}, "but is 'festival:kal' instead"),
        (["piper:"], {}, "must be espeak, espeak:NAME, piper:FILE"),
        (["espeak"], {"espeak:en": "MIT"}, "names 'espeak:en'"),
    ],
)
def test_what_cannot_be_asked_for(
    espeak_calls: Calls, names: list[str], licences: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        voices(names, licences)


def test_one_voice(espeak_calls: Calls) -> None:
    assert voice("espeak:en-us").facts["voice"] == "espeak:en-us"
