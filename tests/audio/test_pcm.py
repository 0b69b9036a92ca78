"""Sixteen-bit samples: exact where they can be, scaled where they must be."""

from pathlib import Path

import numpy as np

from noisewise.audio.pcm import pcm16
from noisewise.audio.waveform import load, save


def test_sixteen_bit_samples_come_back_as_they_were(tmp_path: Path) -> None:
    samples = np.arange(-32768, 32768, dtype=np.int16)
    save(tmp_path / "all.wav", samples)
    found, scale = pcm16(load(tmp_path / "all.wav"))
    assert scale == 1.0 and np.array_equal(found, samples)


def test_only_what_exceeds_full_scale_is_scaled() -> None:
    assert pcm16(np.array([1.0, -1.0, 0.5], dtype=np.float32))[0].tolist() == [32767, -32768, 16384]
    found, scale = pcm16(np.array([-2.0, 1.0, 0.5], dtype=np.float32))
    assert scale == 0.5 and found.tolist() == [-32768, 16384, 8192]
    assert pcm16(np.zeros(0, dtype=np.float32))[0].shape == (0,)
