"""Every format that libsndfile reads, whole, in parts and in blocks."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from noisewise.audio import waveform
from noisewise.audio.files import protocol as source
from noisewise.errors import AudioError
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


SAMPLES = (0.3 * np.sin(np.arange(24_000) * 0.05)).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "GSM610"),
        ("WAV", "G721_32"),
        ("WAV", "IMA_ADPCM"),
        ("WAV", "MS_ADPCM"),
        ("WAV", "NMS_ADPCM_16"),
        ("WAV", "ALAW"),
        ("AU", "G721_32"),
        ("AU", "G723_24"),
        ("AU", "G723_40"),
        ("AIFF", "GSM610"),
        ("W64", "GSM610"),
    ],
)
def test_codings_of_telephony(tmp_path: Path, kind: str, subtype: str) -> None:
    soundfile.write(tmp_path / "a", SAMPLES, 8000, format=kind, subtype=subtype)
    expected, _ = soundfile.read(tmp_path / "a", dtype="float32")
    loaded = waveform.load(tmp_path / "a", sample_rate=8000)
    np.testing.assert_array_equal(loaded, expected[: len(loaded)])
    assert len(loaded) >= 24_000
    assert np.corrcoef(loaded[:24_000], SAMPLES)[0, 1] > 0.9
    part = waveform.load(tmp_path / "a", sample_rate=8000, offset=1.0, duration=0.5)
    np.testing.assert_allclose(part, loaded[8000:12_000], atol=0.05)


@pytest.mark.parametrize("name", [b"caf\xe9.wav", b"\xff\xfe.wav", b"a\x80.flac", b"\xc3(.ogg", "ü — 猫.mp3".encode()])
def test_names_that_are_no_text(tmp_path: Path, name: bytes) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
    kind = "MP3" if name.endswith(b"mp3") else name[-4:].strip(b".").decode().upper()
    soundfile.write(tmp_path / "a", SAMPLES, 16_000, format=kind)
    os.rename(tmp_path / "a", path)
    assert len(waveform.load(path)) == 24_000
    assert len(waveform.load(Path(path))) == 24_000
    with pytest.raises(AudioError) as caught:
        waveform.load(path + "\udcff")
    str(caught.value).encode()  # it can be printed and stored
    assert "\\xff" in str(caught.value)


class Broken(io.BytesIO):
    """A file on a disk that fails."""

    def __init__(self, content: bytes, good: int):
        super().__init__(content)
        self._good = good

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() + 1 > self._good:
            raise OSError(5, "Input/output error")
        return super().read(size)

    def readinto(self, buffer, /) -> int:  # type: ignore[no-untyped-def]
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
@pytest.mark.parametrize("good", [0, 1, 3000])
def test_errors_of_reading_are_those_of_the_file(kind: str, good: int, capfd: pytest.CaptureFixture[str]) -> None:
    file = io.BytesIO()
    random = np.random.default_rng(0).normal(size=400_000) * 0.1
    soundfile.write(file, random, 16_000, format=kind)
    broken = Broken(file.getvalue(), good)
    for call in (lambda: waveform.load(broken), lambda: list(waveform.stream(broken, block_seconds=1.0))):
        with pytest.raises(AudioError, match="Input/output error") as caught:
            call()
        assert caught.value.reason == "missing"
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="a file that opens and cannot be read: Linux only")
def test_a_path_that_opens_and_cannot_be_read() -> None:
    with pytest.raises(AudioError) as caught:
        waveform.load("/proc/self/mem")
    assert caught.value.reason == "missing"


def test_what_is_before_a_fault_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.tile(SAMPLES, 10), 16_000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    blocks = []
    with pytest.raises(AudioError) as caught:
        for block in waveform.stream(path, block_seconds=0.5):
            blocks.append(block)
    assert caught.value.reason == "truncated"
    found = np.concatenate(blocks)
    assert 100_000 < len(found) < 130_000
    np.testing.assert_allclose(found[:96_000], np.tile(SAMPLES, 4), atol=1e-4)
