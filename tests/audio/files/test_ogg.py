"""Ogg: chains, gaps and late beginnings in the time stamps of its pages, and missing ends."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.audio.files.ogg import _opus_samples, read_chain
from noisewise.errors import AudioError

CODINGS = {"VORBIS": 16_000, "OPUS": 48_000}
"""Coding to the clock of its pages."""


def tone(seconds: float, rate: int = 16_000, hz: float = 440.0) -> NDArray[np.float32]:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def ogg(path: Path, coding: str, samples: NDArray[np.float32], rate: int = 16_000) -> bytes:
    with soundfile.SoundFile(path, "w", rate, 1 if samples.ndim == 1 else 2, coding, format="OGG") as file:
        for start in range(0, len(samples), 8000):
            file.write(samples[start : start + 8000])
    return path.read_bytes()


def checksum(page: bytes) -> int:
    """The CRC of RFC 3533."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x104C11DB7 if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


def pages(content: bytes) -> list[bytes]:
    found, position = [], 0
    while position < len(content):
        head = position + 27 + content[position + 26]
        end = head + sum(content[position + 27 : head])
        found.append(content[position:end])
        position = end
    return found


def shifted(content: bytes, clock: int, after: int) -> bytes:
    """Move the time stamps of the pages that end later than `after`."""
    result = b""
    for page in pages(content):
        granule = struct.unpack_from("<q", page, 6)[0]
        if granule > after:
            page = page[:6] + struct.pack("<q", granule + clock) + page[14:22] + bytes(4) + page[26:]
            page = page[:22] + struct.pack("<I", checksum(page)) + page[26:]
        result += page
    return result


@pytest.mark.parametrize("coding", CODINGS)
def test_recordings_chained_in_one_file(tmp_path: Path, coding: str) -> None:
    first, second = ogg(tmp_path / "1", coding, tone(3.0)), ogg(tmp_path / "2", coding, tone(2.0, hz=900.0))
    one, two = waveform.load(tmp_path / "1"), waveform.load(tmp_path / "2")
    for content, expected in (
        (first + second, [one, two]),
        (first + first, [one, one]),  # the same serial number twice
        (first + second + first, [one, two, one]),
    ):
        (tmp_path / "a.ogg").write_bytes(content)
        whole = np.concatenate(expected)
        np.testing.assert_allclose(waveform.load(tmp_path / "a.ogg"), whole, atol=1e-6)
        assert waveform.info(tmp_path / "a.ogg").samples == len(whole)
        part = waveform.load(tmp_path / "a.ogg", offset=2.5, duration=1.0)
        np.testing.assert_allclose(part, whole[40_000:56_000], atol=2e-4)


def test_a_chain_of_other_rates_and_channels(tmp_path: Path) -> None:
    content = ogg(tmp_path / "1", "VORBIS", tone(2.0))
    content += ogg(tmp_path / "2", "VORBIS", np.stack([tone(2.0, 44_100)] * 2, axis=1), 44_100)
    (tmp_path / "a.ogg").write_bytes(content)
    loaded = waveform.load(tmp_path / "a.ogg")
    assert len(loaded) == 64_000 and np.abs(loaded[40_000:60_000]).max() == pytest.approx(0.3, abs=0.03)
    np.testing.assert_allclose(loaded[34_000:60_000], tone(2.0)[2000:28_000], atol=0.05)


@pytest.mark.parametrize("coding", CODINGS)
def test_gaps_and_late_beginnings(tmp_path: Path, coding: str) -> None:
    clock = CODINGS[coding]
    content = ogg(tmp_path / "plain", coding, tone(20.0))
    plain = waveform.load(tmp_path / "plain")
    assert read_chain((tmp_path / "plain").open("rb")).is_plain
    (tmp_path / "late").write_bytes(shifted(content, 2 * clock, 0))
    late = waveform.load(tmp_path / "late")
    assert len(late) == pytest.approx(22 * 16_000, abs=3000) and not late[:24_000].any()
    (tmp_path / "gap").write_bytes(shifted(content, 5 * clock, 10 * clock))
    gap = waveform.load(tmp_path / "gap")
    assert len(gap) == pytest.approx(25 * 16_000, abs=3000)
    silent = np.flatnonzero(np.abs(gap.reshape(-1)[: len(gap) // 800 * 800].reshape(-1, 800)).max(axis=1) < 0.01)
    assert len(silent) == pytest.approx(100, abs=5) and np.ptp(silent) < 105  # 5 s of 50 ms, in one place
    np.testing.assert_allclose(waveform.load(tmp_path / "gap", offset=20.0, duration=1.0), gap[320_000:336_000])
    (tmp_path / "broadcast").write_bytes(shifted(content, 5000 * clock, 0))  # its clock began hours before
    assert len(waveform.load(tmp_path / "broadcast")) == pytest.approx(len(plain), abs=3000)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("what", ["within a page", "between pages", "of a chain"])
def test_missing_ends(tmp_path: Path, coding: str, what: str) -> None:
    content = ogg(tmp_path / "a.ogg", coding, tone(20.0))
    whole = waveform.load(tmp_path / "a.ogg")
    cut = b"".join(pages(content)[:-1]) if what == "between pages" else content[: len(content) * 7 // 10]
    (tmp_path / "a.ogg").write_bytes(content + cut if what == "of a chain" else cut)
    with pytest.raises(AudioError) as caught:
        waveform.load(tmp_path / "a.ogg")
    assert caught.value.reason == "truncated"
    left = waveform.load(tmp_path / "a.ogg", allow_truncated=True)
    assert len(left) > (len(whole) if what == "of a chain" else 80_000)
    np.testing.assert_allclose(left[:80_000], whole[:80_000], atol=1e-6)


def test_durations_of_opus() -> None:
    assert _opus_samples(bytes([3 << 3])) == 2880  # SILK, 60 ms
    assert _opus_samples(bytes([31 << 3 | 1])) == 1920  # CELT, twice 20 ms
    assert _opus_samples(bytes([16 << 3 | 3, 5])) == 600  # CELT, five times 2.5 ms
    assert _opus_samples(b"") == 0
