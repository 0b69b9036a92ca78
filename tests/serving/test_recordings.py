"""From files to samples within bounds."""

import io
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.audio import waveform
from noisewise.serving.api_error import ApiError
from noisewise.serving.limits import Limits
from noisewise.serving.recordings import decode
from tests.serving.conftest import SIX_TWO_FOUR


def wav(seconds: float, rate: int = 16_000, channels: int = 1, level: float = 0.1) -> io.BytesIO:
    file = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-1, 1, (round(seconds * rate), channels)) * level
    soundfile.write(file, noise, rate, format="WAV", subtype="FLOAT")
    return file


def test_samples_are_those_of_the_command_line() -> None:
    with SIX_TWO_FOUR.open("rb") as file:
        found = decode(file, "a.flac", Limits())
    np.testing.assert_array_equal(found.samples, waveform.load(SIX_TWO_FOUR))
    assert (found.name, found.fault, found.is_silent) == ("a.flac", None, False)


def test_what_is_cut_off_is_decoded_as_far_as_it_goes() -> None:
    file = io.BytesIO(wav(2.0).getvalue()[:64_100])
    found = decode(file, "a.wav", Limits())
    assert found.fault is not None and "promises" in found.fault
    assert 0.9 < found.seconds < 1.1


def test_silence_is_known() -> None:
    assert decode(wav(1.0, level=0.0), "a.wav", Limits()).is_silent


@pytest.mark.parametrize(
    ("file", "limits", "status", "code"),
    [
        (io.BytesIO(b"no audio at all, but text" * 10), {}, 400, "invalid_value"),
        (wav(0.05), {}, 400, "audio_too_short"),
        (wav(2.0), {"declared_seconds": 1.9}, 413, "declared_audio_too_long"),
        (wav(2.0), {"decoded_seconds": 1.5}, 413, "audio_too_long"),
        (wav(1.0, channels=4), {"decoded_samples": 63_999}, 413, "too_many_samples"),
        (wav(1.0, level=np.nan), {}, 400, "audio_not_finite"),
    ],
)
def test_what_cannot_be_used(file: io.BytesIO, limits: dict[str, float], status: int, code: str) -> None:
    with pytest.raises(ApiError) as found:
        decode(file, "b.wav", Limits(**limits))  # type: ignore[arg-type]
    assert (found.value.status, found.value.code) == (status, code)
    assert "`b.wav`" in str(found.value)


def test_just_within_the_bounds() -> None:
    limits = Limits(declared_seconds=1.0, decoded_seconds=1.0, decoded_samples=64_000)
    assert decode(wav(1.0, channels=4), "a.wav", limits).seconds == 1.0


def test_a_bomb_is_not_decoded_to_its_end(tmp_path: Path) -> None:
    """Twenty minutes of silence in a flac of a few kilobytes whose header does not state its length."""
    file = tmp_path / "bomb.flac"
    with soundfile.SoundFile(file, "w", 48_000, 1, format="FLAC") as out:
        for _ in range(20):
            out.write(np.zeros(48_000 * 60, np.int16))
    content = bytearray(file.read_bytes())
    streaminfo = content.index(b"fLaC") + 8
    content[streaminfo + 13] &= 0xF0
    content[streaminfo + 14 : streaminfo + 18] = struct.pack(">I", 0)
    assert len(content) < 500_000
    begun = time.monotonic()
    with pytest.raises(ApiError) as found:
        decode(io.BytesIO(bytes(content)), "bomb.flac", Limits(decoded_seconds=20.0))
    assert found.value.code in ("audio_too_long", "invalid_value")
    assert time.monotonic() - begun < 10


def test_a_deadline_ends_it() -> None:
    with pytest.raises(ApiError, match="--request-seconds"):
        decode(wav(1.0), "a.wav", Limits(), deadline=time.monotonic() - 1)


def test_a_name_from_outside_is_made_printable() -> None:
    with pytest.raises(ApiError) as found:
        decode(io.BytesIO(b"x" * 100), "a\x1b[2J" + "b" * 1000, Limits())
    assert "\x1b" not in str(found.value) and len(str(found.value)) < 400
