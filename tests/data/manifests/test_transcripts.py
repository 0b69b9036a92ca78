"""Transcripts of a training set, as subwords are learned from them."""

from pathlib import Path

import numpy as np
import pytest

from noisewise.audio.waveform import save
from noisewise.data.loading.dataset import DataConfig
from noisewise.data.manifests.transcripts import read_transcripts
from noisewise.errors import DataError


def test_they_are_normalised_and_counted(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.wav", np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32))
    rows = "path\ttext\tsplit\na.wav\tYes, no!\ttrain\nb.wav\t\ttrain\nc.wav\tSecret\ttest\n"
    (tmp_path / "manifest.tsv").write_text(rows)
    assert list(read_transcripts(DataConfig(manifests=[f"{tmp_path}#split=train&repeat=2"]))) == ["YES NO"] * 2
    (tmp_path / "manifest.tsv").write_text("path\ttext\na.wav\t\n")
    with pytest.raises(DataError, match="must hold transcripts"):
        list(read_transcripts(DataConfig(manifests=[str(tmp_path)])))
