"""Paths, open files and pipes; and what is no recording."""

import contextlib
import io
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisewise.audio import waveform
from noisewise.audio.files import open as opening
from noisewise.audio.files.open import name_of, open_audio, spooled
from noisewise.errors import AudioError
from tests.audio.chirps import chirp, refused


def test_open_files_bytes_and_pipes(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, chirp(0.5), 16_000)
    expected = waveform.load(str(path))
    with path.open("rb") as file:
        file.seek(99)  # wherever it stands
        np.testing.assert_array_equal(waveform.load(file), expected)
        assert not file.closed
    np.testing.assert_array_equal(waveform.load(io.BytesIO(path.read_bytes())), expected)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(path.read_bytes()))
    writer.start()
    np.testing.assert_array_equal(waveform.load(tmp_path / "pipe"), expected)
    writer.join()


def test_missing_files_and_folders(tmp_path: Path) -> None:
    assert "no such file" in refused("missing", tmp_path / "none.wav")
    assert "folder" in refused("not_audio", tmp_path)
    if os.geteuid():  # root may read everything
        (tmp_path / "closed.wav").touch(0o000)
        refused("missing", tmp_path / "closed.wav")


@pytest.mark.parametrize("content", [b"Dear all,\n", b"\x89PNG\r\n\x1a\n" + bytes(90), b"#EXTM3U\nhttp://x/y\n", b"x"])
@pytest.mark.parametrize("name", ["letter.wav", "letter", "letter.raw", "letter.m4a"])
def test_what_is_not_audio(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    refused("not_audio", tmp_path / name)


def test_a_header_with_an_impossible_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", chirp(0.5), 16_000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:28] = struct.pack("<I", 1)
    (tmp_path / "a.wav").write_bytes(content)
    assert "samples per second" in refused("not_audio", tmp_path / "a.wav")


def test_a_pipe_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_PIPE_BYTES", 1000)
    reader, writer = os.pipe()
    os.write(writer, bytes(2000))
    with os.fdopen(reader, "rb") as pipe:
        assert "pipe" in refused("too_long", pipe)
    os.close(writer)


SAMPLES = (0.3 * np.sin(np.arange(16_000) * 0.05)).astype(np.float32)


def test_names() -> None:
    assert name_of("a.wav") == name_of(Path("a.wav")) == "a.wav"
    assert name_of(io.BytesIO()) == "<stream>"
    assert name_of(os.fsdecode(b"caf\xe9.wav")) == "caf\\xe9.wav"
    assert name_of("café.wav") == "café.wav"
    assert name_of(waveform.open_raw("a.raw", 8000)) == "a.raw"


@pytest.mark.parametrize("limit", [10, 1 << 20])
def test_a_pipe_is_spooled_in_memory_or_on_disk(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(opening, "MEMORY_BYTES", limit)
    content = bytes(range(256)) * 10
    kept = spooled(io.BytesIO(content))
    assert kept.seekable() and kept.read() == content
    kept.seek(100)
    assert kept.read(3) == content[100:103]
    monkeypatch.setattr(opening, "MAX_PIPE_BYTES", 1000)
    with pytest.raises(AudioError) as caught:
        spooled(io.BytesIO(content), "pipe")
    assert caught.value.reason == "too_long" and "pipe" in str(caught.value)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_files_are_closed_and_those_of_others_are_not(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, SAMPLES, 16_000)
    content = path.read_bytes()
    for content_now in (content, content * 2, content[: len(content) * 2 // 3]):
        path.write_bytes(content_now)
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for _ in range(3):
            try:
                open_audio(path).close()
            except AudioError:
                continue
        after = len(os.listdir("/proc/self/fd")) if before else 0
        assert after <= before
        with path.open("rb") as file:
            with contextlib.suppress(AudioError):
                open_audio(file).close()
            assert not file.closed


def test_what_is_missing_is_a_fault_of_the_source_and_an_error_of_load(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SAMPLES, 16_000)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: len(content) // 2])
    recording = open_audio(tmp_path / "a.wav")
    assert recording.fault is not None and recording.fault.reason == "truncated"
    assert recording.samples == pytest.approx(8000, abs=30)
    recording.close()
    for call in (waveform.load, waveform.info):
        with pytest.raises(AudioError, match="lacks"):
            call(tmp_path / "a.wav")
        call(tmp_path / "a.wav", allow_truncated=True)


@pytest.mark.parametrize(("position", "content"), [(22, b"\0\0"), (24, b"\0\0\0\0"), (24, b"\xff\xff\xff\x7f")])
def test_impossible_headers(tmp_path: Path, position: int, content: bytes) -> None:
    soundfile.write(tmp_path / "a.wav", SAMPLES, 16_000)
    header = bytearray((tmp_path / "a.wav").read_bytes())
    header[position : position + len(content)] = content
    with pytest.raises(AudioError):
        waveform.load(io.BytesIO(header))


@pytest.mark.parametrize("offset", [-1.0, np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("which", ["offset", "duration"])
def test_impossible_parts_are_errors_of_the_file(tmp_path: Path, which: str, offset: float) -> None:
    soundfile.write(tmp_path / "a.wav", SAMPLES, 16_000)
    with pytest.raises(AudioError, match="must") as caught:
        waveform.load(tmp_path / "a.wav", **{which: offset})  # type: ignore[arg-type]
    assert caught.value.path == str(tmp_path / "a.wav")
