"""Conversions there and back are exact; what no layout can hold is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from noisewise.checkpoints import convert, model_folder
from noisewise.errors import InteropError
from tests.checkpoints.foreign.conftest import LARGE, Maker, a_folder

__all__ = ["a_folder"]


def test_to_noisewise_and_back_is_exact(a_folder: Maker, tmp_path: Path) -> None:
    source, own, back = a_folder(**LARGE), tmp_path / "own", tmp_path / "back"
    convert.write(convert.read(source), own, "noisewise")
    assert sorted(path.name for path in own.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokens.txt",
    ]
    convert.write(convert.read(own), back, "huggingface")
    old, new = load_file(source / "model.safetensors"), load_file(back / "model.safetensors")
    assert old.keys() == new.keys()
    assert all(old[name].equal(new[name]) for name in old)
    assert json.loads((back / "config.json").read_text()) == json.loads((source / "config.json").read_text())
    direct, converted = model_folder.load(source), model_folder.load(own)
    waveform, lengths = torch.randn(1, 8_000), torch.tensor([8_000])
    with torch.inference_mode():
        assert direct.model.log_probs(waveform, lengths)[0].equal(converted.model.log_probs(waveform, lengths)[0])


def test_what_a_layout_cannot_hold_is_refused(a_folder: Maker, tmp_path: Path, model_dir: Path) -> None:
    with pytest.raises(InteropError, match=r"must hold CTC over a wav2vec 2\.0 encoder .* but holds ctc over logmel"):
        convert.read(model_dir)
    encoder = convert.read(a_folder("Model"))
    with pytest.raises(InteropError, match="must hold a CTC head"):
        convert.write(encoder, tmp_path / "out", "noisewise")
    with pytest.raises(InteropError, match="must be a new folder, but exists"):
        convert.write(encoder, tmp_path, "huggingface")
    assert not (tmp_path / "out").exists()
