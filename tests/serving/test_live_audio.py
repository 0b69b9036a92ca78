"""Samples that come in pieces."""

import numpy as np
import pytest

from noisewise.audio.waveform import resample
from noisewise.serving.api_error import ApiError
from noisewise.serving.live_audio import A_LAW, MU_LAW, LiveDecoder

TONE = (0.4 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)).astype(np.float32)
BYTES = (TONE * 2**15).astype("<i2").tobytes()


@pytest.mark.parametrize("size", [1, 7, 960, 100_000])
def test_pieces_do_not_change_the_signal(size: int) -> None:
    decoder = LiveDecoder("pcm", 24_000)
    size = size if size > 1 else 333
    parts = [decoder.feed(BYTES[at : at + size]) for at in range(0, len(BYTES), size)]
    found = np.concatenate([*parts, decoder.end()])
    np.testing.assert_allclose(found, resample(TONE, 24_000, 16_000), atol=1e-4)


def test_channels_are_mixed_and_widths_scaled() -> None:
    two = np.array([[16384, 0], [-16384, -16384]], "<i2").tobytes()
    assert LiveDecoder("pcm", 16_000, 2, 2).feed(two).tolist() == [0.25, -0.5]
    assert LiveDecoder("pcm", 16_000, 1).feed(bytes([128, 192, 0])).tolist() == [0.0, 0.5, -1.0]
    assert LiveDecoder("pcm", 16_000, 4).feed(np.array([2**30], "<i4").tobytes()).tolist() == [0.5]


def test_telephony_as_libsndfile_decodes_it() -> None:
    import io

    import soundfile

    codes = bytes(range(256))
    for subtype, table in (("ULAW", MU_LAW), ("ALAW", A_LAW)):
        wanted, _ = soundfile.read(
            io.BytesIO(codes), dtype="float32", format="RAW", subtype=subtype, samplerate=8000, channels=1
        )
        np.testing.assert_array_equal(table, wanted)
    decoder = LiveDecoder("pcmu", 8_000)
    for _ in range(2):
        assert len(decoder.feed(codes * 100)) + len(decoder.end()) == 51_200


@pytest.mark.parametrize("wrong", [{"rate": 4_000}, {"width": 3}, {"channels": 0}, {"channels": 9}])
def test_what_is_not_taken(wrong: dict[str, int]) -> None:
    with pytest.raises(ApiError):
        LiveDecoder("pcm", **wrong)  # type: ignore[arg-type]
