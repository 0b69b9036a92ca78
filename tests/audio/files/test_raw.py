"""Samples without a header, from files and from pipes."""

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from noisewise.audio import waveform
from noisewise.audio.files.raw import TYPES
from noisewise.errors import AudioError

SAMPLES = (0.5 * np.sin(np.arange(16_000) * 0.05)).astype(np.float32)
BYTES = {
    "u8": np.round(SAMPLES * 127 + 128).astype("u1").tobytes(),
    "s8": np.round(SAMPLES * 127).astype("i1").tobytes(),
    "s16le": np.round(SAMPLES * 32_767).astype("<i2").tobytes(),
    "s16be": np.round(SAMPLES * 32_767).astype(">i2").tobytes(),
    "s32le": np.round(SAMPLES * 2_147_483_000).astype("<i4").tobytes(),
    "s32be": np.round(SAMPLES * 2_147_483_000).astype(">i4").tobytes(),
    "f32le": SAMPLES.astype("<f4").tobytes(),
    "f32be": SAMPLES.astype(">f4").tobytes(),
    "f64le": SAMPLES.astype("<f8").tobytes(),
    "f64be": SAMPLES.astype(">f8").tobytes(),
}


@pytest.mark.parametrize("dtype", BYTES)
def test_types(tmp_path: Path, dtype: str) -> None:
    (tmp_path / "a.raw").write_bytes(BYTES[dtype])
    recording = waveform.open_raw(tmp_path / "a.raw", 16_000, dtype=dtype)
    np.testing.assert_allclose(waveform.load(recording), SAMPLES, atol=0.01 if "8" in dtype[:2] else 1e-4)
    assert waveform.info(recording).seconds == 1.0
    blocks = list(waveform.stream(recording, block_seconds=0.3))
    np.testing.assert_array_equal(np.concatenate(blocks), waveform.load(recording))


@pytest.mark.parametrize("dtype", sorted(TYPES.keys() - BYTES.keys()))
def test_other_types_open(dtype: str) -> None:
    content = np.random.default_rng(0).integers(0, 256, 6000, dtype=np.uint8).tobytes()
    samples = 2000 if "24" in dtype else 6000
    assert len(waveform.load(waveform.open_raw(io.BytesIO(content), 16_000, dtype=dtype))) == samples


def test_rate_channels_and_parts() -> None:
    both = np.stack([SAMPLES, -SAMPLES[::-1]], axis=1)
    recording = waveform.open_raw(io.BytesIO(both.astype("<f4").tobytes()), 8000, channels=2, dtype="f32le")
    split = waveform.load(recording, sample_rate=8000, channels="split")
    np.testing.assert_array_equal(split, both.T)
    np.testing.assert_array_equal(
        waveform.load(recording, sample_rate=8000, channels=[2], offset=0.5, duration=1.0), both.T[1:, 4000:12_000]
    )


def test_a_pipe() -> None:
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as file:
            file.write(BYTES["s16le"])

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reader, "rb") as pipe:
        kept = waveform.spooled(pipe)
    thread.join()
    recording = waveform.open_raw(kept, 16_000)
    for _ in range(2):  # once spooled, it is read as often as one likes
        np.testing.assert_allclose(waveform.load(recording), SAMPLES, atol=1e-4)


def test_what_is_no_recording(tmp_path: Path) -> None:
    for wrong in ({"rate": 10}, {"rate": 16_000, "channels": 0}, {"rate": 16_000, "dtype": "s12"}):
        with pytest.raises(AudioError, match="must be"):
            waveform.open_raw(tmp_path / "a.raw", **wrong)
    with pytest.raises(AudioError) as caught:
        waveform.load(waveform.open_raw(io.BytesIO(b""), 16_000))
    assert caught.value.reason == "empty"
    with pytest.raises(AudioError) as caught:
        waveform.load(waveform.open_raw(tmp_path / "none.raw", 16_000))
    assert caught.value.reason == "missing"
