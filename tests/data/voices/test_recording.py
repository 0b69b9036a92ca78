import numpy as np
import pytest

from noisewise.audio.mix import rms
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.random_streams import Draws
from noisewise.data.voices.recording import PEAK, Recording, drawn, recorded, trimmed


def test_level_pauses_and_hiss() -> None:
    speech = np.sin(np.arange(SAMPLE_RATE) / 20).astype(np.float32)
    made = recorded(speech, Recording(level_db=-20, hiss_db=-60, before=0.1, after=0.3), Draws(0))
    assert len(made) == round(1.4 * SAMPLE_RATE)
    assert 20 * np.log10(rms(made[1600:17600])) == pytest.approx(-20, abs=0.1)
    for pause in (made[:1600], made[-4800:]):
        assert 20 * np.log10(rms(pause)) == pytest.approx(-60, abs=0.5)


def test_no_peak_is_cut() -> None:
    speech = np.zeros(SAMPLE_RATE, np.float32)
    speech[::1000] = 1
    made = recorded(speech, Recording(level_db=-10, hiss_db=-90, before=0, after=0), Draws(0))
    assert np.abs(made).max() == pytest.approx(PEAK, abs=1e-3)


def test_trimmed() -> None:
    assert trimmed(np.array([0, 1e-4, 0.5, 0, -0.5, 0], np.float32)).tolist() == [0.5, 0, -0.5]
    assert trimmed(np.zeros(5, np.float32)).size == 0


def test_the_drawn_values_stay() -> None:
    """They belong to corpora that people have made."""
    how = drawn(Draws(0, "recording"))
    assert -34 <= how.level_db < -16 and -85 <= how.hiss_db < -60
    assert how == drawn(Draws(0, "recording")) != drawn(Draws(1, "recording"))
