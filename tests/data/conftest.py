"""A small corpus of tones and a small pool of noises, written anew for each test."""

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

Save = Callable[..., Path]


@pytest.fixture
def save() -> Save:
    def write(path: Path, seconds: float = 0.5, level: float = 0.1, seed: int = 0, rate: int = 16_000) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = level * np.random.default_rng(seed).standard_normal(round(seconds * rate))
        soundfile.write(path, wave.clip(-1, 1), rate, subtype="PCM_16")
        return path

    return write


@pytest.fixture
def speech(tmp_path: Path, save: Save) -> Path:
    """Twelve utterances of two speakers in two splits, as a folder with manifest.tsv."""
    folder = tmp_path / "speech"
    lines = ["path\tduration_seconds\tspeaker\tsplit\ttext"]
    for index in range(12):
        seconds = 0.4 + 0.1 * index
        split = "train" if index < 9 else "test"
        save(folder / split / f"u{index}.flac", seconds, seed=index)
        lines.append(f"{split}/u{index}.flac\t{seconds:.4f}\ts{index % 2}\t{split}\tYES {chr(65 + index)}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def noise(tmp_path: Path, save: Save) -> Path:
    """Three types with two noises each, 40 dB apart; the `cafe` ones are shorter than the speech."""
    folder = tmp_path / "noise"
    lines = ["path\tlabel\tsplit"]
    for index, (kind, seconds) in enumerate([("car", 3.0), ("cafe", 0.3), ("metro", 2.0)]):
        for take in range(2):
            save(
                folder / kind / f"{take}.wav",
                seconds + take,
                0.2 if take else 0.002,
                seed=100 + 10 * index + take,
            )
            lines.append(f"{kind}/{take}.wav\t{kind}\ttrain")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


Calls = list[list[str]]


@pytest.fixture
def espeak_calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """espeak-ng as a tone: its pitch is that of -p, its length that of the words at -s. What it was called with."""
    calls: Calls = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[Any]:
        if command[1] == "--version":
            return subprocess.CompletedProcess(command, 0, "eSpeak NG text-to-speech: 1.51  Data at: /x", "")
        calls.append(command)
        options = dict(zip(command[2:-2:2], command[3:-2:2], strict=True))
        if "nowhere" in options["-v"] or "unspeakable" in command[-1]:
            return subprocess.CompletedProcess(command, 1, b"", b"Error: The specified voice\ndoes not exist.")
        seconds = 0.0 if "silent" in command[-1] else len(command[-1].split()) * 60 / int(options["-s"])
        tone = np.sin(2 * np.pi * (100 + 2 * int(options["-p"])) * np.arange(round(seconds * 22_050)) / 22_050)
        return subprocess.CompletedProcess(command, 0, _wav(0.5 * np.pad(tone, 2205)), b"")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return calls


def _wav(samples: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 22_050, format="WAV", subtype="PCM_16")
    return file.getvalue()
