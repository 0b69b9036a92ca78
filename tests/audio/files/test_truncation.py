"""Files that end too early, and those that only look so."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.audio import waveform
from noisewise.audio.files.truncation import extent, media_format
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


SAMPLES = (0.3 * np.sin(np.arange(32_000) * 0.05)).astype(np.float32)
LENGTHS = [
    ("WAV", "PCM_16"),
    ("WAV", "ULAW"),
    ("WAV", "GSM610"),
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("W64", "GSM610"),
    ("AU", "PCM_16"),
    ("AU", "G721_32"),
    ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("AIFF", "PCM_16"),
    ("SVX", "PCM_16"),
    ("AVR", "PCM_16"),
    ("VOC", "PCM_16"),
    ("NIST", "PCM_16"),
    ("NIST", "ULAW"),
    ("FLAC", "PCM_16"),
]


def written(kind: str, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES, 8000, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "subtype"), LENGTHS)
@pytest.mark.parametrize("part", [0.5, 0.93])
def test_a_missing_end_is_seen_and_the_rest_is_there(tmp_path: Path, kind: str, subtype: str, part: float) -> None:
    content = written(kind, subtype)
    path = tmp_path / "a"
    path.write_bytes(content)
    whole = waveform.load(path, sample_rate=8000)
    path.write_bytes(content[: int(len(content) * part)])
    for call in (lambda: waveform.load(path, sample_rate=8000), lambda: waveform.load(path, duration=0.1)):
        if kind == "FLAC" and call is not None:
            break
        with pytest.raises(AudioError, match="promises") as caught:
            call()
        assert caught.value.reason == "truncated"
    left = waveform.load(path, sample_rate=8000, allow_truncated=True)
    assert 0.4 * part < len(left) / len(whole) < part + 0.1
    np.testing.assert_allclose(left[:8000], whole[:8000], atol=1e-6)
    blocks = []
    with pytest.raises(AudioError) as caught:
        for block in waveform.stream(path, block_seconds=0.3, sample_rate=8000):
            blocks.append(block)
    assert caught.value.reason == "truncated"
    np.testing.assert_array_equal(np.concatenate(blocks), left)


def field(mark: bytes, offset: int, form: str) -> Callable[[bytes, int], bytes]:
    """What writes a size behind the place of `mark`."""

    def write(content: bytes, value: int) -> bytes:
        place = content.index(mark) + offset
        size = struct.pack(form, value & ((1 << 8 * struct.calcsize(form)) - 1))
        return content[:place] + size + content[place + len(size) :]

    return write


SIZES = {
    "WAV": [field(b"RIFF", 4, "<I"), field(b"data", 4, "<I")],
    "WAVEX": [field(b"RIFF", 4, "<I"), field(b"data", 4, "<I")],
    "RF64": [field(b"ds64", 8, "<Q"), field(b"ds64", 16, "<Q")],
    "W64": [field(b"riff", 16, "<Q"), field(b"data\xf3\xac", 16, "<Q")],
    "AU": [field(b".snd", 8, ">I")],
    "AIFF": [field(b"FORM", 4, ">I"), field(b"SSND", 4, ">I")],
    "CAF": [field(b"data", 4, ">Q")],
}


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("value", [0, -1])
def test_sizes_that_were_never_written(tmp_path: Path, kind: str, value: int) -> None:
    content = written(kind)
    (tmp_path / "a").write_bytes(content)
    whole = waveform.load(tmp_path / "a")
    for write in SIZES[kind]:
        content = write(content, value)
    (tmp_path / "a").write_bytes(content)
    np.testing.assert_array_equal(waveform.load(tmp_path / "a"), whole)
    np.testing.assert_array_equal(waveform.load(io.BytesIO(content)), whole)
    assert waveform.info(tmp_path / "a").samples == 32_000


def test_only_the_size_of_the_samples_is_zero(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(SIZES["WAV"][1](written("WAV"), 0))
    assert len(waveform.load(tmp_path / "a.wav")) == 64_000


def test_no_samples_and_a_chunk_behind_them_is_empty(tmp_path: Path) -> None:
    header = SIZES["WAV"][1](written("WAV"), 0)[:44]
    (tmp_path / "a.wav").write_bytes(header + b"LIST\x04\0\0\0INFO")
    with pytest.raises(AudioError) as caught:
        waveform.load(tmp_path / "a.wav")
    assert caught.value.reason == "empty"


def test_streams_of_frames() -> None:
    adts = bytes([0xFF, 0xF1, 0x50, 0x80, 0x02, 0x1F, 0xFC]) + bytes(9)  # 16 bytes
    amr = b"\x3c" + bytes(31)  # 12.2 kbit/s
    for head, frame in ((b"", adts), (b"#!AMR\n", amr)):
        assert extent(io.BytesIO(head + frame * 10)).missing == 0
        assert extent(io.BytesIO((head + frame * 10)[:-3])).missing == 3


def test_boxes_and_elements() -> None:
    box = struct.pack(">I4s", 16, b"ftyp") + bytes(8) + struct.pack(">I4s", 100, b"mdat") + bytes(92)
    assert [extent(io.BytesIO(box[:end])).missing for end in (116, 110, 30)] == [0, 6, 86]
    element = b"\x1a\x45\xdf\xa3\x84" + bytes(4) + b"\x18\x53\x80\x67"
    assert extent(io.BytesIO(element + b"\x8a" + bytes(10))).missing == 0
    assert extent(io.BytesIO(element + b"\x8a" + bytes(7))).missing == 3
    assert extent(io.BytesIO(element + b"\x01" + b"\xff" * 7 + bytes(9))).missing == 0  # live: no size


@pytest.mark.parametrize("kind", [kind for kind, _ in LENGTHS])
def test_any_cut_is_an_audio_error_or_samples(tmp_path: Path, kind: str) -> None:
    content = written(kind)
    for end in [*range(1, 130, 3), *range(130, len(content), 9001)]:
        try:
            waveform.load(io.BytesIO(content[:end]), allow_truncated=True)
        except AudioError:
            continue
