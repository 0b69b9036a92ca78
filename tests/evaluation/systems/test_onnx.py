"""Models of onnx-asr: what is asked of the library, and what becomes of its answers."""

import json
import os
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from noisewise.audio import waveform as audio
from noisewise.errors import NoisewiseError
from noisewise.evaluation.systems import onnx, specification
from noisewise.evaluation.systems.loading import load
from noisewise.evaluation.systems.protocol import attempt, attempt_timed


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A stand-in for onnx-asr and onnxruntime, which writes down how it is called."""
    found: list[dict[str, Any]] = []

    class Model:
        asr = SimpleNamespace()

        def recognize(self, waveform: np.ndarray, **options: Any) -> str:
            found.append({"samples": len(waveform), **options})
            return "go  left"

        def with_timestamps(self) -> Any:
            def recognize(waveform: np.ndarray, **options: Any) -> Any:
                tokens, logs = [" g", "o", " left"], [-0.1, -0.3, -0.2]
                return SimpleNamespace(text="go left", tokens=tokens, timestamps=[0.1, 0.2, 0.4], logprobs=logs)

            return SimpleNamespace(recognize=recognize)

    def load_model(name: str, path: Path | None, **options: Any) -> Model:
        if name == "none":
            raise ValueError("Model 'none' not supported!")
        found.append({"name": name, "path": path, **options})
        return Model()

    library, runtime = ModuleType("onnx_asr"), ModuleType("onnxruntime")
    library.load_model = load_model  # type: ignore[attr-defined]
    runtime.SessionOptions = SimpleNamespace  # type: ignore[attr-defined]
    runtime.get_available_providers = lambda: ["CPUExecutionProvider"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "onnx_asr", library)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    monkeypatch.setattr(metadata, "version", lambda name: "1.0")
    return found


def test_a_name_and_its_options_reach_the_library(calls: list[dict[str, Any]]) -> None:
    named = load("onnx:nemo-canary-1b-v2?quantisation=int8&threads=3&language=en")
    assert (calls[0]["name"], calls[0]["path"], calls[0]["quantization"]) == ("nemo-canary-1b-v2", None, "int8")
    assert calls[0]["sess_options"].intra_op_num_threads == 3
    assert attempt(named.recognise, [np.zeros(800, np.float32)]) == ["go left"]
    assert calls[1] == {"samples": 800, "language": "en"}


def test_a_folder_names_its_type(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(NoisewiseError, match="must name its type"):
        load(f"onnx:{tmp_path}")
    load(f"onnx:{tmp_path}?type=nemo-conformer-tdt")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gigaam-v3-ctc"}))
    first = load(f"onnx:{tmp_path}")
    assert [each["name"] for each in calls] == ["nemo-conformer-tdt", "gigaam-v3-ctc"] and calls[1]["path"] == tmp_path
    (tmp_path / "model.onnx").write_text("weights")
    assert load(f"onnx:{tmp_path}").details["weights_sha256"] != first.details["weights_sha256"]


def test_words_begin_with_tokens_that_begin_with_a_space(calls: list[dict[str, Any]]) -> None:
    named = load("onnx:nemo-parakeet-ctc-0.6b")
    (found,) = attempt_timed(named, [np.zeros(16_000, np.float32)])
    spans = [(word.text, word.start, word.end) for word in found.words]
    assert spans == [("go", 0.1, 0.4), ("left", 0.4, 1.0)] and named.times == "words"
    assert found.words[0].confidence == pytest.approx(np.exp(-0.2))


def test_what_is_long_is_cut(calls: list[dict[str, Any]]) -> None:
    named = load("onnx:nemo-parakeet-ctc-0.6b?window=1")
    speech = np.ones(24_000, np.float32)
    speech[12_000:14_000] = 0
    assert attempt(named.recognise, [speech]) == ["go left go left"]
    lengths = [each["samples"] for each in calls[1:]]
    assert sum(lengths) == 24_000 and 12_000 < lengths[0] < 14_000
    (timed,) = attempt_timed(named, [speech])
    assert timed.words[2].start == pytest.approx(0.1 + lengths[0] / 16_000)


def test_what_cannot_be_loaded_is_refused(calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoisewiseError, match="cannot be loaded: Model 'none' not supported!"):
        load("onnx:none")
    with pytest.raises(NoisewiseError, match="`device` must be cpu"):
        load("onnx:x", device="cuda")
    monkeypatch.setitem(sys.modules, "onnx_asr", None)
    monkeypatch.setattr(specification, "install_line", lambda extra: f"install {extra}")
    with pytest.raises(NoisewiseError, match=r"needs onnx-asr.*: install onnx"):
        load("onnx:x")


def test_a_result_without_times_has_no_words() -> None:
    bare = SimpleNamespace(text="go", tokens=None, timestamps=None, logprobs=None)
    assert onnx._words(bare, 1.0) == []


def test_a_tiny_model_of_the_library_itself(tmp_path: Path) -> None:
    """A matrix over every eighth frame of the features, with CTC over letters."""
    pytest.importorskip("onnx_asr")
    made = pytest.importorskip("onnx")
    random, letters = np.random.default_rng(0), ["\u2581", *"ABCDEFGH"]
    weights = {
        "matrix": random.normal(0, 1, (80, len(letters) + 1)).astype(np.float32),
        **{
            name: np.array([value], np.int64)
            for name, value in (("first", 0), ("end", 1 << 30), ("axis", 1), ("by", 8))
        },
    }
    nodes = [
        made.helper.make_node("Transpose", ["audio_signal"], ["frames"], perm=[0, 2, 1]),
        made.helper.make_node("Slice", ["frames", "first", "end", "axis", "by"], ["kept"]),
        made.helper.make_node("MatMul", ["kept", "matrix"], ["logits"]),
        made.helper.make_node("LogSoftmax", ["logits"], ["logprobs"], axis=-1),
    ]
    kinds = made.TensorProto
    inputs = [
        made.helper.make_tensor_value_info("audio_signal", kinds.FLOAT, ["B", 80, "T"]),
        made.helper.make_tensor_value_info("length", kinds.INT64, ["B"]),
    ]
    outputs = [made.helper.make_tensor_value_info("logprobs", kinds.FLOAT, ["B", "F", len(letters) + 1])]
    constants = [made.numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = made.helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = made.helper.make_model(graph, opset_imports=[made.helper.make_opsetid("", 17)], ir_version=8)
    made.save(model, str(tmp_path / "model.onnx"))
    lines = [f"{letter} {index}" for index, letter in enumerate([*letters, "<blk>"])]
    (tmp_path / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nemo-conformer-ctc"}))
    named = load(f"onnx:{tmp_path}?threads=1", workers=2)
    sounds = [random.normal(0, 0.1, length).astype(np.float32) for length in (16_000, 9000, 12_000)]
    found = attempt(named.recognise, sounds)
    assert len(set(found)) == 3 and found == [attempt(named.recognise, [one])[0] for one in sounds]
    timed = attempt_timed(named, sounds)[0]
    assert timed.text == found[0] == " ".join(word.text for word in timed.words)
    assert all(word.start <= word.end <= 1.1 for word in timed.words) and named.times == "words"
    assert len(named.details["weights_sha256"]) == 64 and named.details["onnx-asr"]


@pytest.mark.real
def test_real_weights(data_dir: Path) -> None:
    """Needs the extra `onnx` and NOISEWISE_ONNX, the folder of an English model with config.json."""
    pytest.importorskip("onnx_asr")
    weights = os.environ.get("NOISEWISE_ONNX") or pytest.skip("set NOISEWISE_ONNX")
    path = sorted((data_dir / "librispeech_mini").rglob("*.flac"))[0]
    assert "blood" in str(attempt(load(f"onnx:{weights}").recognise, [audio.load(path)])[0]).lower()
