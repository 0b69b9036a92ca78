"""Files that end too early, and those that only look so."""

import struct
from pathlib import Path

import pytest
import soundfile

from noisewise.audio import waveform
from noisewise.audio.files.truncation import media_format
from noisewise.errors import AudioError
from tests.audio.chirps import chirp, refused

HEADS = [
    (b"\x00\x00\x00\x1cftypM4A ", "mp4"),
    (b"\x1a\x45\xdf\xa3\x01\x00", "matroska"),
    (b"\xff\xf1\x50\x80", "aac"),
    (b"#!AMR\n", "amr"),
    (b"RIFF\x00\x00\x00\x00WAVE", None),
    (b"\xff\xfb\x90\x00", None),
    (b"#EXTM3U\n", None),
    (b"", None),
]


@pytest.mark.parametrize(("head", "expected"), HEADS)
def test_containers_are_known_by_their_first_bytes(head: bytes, expected: str | None) -> None:
    assert media_format(head) == expected


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
