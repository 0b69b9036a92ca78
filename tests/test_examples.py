"""The examples in the docstrings of public functions run, and give what they show."""

import doctest
import importlib
import shutil
from pathlib import Path

import pytest

import noisewise

MODULES = (
    "noisewise.audio.mix",
    "noisewise.audio.pcm",
    "noisewise.audio.waveform",
    "noisewise.config",
    "noisewise.data.manifests.read",
    "noisewise.data.random_streams",
    "noisewise.evaluation.conditions",
    "noisewise.evaluation.config",
    "noisewise.evaluation.degradations",
    "noisewise.files",
    "noisewise.inference.decoding_options",
    "noisewise.inference.recogniser",
    "noisewise.inference.sources",
    "noisewise.inference.subtitles",
    "noisewise.inference.tagger",
    "noisewise.inference.tags",
    "noisewise.inference.transcript",
    "noisewise.safe_text",
    "noisewise.scoring.significance",
    "noisewise.scoring.tagging",
    "noisewise.scoring.words",
    "noisewise.serving.api_error",
    "noisewise.serving.keys",
    "noisewise.serving.limits",
    "noisewise.serving.live_audio",
    "noisewise.serving.models",
    "noisewise.serving.responses",
    "noisewise.serving.transcription_request",
    "noisewise.text.normalise",
    "noisewise.text.tokenizer",
)
"""Modules with a section `Example:` that runs."""
RECORDINGS = Path(noisewise.__file__).parent / "assets" / "recordings"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str, tagger_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They run in a folder with the recordings of the package and a tagger, `tagger`."""
    for recording in RECORDINGS.glob("*.flac"):
        shutil.copy(recording, tmp_path)
    shutil.copytree(tagger_dir, tmp_path / "tagger")
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.REPORT_NDIFF)
    assert found.attempted and not found.failed
