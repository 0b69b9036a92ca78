"""Windows over a stream of samples."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisewise.audio.windows import windows


@given(
    total=st.integers(1, 500),
    hop=st.integers(1, 7),
    frames=st.integers(2, 12),
    overlap=st.integers(0, 5),
    block=st.integers(1, 90),
)
def test_windows_cover_everything_and_hold_the_samples_of_their_place(
    total: int, hop: int, frames: int, overlap: int, block: int
) -> None:
    size, step = frames * hop, max(1, frames - overlap) * hop
    signal = np.arange(total, dtype=np.float32)
    found = list(windows((signal[at : at + block] for at in range(0, total, block)), size, step, hop))
    assert found[0][0] == 0
    assert found[-1][0] + len(found[-1][1]) == total
    for start, samples in found:
        assert start % hop == 0
        assert np.array_equal(samples, signal[start : start + len(samples)])
    for (before, earlier), (after, _) in pairwise(found):
        assert before < after <= before + step
        assert len(earlier) == size
    if len(found) > 1:
        assert size - hop < len(found[-1][1]) <= size


def test_a_short_recording_is_one_window() -> None:
    ((start, samples),) = windows([np.ones(10, np.float32)], size=10, step=5)
    assert (start, len(samples)) == (0, 10)


def test_the_last_window_begins_earlier_instead_of_being_short() -> None:
    starts = [start for start, _ in windows([np.ones(21, np.float32)], size=10, step=8, hop=2)]
    assert starts == [0, 8, 12]


def test_a_step_off_the_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4 from 4 to 8 samples, but is 6"):
        list(windows([np.ones(20, np.float32)], size=8, step=6, hop=4))
