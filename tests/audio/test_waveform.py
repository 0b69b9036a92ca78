"""Loading and streaming: each fault has its own error."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from noisewise.audio import waveform
from noisewise.audio.files import protocol as source
from noisewise.errors import AudioError
from tests.audio.chirps import chirp, refused


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = chirp(0.5), chirp(0.5, top_hz=1000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(waveform.load(tmp_path / "a.wav"), (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 48_000, 96_000])
def test_other_rates_become_16_khz(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", chirp(2.0, rate), rate, subtype="FLOAT")
    loaded = waveform.load(tmp_path / "a.wav")
    assert len(loaded) == 32_000
    assert np.abs(loaded - chirp(2.0))[200:-200].max() < 2e-3
    assert len(waveform.load(tmp_path / "a.wav", sample_rate=rate)) == 2 * rate


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3"])
def test_a_part_is_the_same_part_of_the_whole(tmp_path: Path, name: str) -> None:
    waveform.save(tmp_path / name, chirp(3.0))
    whole = waveform.load(tmp_path / name)
    part = waveform.load(tmp_path / name, offset=1.25, duration=0.5)
    np.testing.assert_allclose(part, whole[20_000:28_000], atol=1e-4 if name == "a.mp3" else 1e-6)
    np.testing.assert_array_equal(waveform.load(tmp_path / name, duration=0.5), whole[:8000])
    assert len(waveform.load(tmp_path / name, offset=2.0)) == 16_000


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
@given(offset=st.floats(0, 1.9), duration=st.floats(0.01, 0.9))
@settings(max_examples=15, deadline=None)
def test_a_resampled_part_is_the_same_part_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rate: int, offset: float, duration: float
) -> None:
    path = tmp_path_factory.getbasetemp() / f"part{rate}.wav"
    if not path.exists():
        waveform.save(path, chirp(3.0, rate), rate, subtype="FLOAT")
    whole = waveform.load(path)
    part = waveform.load(path, offset=offset, duration=duration)
    start = round(offset * 16_000)
    assert len(part) == round(duration * 16_000)
    np.testing.assert_allclose(part, whole[start : start + len(part)], atol=1e-4)


@pytest.mark.parametrize("rate", [16_000, 8000, 44_100])
@pytest.mark.parametrize("block_seconds", [0.1, 0.37, 10.0])
def test_a_stream_is_the_whole_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int, block_seconds: float
) -> None:
    monkeypatch.setattr(source, "BLOCK_VALUES", 3000)
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([chirp(2.0, rate)] * 2, axis=1), rate, subtype="FLOAT")
    blocks = list(waveform.stream(path, block_seconds=block_seconds))
    size = round(block_seconds * 16_000)
    assert all(len(block) == size for block in blocks[:-1]) and 0 < len(blocks[-1]) <= size
    np.testing.assert_array_equal(np.concatenate(blocks), waveform.load(path))
    np.testing.assert_allclose(np.concatenate(blocks), waveform.resample(chirp(2.0, rate), rate, 16_000), atol=1e-5)


def test_a_stream_keeps_only_what_it_needs(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "a.flac"
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        for _ in range(600):
            file.write(np.tile(chirp(1.0), 2))
    tracemalloc.start()
    seconds = sum(len(block) for block in waveform.stream(path, block_seconds=5.0)) / 16_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds == 1200 and peak < 24e6  # the whole is 77 MB


def test_resampling_keeps_a_tone_and_drops_what_cannot_be_kept() -> None:
    time = np.arange(48_000) / 48_000
    low, high = np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 11_000 * time)
    kept = waveform.resample((low + high).astype(np.float32), 48_000, 16_000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert np.abs(kept - expected)[500:-500].max() < 1e-3
    np.testing.assert_array_equal(waveform.resample(kept, 16_000, 16_000), kept)


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "zero.wav").touch()
    refused("empty", tmp_path / "zero.wav")
    soundfile.write(tmp_path / "header.wav", np.zeros(0), 16_000)
    refused("empty", tmp_path / "header.wav")
    with pytest.raises(AudioError, match="0 samples"):
        waveform.info(tmp_path / "header.wav")
    with pytest.raises(AudioError, match="0 samples"):
        list(waveform.stream(tmp_path / "header.wav", block_seconds=1.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity(tmp_path: Path, bad: float) -> None:
    samples = chirp(0.5)
    samples[4321] = bad
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    refused("nan", tmp_path / "a.wav")
    assert len(waveform.load(tmp_path / "a.wav", duration=0.1)) == 1600  # the fault is in another part


def test_silence(tmp_path: Path) -> None:
    for name, level in (("zero", 0.0), ("hum", 5e-6), ("offset", 0.25)):
        samples = chirp(0.5) * 0 + level if name == "offset" else chirp(0.5) / 0.4 * level
        soundfile.write(tmp_path / f"{name}.wav", samples, 16_000, subtype="FLOAT")
        refused("silent", tmp_path / f"{name}.wav")
        assert len(waveform.load(tmp_path / f"{name}.wav", allow_silent=True)) == 8000
    soundfile.write(tmp_path / "soft.wav", chirp(0.5) * 1e-3, 16_000, subtype="FLOAT")
    waveform.load(tmp_path / "soft.wav")


def test_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, chirp(3.0), 16_000)
    assert "3.00 s" in refused("too_long", path, max_seconds=2.9)
    assert len(waveform.load(path, max_seconds=3.0)) == 48_000
    assert len(waveform.load(path, offset=1.0, duration=1.0, max_seconds=1.0)) == 16_000
    with pytest.raises(AudioError, match="at most 1 s"):
        next(waveform.stream(path, block_seconds=1.0, max_seconds=1.0))
    monkeypatch.setattr(waveform, "MAX_SECONDS", 2.0)
    refused("too_long", path)


def test_a_day_of_silence_in_a_small_file_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.flac"
    with soundfile.SoundFile(path, "w", 1000, 1) as file:  # a low rate makes the bomb quick to build
        for _ in range(90):
            file.write(np.zeros(1_000_000, np.int16))
    assert path.stat().st_size < 2e6 and waveform.info(path).seconds > 86_400
    refused("too_long", path)


def test_too_short(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", chirp(1.0), 16_000)
    refused("too_short", tmp_path / "a.wav", offset=1.0)
    refused("too_short", tmp_path / "a.wav", offset=0.5, duration=0.6)
    assert len(waveform.load(tmp_path / "a.wav", offset=0.5, duration=0.51)) == 8000  # a rounded duration


@pytest.mark.parametrize("part", [{"offset": -1.0}, {"offset": np.nan}, {"duration": 0.0}, {"duration": np.inf}])
def test_impossible_parts(tmp_path: Path, part: dict[str, float]) -> None:
    with pytest.raises(AudioError, match="must be"):
        waveform.load(tmp_path / "a.wav", **part)  # type: ignore[arg-type]


def test_errors_cross_process_boundaries() -> None:
    error = pickle.loads(pickle.dumps(AudioError("a sentence", "nan", "a.wav")))
    assert (str(error), error.reason, error.path) == ("a sentence", "nan", "a.wav")


def test_every_real_recording_is_read(data_dir: Path) -> None:
    for path in sorted(data_dir.glob("*/**/*.ogg"))[::300] + sorted(data_dir.glob("*/**/*.flac"))[::300]:
        found = waveform.info(path)
        assert len(waveform.load(path, allow_silent=True)) == round(found.seconds * 16_000)
