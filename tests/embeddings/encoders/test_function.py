"""Functions of the user: vectors or frames, at the rate they ask for; what does not keep to the protocol is said."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from noisewise.embeddings.encoders import load
from noisewise.errors import ModelError

MODULE = """
import numpy as np
SAMPLE_RATE = 8000
VERSIONS = {"mine": "3"}
def moments(waveforms):
    return [np.array([len(each), each.mean(), each.std()], dtype=np.float32) for each in waveforms]
def blocks(waveforms):
    return [each[: len(each) // 100 * 100].reshape(-1, 100) for each in waveforms]
def one(waveforms):
    return [np.zeros(3)]
def words(waveforms):
    return ["no" for _ in waveforms]
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_encoders.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "my_encoders", raising=False)


def test_a_function_may_give_one_vector_a_clip() -> None:
    encoder = load("python:my_encoders:moments")
    vectors = encoder(torch.ones(2, 400), torch.tensor([400, 200]))
    assert encoder.sample_rate == 8000 and encoder.dim == 3 and encoder.pooling == "pooler"
    assert vectors[:, 0].tolist() == [200, 100]  # at 8 kHz
    assert encoder.encoder.details == {"mine": "3"} and encoder.encoder.weights_sha256 is None
    with pytest.raises(ModelError, match="must give frames, but gives one vector a clip"):
        _ = encoder.frame_dim


def test_a_function_may_give_frames() -> None:
    encoder, wave = load("python:my_encoders:blocks"), torch.arange(300.0)
    expected = wave.view(3, 100).mean(dim=0)
    torch.testing.assert_close(encoder(wave[None], torch.tensor([300]), 8000)[0], expected)
    frames, counts = encoder.frames(wave.expand(2, -1), torch.tensor([300, 150]), 8000)
    assert counts.tolist() == [3, 1] and torch.equal(frames[0], wave.view(3, 100)) and not frames[1, 1:].any()
    with pytest.raises(ModelError, match="a clip must be long enough for a frame"):
        encoder(wave[None], torch.tensor([99]), 8000)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_encoders:words", "must return arrays"),
        ("my_encoders:none", "must name a function of `my_encoders`, but 'none' is none"),
        ("nowhere:f", "cannot be imported"),
        (":f", "cannot be imported"),
    ],
)
def test_what_is_no_encoder_is_refused(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(f"python:{name}")


def test_one_answer_for_two_clips_is_refused() -> None:
    encoder = load("python:my_encoders:one")
    with pytest.raises(ModelError, match="must return one array a waveform, 2"):
        encoder(torch.ones(2, 400), torch.tensor([400, 200]))


def test_the_function_gets_float32_arrays() -> None:
    seen: list[np.ndarray] = []
    sys.modules["my_encoders"] = type(sys)("my_encoders")
    sys.modules["my_encoders"].collect = lambda waves: [seen.append(wave) or np.ones(2) for wave in waves]  # type: ignore[attr-defined]
    load("python:my_encoders:collect")(torch.ones(1, 100, dtype=torch.float64), torch.tensor([100]))
    assert seen[-1].dtype == np.float32 and seen[-1].shape == (100,)
