"""`noisewise plot`: a figure with four parts, or a sentence."""

from pathlib import Path

import numpy as np
import pytest

from noisewise.audio import waveform
from noisewise.cli.main import main

pytest.importorskip("matplotlib", reason="matplotlib is not installed; it is in the extra `figures`")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    time = np.arange(24_000) / 16_000
    waveform.save(tmp_path / "speech.wav", (0.3 * np.sin(2 * np.pi * 500 * time)).astype(np.float32))
    return tmp_path / "speech.wav"


def test_a_picture_is_written(
    recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(recording.parent)
    assert main(["plot", str(recording)]) == 0
    assert capsys.readouterr().out == "speech.png\n"
    assert (recording.parent / "speech.png").read_bytes().startswith(b"\x89PNG")


def test_another_place_and_a_part(recording: Path) -> None:
    output = recording.parent / "figures" / "part.svg"
    assert main(["plot", str(recording), "--output", str(output), "--offset", "0.5", "--duration", "0.5"]) == 0
    text = output.read_text(encoding="utf-8")
    for words in ("waveform", "spectrogram", "log-mel", "MFCC", "time (s)", "speech.wav"):
        assert words in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["none.wav"], "no such file"),
        (["speech.wav", "--output", "a.xyz"], "must end in a format"),
        (["speech.wav", "--offset", "9"], "must last"),
        (["speech.wav", "--duration", "0"], "--duration more than 0"),
        (["speech.wav", "--duration", "0.01"], "25 ms"),
    ],
)
def test_a_sentence_where_it_cannot_be(
    recording: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(recording.parent)
    assert main(["plot", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
