"""Loading, streaming and saving: what goes in comes out, and each fault has its own error."""

import io
import os
import pickle
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.audio.files import libsndfile as source
from noisewise.audio.files import open as opening
from noisewise.errors import AudioError

Array = NDArray[np.float32]


def chirp(seconds: float, rate: int = 16_000, top_hz: float = 3000.0) -> Array:
    """A rising tone: every instant differs from every other."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * (100 * time + (top_hz - 100) / 2 / seconds * time**2))).astype(np.float32)


def refused(reason: str, *args: Any, **kwargs: Any) -> str:
    """The message of the error that `load` must raise."""
    with pytest.raises(AudioError) as caught:
        waveform.load(*args, **kwargs)
    assert caught.value.reason == reason, str(caught.value)
    message = str(caught.value)
    assert "must" in message and "\n" not in message and str(caught.value.path) in message
    return message


@pytest.mark.parametrize(
    ("name", "subtype", "within"),
    [
        ("a.wav", "PCM_16", 4e-5),
        ("a.wav", "PCM_24", 1e-6),
        ("a.wav", "PCM_32", 1e-6),
        ("a.wav", "PCM_U8", 1e-2),
        ("a.wav", "FLOAT", 0),
        ("a.wav", "DOUBLE", 0),
        ("a.wav", "ULAW", 2e-2),
        ("a.flac", "PCM_16", 4e-5),
        ("a.flac", "PCM_24", 1e-6),
        ("a.aiff", "PCM_16", 4e-5),
        ("a.au", "PCM_16", 4e-5),
        ("a.w64", "PCM_16", 4e-5),
        ("a.ogg", "VORBIS", 5e-2),
        ("a.mp3", "MPEG_LAYER_III", 0.2),
    ],
)
def test_formats(tmp_path: Path, name: str, subtype: str, within: float) -> None:
    samples = chirp(1.0)
    soundfile.write(tmp_path / name, samples, 16_000, subtype=subtype)
    loaded = waveform.load(tmp_path / name)
    assert loaded.dtype == np.float32 and loaded.shape == samples.shape
    inner = slice(1000, -1000)
    assert np.abs(loaded[inner] - samples[inner]).max() <= within
    found = waveform.info(tmp_path / name)
    assert (found.samples, found.sample_rate, found.channels) == (16_000, 16_000, 1)
    assert found.seconds == 1.0 and subtype in found.format


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


def test_open_files_bytes_and_pipes(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, chirp(0.5), 16_000)
    expected = waveform.load(str(path))
    with path.open("rb") as file:
        file.seek(99)  # wherever it stands
        np.testing.assert_array_equal(waveform.load(file), expected)
        assert not file.closed
    np.testing.assert_array_equal(waveform.load(io.BytesIO(path.read_bytes())), expected)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(path.read_bytes()))
    writer.start()
    np.testing.assert_array_equal(waveform.load(tmp_path / "pipe"), expected)
    writer.join()


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


def test_a_part_is_searched_not_decoded_up_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.flac", np.tile(chirp(1.0), 300), 16_000)
    decoded: list[int] = []
    read = soundfile.SoundFile.read

    def counted(file: Any, frames: int, **rest: Any) -> Any:
        decoded.append(frames)
        return read(file, frames, **rest)

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    waveform.load(tmp_path / "a.flac", offset=290.0, duration=1.0)
    assert sum(decoded) == 16_000


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


@pytest.mark.parametrize("name", ["a.ogg", "a.opus", "a.mp3", "a.flac"])
def test_blocks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    waveform.save(tmp_path / name, chirp(3.0))
    whole = waveform.load(tmp_path / name)
    monkeypatch.setattr(source, "BLOCK_VALUES", 7001)
    np.testing.assert_allclose(waveform.load(tmp_path / name), whole, atol=1e-6)
    assert np.abs(whole - chirp(3.0)[: len(whole)])[2000:-2000].max() < 0.2


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


# Faults


def test_missing_files_and_folders(tmp_path: Path) -> None:
    assert "no such file" in refused("missing", tmp_path / "none.wav")
    assert "folder" in refused("not_audio", tmp_path)
    if os.geteuid():  # root may read everything
        (tmp_path / "closed.wav").touch(0o000)
        refused("missing", tmp_path / "closed.wav")


@pytest.mark.parametrize("content", [b"Dear all,\n", b"\x89PNG\r\n\x1a\n" + bytes(90), b"#EXTM3U\nhttp://x/y\n", b"x"])
@pytest.mark.parametrize("name", ["letter.wav", "letter", "letter.raw", "letter.m4a"])
def test_what_is_not_audio(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    refused("not_audio", tmp_path / name)


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "zero.wav").touch()
    refused("empty", tmp_path / "zero.wav")
    soundfile.write(tmp_path / "header.wav", np.zeros(0), 16_000)
    refused("empty", tmp_path / "header.wav")
    with pytest.raises(AudioError, match="0 samples"):
        waveform.info(tmp_path / "header.wav")
    with pytest.raises(AudioError, match="0 samples"):
        list(waveform.stream(tmp_path / "header.wav", block_seconds=1.0))


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.flac", "a.ogg", "a.mp3"])
@pytest.mark.parametrize("part", [0.3, 0.7, 0.9])
def test_truncated(tmp_path: Path, name: str, part: float) -> None:
    path = tmp_path / name
    soundfile.write(path, chirp(6.0), 16_000)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    assert "promises" in refused("truncated", path)
    with pytest.raises(AudioError, match="promises"):
        list(waveform.stream(path, block_seconds=0.5))


def test_one_lost_byte_is_seen(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", chirp(0.5), 16_000)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-1])
    refused("truncated", tmp_path / "a.wav")


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_F000, 0x7FFF_FFFF])
def test_wav_from_a_pipe_has_no_length_and_is_not_truncated(tmp_path: Path, size: int) -> None:
    soundfile.write(tmp_path / "a.wav", chirp(0.5), 16_000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    data = content.index(b"data") + 4
    content[data : data + 4] = struct.pack("<I", size)
    (tmp_path / "a.wav").write_bytes(content)
    assert len(waveform.load(tmp_path / "a.wav")) == 8000


def test_flac_from_a_pipe_has_no_length(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, chirp(2.0), 16_000)
    expected = waveform.load(path)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO: 36 bits of total samples, 0 for unknown
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert np.isnan(waveform.info(path).seconds)
    np.testing.assert_array_equal(waveform.load(path), expected)
    np.testing.assert_array_equal(waveform.load(path, offset=1.0, duration=0.5), expected[16_000:24_000])
    np.testing.assert_array_equal(np.concatenate(list(waveform.stream(path, block_seconds=0.3))), expected)
    refused("too_long", path, max_seconds=0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity(tmp_path: Path, bad: float) -> None:
    samples = chirp(0.5)
    samples[4321] = bad
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    refused("nan", tmp_path / "a.wav")
    assert len(waveform.load(tmp_path / "a.wav", duration=0.1)) == 1600  # the fault is elsewhere


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


def test_a_header_with_an_impossible_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", chirp(0.5), 16_000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:28] = struct.pack("<I", 1)
    (tmp_path / "a.wav").write_bytes(content)
    assert "samples per second" in refused("not_audio", tmp_path / "a.wav")


def test_too_short(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", chirp(1.0), 16_000)
    refused("too_short", tmp_path / "a.wav", offset=1.0)
    refused("too_short", tmp_path / "a.wav", offset=0.5, duration=0.6)
    assert len(waveform.load(tmp_path / "a.wav", offset=0.5, duration=0.51)) == 8000  # a rounded duration


@pytest.mark.parametrize("part", [{"offset": -1.0}, {"offset": np.nan}, {"duration": 0.0}, {"duration": np.inf}])
def test_impossible_parts(tmp_path: Path, part: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        waveform.load(tmp_path / "a.wav", **part)  # type: ignore[arg-type]


def test_a_pipe_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_PIPE_BYTES", 1000)
    reader, writer = os.pipe()
    os.write(writer, bytes(2000))
    with os.fdopen(reader, "rb") as pipe:
        assert "pipe" in refused("too_long", pipe)
    os.close(writer)


def test_errors_cross_process_boundaries() -> None:
    error = pickle.loads(pickle.dumps(AudioError("a sentence", "nan", "a.wav")))
    assert (str(error), error.reason, error.path) == ("a sentence", "nan", "a.wav")


# Saving


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


def test_every_real_recording_is_read(data_dir: Path) -> None:
    for path in sorted(data_dir.glob("*/**/*.ogg"))[::300] + sorted(data_dir.glob("*/**/*.flac"))[::300]:
        found = waveform.info(path)
        assert len(waveform.load(path, allow_silent=True)) == round(found.seconds * 16_000)
