"""Paths, open files and pipes; and what is no recording."""

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
