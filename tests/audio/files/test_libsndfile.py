"""Every format that libsndfile reads, whole, in parts and in blocks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from noisewise.audio import waveform
from noisewise.audio.files import libsndfile as source
from tests.audio.chirps import chirp, refused


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


@pytest.mark.parametrize("name", ["a.ogg", "a.opus", "a.mp3", "a.flac"])
def test_blocks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    waveform.save(tmp_path / name, chirp(3.0))
    whole = waveform.load(tmp_path / name)
    monkeypatch.setattr(source, "BLOCK_VALUES", 7001)
    np.testing.assert_allclose(waveform.load(tmp_path / name), whole, atol=1e-6)
    assert np.abs(whole - chirp(3.0)[: len(whole)])[2000:-2000].max() < 0.2


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
