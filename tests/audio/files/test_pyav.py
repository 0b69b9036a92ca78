"""m4a, mp4 and webm through the media extra, made here by PyAV; and the error where it is missing."""

import builtins
import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noisewise.audio import waveform
from noisewise.errors import AudioError

Array = NDArray[np.float32]


def chirp(seconds: float, rate: int) -> Array:
    time = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * (100 * time + 200 * time**2))).astype(np.float32)


def encode(path: Path, codec: str, rate: int, samples: Array, layout: str = "stereo") -> None:
    """Write samples with FFmpeg, as a phone or a browser would."""
    av = pytest.importorskip("av", reason="PyAV is not installed; it is in the extra `media`")
    channels = np.stack([samples] * (2 if layout == "stereo" else 1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout"),
    [
        ("a.m4a", "aac", 44_100, "stereo"),
        ("a.mp4", "aac", 48_000, "mono"),
        ("a.webm", "libopus", 48_000, "stereo"),
    ],
)
def test_what_a_phone_or_a_browser_records(tmp_path: Path, name: str, codec: str, rate: int, layout: str) -> None:
    path = tmp_path / name
    encode(path, codec, rate, chirp(5.0, rate), layout)
    loaded, expected = waveform.load(path), chirp(5.0, 16_000)
    assert abs(len(loaded) - 80_000) < 1600
    inner = slice(4000, 76_000)
    error = np.sum((loaded[inner] - expected[inner]) ** 2) / np.sum(expected[inner] ** 2)
    assert error < 0.01  # 20 dB; a shift of one sample is 0.2
    found = waveform.info(path)
    assert found.seconds == pytest.approx(5.0, abs=0.05) and found.sample_rate == rate
    assert found.channels == (1 if layout == "mono" else 2)
    part = waveform.load(path, offset=2.5, duration=1.0)
    np.testing.assert_allclose(part, loaded[40_000:56_000], atol=1e-3)
    np.testing.assert_array_equal(np.concatenate(list(waveform.stream(path, block_seconds=0.7))), loaded)
    np.testing.assert_array_equal(waveform.load(io.BytesIO(path.read_bytes())), loaded)


def test_bare_aac(tmp_path: Path) -> None:
    encode(tmp_path / "a.aac", "aac", 16_000, chirp(3.0, 16_000), "mono")
    assert len(waveform.load(tmp_path / "a.aac")) == pytest.approx(48_000, abs=2500)
    assert np.isnan(waveform.info(tmp_path / "a.aac").seconds)


@pytest.mark.parametrize("name", ["a.m4a", "a.webm"])
@pytest.mark.parametrize("part", [0.1, 0.6])
def test_truncated(tmp_path: Path, name: str, part: float) -> None:
    encode(tmp_path / name, "aac" if name == "a.m4a" else "libopus", 48_000, chirp(5.0, 48_000))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * part)])
    with pytest.raises(AudioError) as caught:
        waveform.load(tmp_path / name)
    assert caught.value.reason == "truncated"


def test_a_film_without_sound(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed; it is in the extra `media`")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts = index
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    with pytest.raises(AudioError, match="no audio stream"):
        waveform.load(tmp_path / "a.mp4")


def test_the_limit_holds(tmp_path: Path) -> None:
    encode(tmp_path / "a.m4a", "aac", 16_000, chirp(4.0, 16_000), "mono")
    with pytest.raises(AudioError) as caught:
        waveform.load(tmp_path / "a.m4a", max_seconds=2.0)
    assert caught.value.reason == "too_long"


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\x00\x00\x00\x1cftypM4A " + bytes(100))
    real = builtins.__import__

    def without_av(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "av":
            raise ModuleNotFoundError("No module named 'av'", name="av")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_av)
    with pytest.raises(AudioError, match=r"pip install .*\[media\]'") as caught:
        waveform.load(tmp_path / "a.m4a")
    assert caught.value.reason == "not_audio"


def encode_pieces(
    path: Path, codec: str, rate: int, samples: Array, *, late: float = 0.0, gap: float = 0.0, picture: float = 0.0
) -> None:
    """Write samples that begin late, have a gap in their time stamps half way, or lie beside a picture."""
    av = pytest.importorskip("av", reason="PyAV is not installed; it is in the extra `media`")
    with av.open(str(path), "w") as container:
        film = None
        if picture:
            film = container.add_stream("mpeg4", rate=10)
            film.width = film.height = 64
            film.pix_fmt = "yuv420p"
        stream = container.add_stream(codec, rate=rate, layout="mono")
        for index in range(round(10 * picture)):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts = index
            container.mux(film.encode(frame))
        if film is not None:
            container.mux(film.encode(None))
        size = stream.codec_context.frame_size or 1024
        for start in range(0, len(samples), size):
            part = np.pad(samples[start : start + size], (0, max(0, start + size - len(samples))))
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part[None]), format="fltp", layout="mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = start + round(rate * (late + (gap if start >= len(samples) // 2 else 0.0)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def sound(samples: Array, rate: int = 16_000) -> list[float]:
    """Where, to a tenth of a second, sound begins and ends and begins again."""
    frames = samples[: len(samples) // (rate // 20) * (rate // 20)].reshape(-1, rate // 20)
    loud = np.abs(frames).max(axis=1) > 0.02
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(int)))
    return [round(float(edge) / 20, 1) for edge in edges]


@pytest.mark.parametrize(
    ("name", "codec", "rate", "picture"),
    [
        ("a.mp4", "aac", 44_100, 0.0),
        ("a.mp4", "aac", 48_000, 6.0),
        ("a.mkv", "aac", 44_100, 7.0),
        ("a.mkv", "pcm_s16le", 16_000, 0.0),
        ("a.webm", "libopus", 48_000, 0.0),
        ("a.mka", "flac", 16_000, 0.0),
        ("a.ogg", "libopus", 48_000, 0.0),
    ],
)
def test_times_are_those_of_the_container(tmp_path: Path, name: str, codec: str, rate: int, picture: float) -> None:
    path, time = tmp_path / name, np.arange(4 * rate) / rate
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    encode_pieces(path, codec, rate, tone, picture=picture)
    assert sound(waveform.load(path)) == pytest.approx([0.0, 4.0], abs=0.11)
    encode_pieces(path, codec, rate, tone, late=2.0, picture=picture)
    within = 1.1 if name == "a.ogg" else 0.11  # a page of Ogg has one time stamp
    assert sound(waveform.load(path)) == pytest.approx([2.0, 6.0], abs=0.11)
    encode_pieces(path, codec, rate, tone, gap=3.0, picture=picture)
    whole = waveform.load(path)
    assert sound(whole) == pytest.approx([0.0, 2.0, 5.0, 7.0], abs=within)
    assert len(whole) == pytest.approx(7 * 16_000, abs=2000)
    part = waveform.load(path, offset=5.5, duration=1.0)
    np.testing.assert_allclose(part, whole[88_000:104_000], atol=2e-3)
    np.testing.assert_array_equal(np.concatenate(list(waveform.stream(path, block_seconds=0.7))), whole)
    assert waveform.info(path).seconds == pytest.approx(7.0, abs=0.15)
