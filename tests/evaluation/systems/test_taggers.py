"""Taggers by name: folders and functions."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from noisewise.errors import NoisewiseError, RecogniserError
from noisewise.evaluation.systems.protocol import Failure
from noisewise.evaluation.systems.taggers import NamedTagger, is_tagger, load

MODULE = """
LABELS = ["dog", "sea"]
VERSIONS = {"version": "1"}
def score(waveforms):
    return [[float(len(one)), 0.0] for one in waveforms]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "my_tagger.py").write_text(MODULE)
    (tmp_path / "my_words.py").write_text("def transcribe(waveforms):\n    return [''] * len(waveforms)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in ("my_tagger", "my_words"):
        sys.modules.pop(name, None)


def test_folders_and_functions_are_told_from_recognisers(here: Path, tagger_dir: Path, model_dir: Path) -> None:
    assert is_tagger(str(tagger_dir)) and is_tagger("python:my_tagger:score")
    for other in (
        str(model_dir),
        "box",
        "nowhere",
        "python:my_words:transcribe",
        "python:no:no",
        "command:true",
    ):
        assert not is_tagger(other)


def test_a_folder_and_a_function_give_a_row_for_each_waveform(here: Path, tagger_dir: Path) -> None:
    waveforms = [np.random.default_rng(n).normal(0, 0.1, 8000 + n).astype(np.float32) for n in range(3)]
    model = load(str(tagger_dir))
    assert model.labels == ["dog", "rain, heavy", "sea", "siren"] and len(model.details["weights_sha256"]) == 64
    together = model.run(waveforms)
    for one, row in zip(waveforms, together, strict=True):
        (alone,) = model.run([one])
        np.testing.assert_allclose(alone, row, atol=1e-4)  # type: ignore[arg-type]
    silent = model.run([waveforms[0], np.zeros(8000, np.float32)])
    assert isinstance(silent[1], Failure) and "silent" in silent[1].reason and not isinstance(silent[0], Failure)
    from_module = load("python:my_tagger:score")
    assert from_module.details == {"version": "1"} and from_module.labels == ["dog", "sea"]
    np.testing.assert_array_equal(from_module.run(waveforms)[2], [8002.0, 0.0])


@pytest.mark.parametrize("answer", [[[1.0]], [[1.0, 2.0], [1.0, 2.0]], [["a", "b"]], [[1.0, float("nan")]], 3])
def test_other_answers_are_refused(answer: object) -> None:
    with pytest.raises(RecogniserError, match="a tagger must return"):
        NamedTagger("python:a:b", ["dog", "sea"], lambda _: answer).run([np.zeros(10, np.float32)])


def test_what_is_no_tagger_is_refused(here: Path, model_dir: Path) -> None:
    with pytest.raises(RecogniserError, match="LABELS names each class once"):
        load("python:my_words:transcribe")
    with pytest.raises(NoisewiseError, match="must hold a tagger"):
        load(str(model_dir))
