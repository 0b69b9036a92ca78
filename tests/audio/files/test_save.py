"""Samples to a file and back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from noisewise.audio import waveform
from noisewise.errors import AudioError
from tests.audio.chirps import chirp


@given(samples=st.lists(st.integers(-32_768, 32_767), min_size=2, max_size=200).filter(lambda s: max(s) - min(s) > 1))
@settings(max_examples=40, deadline=None)
def test_sixteen_bits_survive_loading_and_saving(tmp_path_factory: pytest.TempPathFactory, samples: list[int]) -> None:
    folder = tmp_path_factory.getbasetemp()
    integers = np.array(samples, dtype=np.int16)
    for name in ("exact.wav", "exact.flac"):
        waveform.save(folder / name, integers)
        waveform.save(folder / f"again-{name}", waveform.load(folder / name))
        found, _ = soundfile.read(folder / f"again-{name}", dtype="int16")
        np.testing.assert_array_equal(found, integers)


def test_saving_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.flac"
    waveform.save(path, chirp(0.5))
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(soundfile.SoundFile, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        waveform.save(path, chirp(1.0))
    assert path.read_bytes() == before and [each.name for each in tmp_path.iterdir()] == ["a.flac"]


@pytest.mark.parametrize("name", ["a.ogg", "a.opus", "a.mp3", "a.wav"])
def test_long_recordings_in_every_coding(tmp_path: Path, name: str) -> None:
    waveform.save(tmp_path / name, chirp(20.0))
    assert waveform.info(tmp_path / name).seconds == pytest.approx(20.0, abs=0.1)


def test_what_would_be_damaged_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"peaks at 1\.5"):
        waveform.save(tmp_path / "a.wav", np.array([0.0, -1.5], np.float32))
    waveform.save(tmp_path / "a.wav", np.array([0.0, -1.5], np.float32), subtype="FLOAT")
    assert waveform.load(tmp_path / "a.wav").tolist() == [0.0, -1.5]
    with pytest.raises(AudioError, match="finite"):
        waveform.save(tmp_path / "b.wav", np.array([0.0, np.nan]))
    for name in ("a.txt", "a"):
        with pytest.raises(AudioError, match="must end in"):
            waveform.save(tmp_path / name, chirp(0.1))
    with pytest.raises(AudioError, match="VORBIS"):
        waveform.save(tmp_path / "a.flac", chirp(0.1), subtype="VORBIS")
