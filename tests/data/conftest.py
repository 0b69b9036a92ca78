"""A small corpus of tones and a small pool of noises, written anew for each test."""

from collections.abc import Callable
from pathlib import Path

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
