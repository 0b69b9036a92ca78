import numpy as np
import pytest

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.random_streams import Draws
from noisewise.data.voices.espeak import Espeak
from noisewise.data.voices.voice import Manner
from noisewise.errors import DataError

Calls = list[list[str]]


def frequency(samples: np.ndarray) -> float:
    """Of the strongest component, in Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * SAMPLE_RATE / len(samples)


def test_speed_and_pitch_reach_the_program_and_pauses_at_the_ends_are_gone(espeak_calls: Calls) -> None:
    voice = Espeak("en-gb+f3")
    text = "one two three four five six seven eight"
    plain, quick = (voice.say(text, "en-gb+f3", Manner(speed, 0, 0)) for speed in (1.0, 2.0))
    assert len(plain) / SAMPLE_RATE == pytest.approx(8 * 60 / 160, abs=0.01)
    assert len(quick) / len(plain) == pytest.approx(0.5, abs=0.01)
    high = voice.say(text, "en-gb+f3", Manner(1.0, 5, 0))
    assert frequency(plain) == pytest.approx(200, abs=2) and frequency(high) == pytest.approx(242, abs=2)
    assert all(call[call.index("-v") + 1] == "en-gb+f3" for call in espeak_calls)


def test_all_voices_are_one_of_the_lists(espeak_calls: Calls) -> None:
    names = {Espeak().speaker(Draws(index)) for index in range(50)}
    assert len(names) > 30 and all(name.startswith("en-") and "+" in name for name in names)
    assert {Espeak("en-us").speaker(Draws(index)) for index in range(5)} == {"en-us"}


@pytest.mark.parametrize(
    ("text", "message"), [("unspeakable", "fails: Error: The specified voice does not exist"), ("silent", "silence")]
)
def test_what_it_cannot_speak_is_an_error_with_its_words(espeak_calls: Calls, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Espeak().say(text, "en-us", Manner(1, 0, 0))


def test_a_voice_that_is_not_there_is_known_before_anything_is_spoken(espeak_calls: Calls) -> None:
    with pytest.raises(DataError, match="must speak 'yes' with nowhere"):
        Espeak("nowhere")


def test_facts_name_the_version(espeak_calls: Calls) -> None:
    assert Espeak("en-us").facts == {"voice": "espeak:en-us", "version": "eSpeak NG text-to-speech: 1.51"}
    assert "GPL" in Espeak().licence and Espeak("", "mine").licence == "mine"
