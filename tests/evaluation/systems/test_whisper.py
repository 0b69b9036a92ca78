"""Whisper through faster-whisper: what is asked of the library, and what becomes of its answers."""

import json
import os
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from noisewise.audio import waveform as audio
from noisewise.decoding.hypothesis import Segment, Word
from noisewise.errors import NoisewiseError
from noisewise.evaluation.systems import specification
from noisewise.evaluation.systems.loading import load
from noisewise.evaluation.systems.protocol import attempt, attempt_timed


@dataclass
class Library:
    """A stand-in for faster-whisper, which writes down how it is called."""

    made: dict[str, Any]
    calls: list[dict[str, Any]]


def _words(level: float) -> list[Any]:
    texts = [" Hello,", " there."] if level > 0.5 else [" Bye."]
    return [
        SimpleNamespace(word=text, start=0.5 * at, end=0.5 * at + 0.4, probability=0.9) for at, text in enumerate(texts)
    ]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    found = Library({}, [])

    class WhisperModel:
        supported_languages = ("en", "de")
        model = SimpleNamespace(compute_type="int8")

        def __init__(self, folder: str, **options: Any):
            found.made.update(options, folder=folder)

        def transcribe(self, waveform: np.ndarray, **options: Any) -> tuple[Any, None]:
            found.calls.append(options)
            words = _words(float(waveform.max()))
            text = "".join(word.word for word in words)
            kept = words if options["word_timestamps"] else None
            return iter([SimpleNamespace(text=text, start=0.0, end=1.0, words=kept)]), None

    module = ModuleType("faster_whisper")
    module.WhisperModel = WhisperModel  # type: ignore[attr-defined]
    module.available_models = lambda: ["tiny.en", "base"]  # type: ignore[attr-defined]

    def download_model(name: str, revision: str | None) -> str:
        raise OSError(f"no network for {name} {revision}")

    module.download_model = download_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    monkeypatch.setattr(metadata, "version", lambda name: "1.0")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model.bin", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


def sounds() -> list[np.ndarray]:
    return [np.full(16_000, level, np.float32) for level in (0.9, 0.1)]


def test_options_reach_the_library(library: Library, folder: Path) -> None:
    named = load(f"whisper:{folder}?beam=2&language=de&quantisation=int8&threads=3", workers=2, device="cuda:1")
    assert attempt(named.recognise, sounds()) == ["Hello, there.", "Bye."]
    assert library.made == {
        "folder": str(folder), "device": "cuda", "device_index": 1, "compute_type": "int8", "cpu_threads": 3,
        "num_workers": 2, "local_files_only": True,
    }  # fmt: skip
    asked = library.calls[0]
    assert (asked["beam_size"], asked["language"], asked["word_timestamps"]) == (2, "de", False)
    assert asked["temperature"] == (0.0,) and asked["condition_on_previous_text"] is False


def test_fallback_is_an_option(library: Library, folder: Path) -> None:
    load(f"whisper:{folder}?fallback=yes").recognise(sounds())
    assert len(library.calls[0]["temperature"]) == 6


def test_words_and_segments_have_times(library: Library, folder: Path) -> None:
    named = load(f"whisper:{folder}")
    first, second = attempt_timed(named, sounds())
    assert named.times == "words" and library.calls[0]["word_timestamps"]
    assert first.words == [Word("Hello,", 0.0, 0.4, 0.9), Word("there.", 0.5, 0.9, 0.9)]
    assert second.segments == [Segment("Bye.", 0.0, 1.0)]


def test_a_result_can_tell_weights_options_and_number_formats_apart(library: Library, folder: Path) -> None:
    first = load(f"whisper:{folder}").details
    assert json.loads(first["options"])["beam"] == 5 and first["quantisation"] == "int8"
    assert first["faster-whisper"] == "1.0" and len(first["weights_sha256"]) == 64
    assert load(f"whisper:{folder}?beam=1").details != first
    (folder / "model.bin").write_text("other")
    assert load(f"whisper:{folder}").details["weights_sha256"] != first["weights_sha256"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("huge", "of tiny.en, base"),
        ("tiny.en@v1", "cannot be fetched: no network for tiny.en v1"),
        ("", "of tiny.en, base"),
    ],
)
def test_what_is_not_there_is_refused(library: Library, target: str, message: str) -> None:
    with pytest.raises(NoisewiseError, match=message):
        load(f"whisper:{target}")


def test_another_layout_and_another_language_are_refused(library: Library, folder: Path) -> None:
    with pytest.raises(NoisewiseError, match="must be one of en, de, but is 'fr'"):
        load(f"whisper:{folder}?language=fr")
    (folder / "model.bin").rename(folder / "model.safetensors")
    with pytest.raises(NoisewiseError, match="a folder of transformers is hf:"):
        load(f"whisper:{folder}")


def test_a_missing_library_is_said_with_the_line_that_installs_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.setattr(specification, "install_line", lambda extra: f"install {extra}")
    for target in (folder, "tiny.en"):
        with pytest.raises(NoisewiseError, match=r"needs faster-whisper.*: install whisper"):
            load(f"whisper:{target}")


@pytest.mark.real
def test_real_weights(data_dir: Path) -> None:
    """Needs the extra `whisper` and NOISEWISE_WHISPER, the folder of tiny.en in CTranslate2's layout."""
    pytest.importorskip("faster_whisper")
    weights = os.environ.get("NOISEWISE_WHISPER") or pytest.skip("set NOISEWISE_WHISPER")
    path = sorted((data_dir / "librispeech_mini").rglob("*.flac"))[0]
    speech = [audio.load(path), audio.load(path, duration=4.0)]
    named = load(f"whisper:{weights}?quantisation=float32", workers=2)
    together = attempt(named.recognise, speech)
    assert "in all our blood" in str(together[0])
    assert together == [attempt(named.recognise, [one])[0] for one in speech]
    timed = attempt_timed(named, speech[:1])[0]
    assert timed.text == together[0]
    blood = next(word for word in timed.words if "blood" in word.text)
    assert 2.0 < blood.start < blood.end < 5.0
