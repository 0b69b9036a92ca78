"""Reverberation times of rooms that are made with one."""

import numpy as np
import pytest

from noisewise.audio.rooms import reverberation_time, room
from noisewise.data.random_streams import Draws
from noisewise.errors import AudioError


@pytest.mark.parametrize("seconds", [0.3, 0.9, 1.5])
def test_the_time_of_an_exponential_decay(seconds: float) -> None:
    tail = 10 ** (-3 * np.arange(32_000) / (16_000 * seconds))
    assert reverberation_time(tail) == pytest.approx(seconds, rel=0.01)
    made = room(seconds, lambda count: Draws("room").uniforms(count)).copy()
    made[0] = 0  # the direct path is no part of the decay
    assert reverberation_time(made) == pytest.approx(seconds, rel=0.12)


def test_what_is_no_room_is_refused() -> None:
    for response in (np.zeros(100), np.ones(100)[:5]):
        with pytest.raises(AudioError, match="must fall by 25 dB"):
            reverberation_time(response)
