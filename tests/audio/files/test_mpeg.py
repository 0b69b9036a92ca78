"""mp3 whose headers mislead: none, one for the first of several recordings, one for more than there is."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.audio.files import mpeg
from noisewise.errors import AudioError

KINDS = [(16_000, 1, "CONSTANT"), (16_000, 1, "VARIABLE"), (44_100, 2, "VARIABLE"), (8_000, 1, "CONSTANT")]


def mp3(seconds: float, rate: int, channels: int = 1, mode: str = "CONSTANT", hz: float = 300.0) -> bytes:
    samples = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    file = io.BytesIO()
    soundfile.write(file, np.stack([samples] * channels, axis=1), rate, format="MP3", bitrate_mode=mode)
    return file.getvalue()


def without_header(content: bytes) -> bytes:
    frame = mpeg.parse_frame(content[:4])
    assert frame is not None and content[frame.tag : frame.tag + 4] in mpeg.XING
    return content[frame.size :]


def load(path: Path, content: bytes) -> NDArray[np.float32]:
    path.write_bytes(content)
    loaded = waveform.load(path)
    assert len(loaded) == pytest.approx(waveform.info(path).seconds * 16_000, abs=1)
    np.testing.assert_array_equal(waveform.load(io.BytesIO(content)), loaded)
    return loaded


@pytest.mark.parametrize(("head", "size", "samples", "rate"), [
    (b"\xff\xfb\x90\x00", 417, 1152, 44_100),  # MPEG-1 layer III, 128 kbit/s
    (b"\xff\xfb\x92\x00", 418, 1152, 44_100),  # with padding
    (b"\xff\xf3\x48\xc4", 144, 576, 16_000),  # MPEG-2, 32 kbit/s
    (b"\xff\xe3\x48\xc4", 288, 576, 8_000),  # MPEG-2.5
    (b"\xff\xfd\x84\x00", 384, 1152, 48_000),  # layer II, 128 kbit/s
])  # fmt: skip
def test_heads_of_frames(head: bytes, size: int, samples: int, rate: int) -> None:
    frame = mpeg.parse_frame(head)
    assert frame is not None and (frame.size, frame.samples, frame.rate) == (size, samples, rate)


@pytest.mark.parametrize(
    "head", [b"\xff\xfb\xf0\x00", b"\xff\xfb\x9c\x00", b"\xff\xeb\x90\x00", b"\xff\xf9\x90", b"RIFF"]
)
def test_what_is_no_frame(head: bytes) -> None:
    assert mpeg.parse_frame(head) is None


@pytest.mark.parametrize(("rate", "channels", "mode"), KINDS)
def test_all_of_it_is_read(tmp_path: Path, rate: int, channels: int, mode: str) -> None:
    content = mp3(3.0, rate, channels, mode)
    other = mp3(2.0, rate, channels, mode, hz=700.0)
    path = tmp_path / "a.mp3"
    plain, second = load(path, content), load(path, other)
    assert (len(plain), len(second)) == (48_000, 32_000)
    bare = load(path, without_header(content))
    assert 48_000 <= len(bare) < 48_000 + 16_000 * 2400 / rate  # what the codec adds at both ends
    for joined, expected in (
        (content + other, [plain, second]),
        (content + b"ID3\x04\0\0\0\0\x10\0" + b"\xff\xfb" * 1024 + other, [plain, second]),  # with a tag between
        (content + content + content, [plain] * 3),
    ):
        np.testing.assert_allclose(load(path, joined), np.concatenate(expected), atol=0.02)  # at the seam
    assert len(load(path, content + without_header(other))) > 79_000
    assert len(load(path, without_header(content) + other)) > 79_000
    part = waveform.load(path, offset=1.0, duration=1.0)
    np.testing.assert_allclose(part, waveform.load(path)[16_000:32_000], atol=1e-3)


def test_a_variable_rate_without_a_header_is_read_to_its_end(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    quiet, loud = random.normal(size=160_000) * 1e-4, np.clip(random.normal(size=160_000) * 0.3, -1, 1)
    file = io.BytesIO()
    soundfile.write(file, np.concatenate([quiet, loud]), 16_000, format="MP3", bitrate_mode="VARIABLE")
    assert len(load(tmp_path / "a.mp3", without_header(file.getvalue()))) == pytest.approx(320_000, abs=2500)


def test_recordings_of_other_rates(tmp_path: Path) -> None:
    loaded = load(tmp_path / "a.mp3", mp3(2.0, 16_000) + mp3(1.0, 44_100, channels=2) + mp3(1.0, 8_000))
    assert len(loaded) == pytest.approx(64_000, abs=200)
    assert np.abs(loaded[34_000:46_000]).max() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(("rate", "channels", "mode"), KINDS)
@pytest.mark.parametrize("header", [True, False])
def test_missing_frames(tmp_path: Path, rate: int, channels: int, mode: str, header: bool) -> None:
    content = mp3(6.0, rate, channels, mode)
    content = content[: int(len(content) * 0.6) + 5]
    (tmp_path / "a.mp3").write_bytes(content if header else without_header(content))
    with pytest.raises(AudioError) as caught:
        waveform.load(tmp_path / "a.mp3")
    assert caught.value.reason == "truncated"
    left = waveform.load(tmp_path / "a.mp3", allow_truncated=True)
    assert len(left) == pytest.approx(0.6 * 96_000, rel=0.08)


def test_a_tag_at_the_end_is_no_fault(tmp_path: Path) -> None:
    content = mp3(1.0, 16_000)
    for tag in (b"TAG" + bytes(125), b"APETAGEX" + bytes(200)):
        assert len(load(tmp_path / "a.mp3", content + tag)) == 16_000
        assert len(load(tmp_path / "a.mp3", without_header(content) + tag)) == pytest.approx(16_000, abs=2400)


def test_thousands_of_recordings_take_one_decoder(tmp_path: Path) -> None:
    content = mp3(0.2, 16_000) * 1000
    assert len(mpeg.recordings(io.BytesIO(content), len(content))) == 1
    assert len(load(tmp_path / "a.mp3", content)) == pytest.approx(1000 * 0.2 * 16_000, rel=0.5)


def test_junk_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    content = mp3(2.0, 16_000)
    junk = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
    loaded = load(tmp_path / "a.mp3", content + junk + content)
    assert len(loaded) == pytest.approx(64_000, abs=2400)


def test_flac_behind_a_tag_is_no_mp3(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.random.default_rng(0).normal(size=16_000) * 0.1, 16_000)
    content = b"ID3\x04\0\0\0\0\0\x10" + bytes(16) + (tmp_path / "a.flac").read_bytes()
    assert len(load(tmp_path / "b.flac", content)) == 16_000


def test_junk_takes_no_time(tmp_path: Path) -> None:
    started = time.perf_counter()
    (tmp_path / "a.mp3").write_bytes(b"\xff\xfb\x90\x00" + b"\xff" * 30_000_000)
    with pytest.raises(AudioError):
        waveform.load(tmp_path / "a.mp3")
    assert time.perf_counter() - started < 5
