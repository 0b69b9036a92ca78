"""`model.bin` of CTranslate2: there and back in every precision; files that are broken or of others are refused."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from noisewise.errors import ModelError
from noisewise.models.whisper import ctranslate2, weights
from noisewise.models.whisper.state import WhisperWeights
from tests.models.whisper.conftest import Maker


@pytest.fixture
def a_model(a_whisper: Maker) -> WhisperWeights:
    return weights.read(str(a_whisper()))


@pytest.mark.parametrize(("precision", "most"), [("float32", 0.0), ("float16", 6e-4), ("int8", 5e-3), ("int16", 2e-3)])
def test_weights_go_there_and_back(
    precision: ctranslate2.Precision, most: float, a_model: WhisperWeights, tmp_path: Path
) -> None:
    path = tmp_path / "model.bin"
    ctranslate2.write(path, a_model, precision)
    back = ctranslate2.read(path)
    assert (back.encoder, back.decoder) == (a_model.encoder, a_model.decoder)
    assert back.weights.keys() == a_model.weights.keys()
    for name, value in a_model.weights.items():
        assert (back.weights[name] - value).abs().max() <= most * value.abs().max(), name
    kept = ctranslate2.read(path, ["encoder"])
    assert kept.decoder == {} and {name.partition(".")[0] for name in kept.weights} == {"encoder"}


def test_int8_is_half_a_step_of_each_row_at_most() -> None:
    torch.manual_seed(0)
    rows = torch.randn(6, 40) * 10.0 ** torch.arange(-3, 3)[:, None]
    rows[3] = 0
    values, scale = ctranslate2._quantised(rows.numpy(), "int8")
    assert values.dtype == np.int8 and scale.shape == (6,)
    found = values / scale[:, None]
    assert (np.abs(found - rows.numpy()).max(axis=1) <= 0.5001 * rows.abs().amax(dim=1).numpy() / 127).all()


def test_the_file_is_laid_out_as_ctranslate2_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    ctranslate2.write_variables(path, {"b": np.array([[1, 2]], np.int8), "a": np.array(3, np.int16)}, {"c": "b"})
    expected = b"\x06\0\0\0\x0c\0WhisperSpec\0\x03\0\0\0\x02\0\0\0"
    expected += b"\x02\0a\0\0\x02\x02\0\0\0\x03\0"
    expected += b"\x02\0b\0\x02\x01\0\0\0\x02\0\0\0\x01\x02\0\0\0\x01\x02"
    expected += b"\x01\0\0\0\x02\0c\0\x02\0b\0"
    assert path.read_bytes() == expected


def test_every_file_that_is_cut_short_is_refused(a_model: WhisperWeights, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    ctranslate2.write(path, a_model, "int8")
    whole = path.read_bytes()
    for size in [0, 3, 10, 21, 25, 40, 200, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"must be a model\.bin of CTranslate2 in format 6"):
            ctranslate2.read(path)


HEAD = struct.pack("<I", 6) + b"\x02\0W\0" + struct.pack("<I", 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack("<I", 5) + HEAD[4:], "its format is 5"),
        (HEAD + struct.pack("<I", 2**32 - 1), "in format 6, but is not"),
        (HEAD + struct.pack("<I", 1) + b"\x02\0a\0" + b"\xff", "255 axes"),
        (HEAD + struct.pack("<I", 1) + b"\x02\0a\0" + struct.pack("<BIIBI", 2, 2**31, 2**31, 0, 0), "do not have"),
        (HEAD + struct.pack("<I", 1) + b"\x02\0a\0" + struct.pack("<BIBI", 1, 2**30 - 1, 0, 2**32 - 4), "do not have"),
        (HEAD + struct.pack("<I", 1) + b"\x02\0a\0" + struct.pack("<BBI", 0, 9, 4), "has the type 9"),
        (HEAD + struct.pack("<I", 1) + b"\xff\xffa", "a name has no end"),
        (HEAD + struct.pack("<II", 0, 1) + b"\x02\0a\0\x02\0b\0", "an alias names `b`"),
    ],
)
def test_hostile_files_are_refused_before_anything_is_made(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        ctranslate2.read_variables(tmp_path / "model.bin")


def test_variables_of_other_models_are_refused(a_model: WhisperWeights, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    ctranslate2.write(path, a_model, "float32")
    variables = ctranslate2.read_variables(path)
    changes: list[tuple[dict[str, NDArray[Any]], str]] = [
        ({"encoder/odd/weight": np.zeros((2, 2), np.float32)}, "`encoder/odd/weight` is not one"),
        ({"decoder/activation": np.array(0, np.int8)}, "`decoder/activation` of .* must be 3"),
        ({"encoder/num_heads": np.array(5, np.int16)}, "must divide the width 32"),
        ({"encoder/layer_0/self_attention/linear_0/weight": np.zeros((7, 2), np.float32)}, "must have 3 parts"),
    ]
    for changed, message in changes:
        ctranslate2.write_variables(path, {**variables, **changed}, {})
        with pytest.raises(ModelError, match=message):
            ctranslate2.read(path)
    ctranslate2.write_variables(path, {name: variables[name] for name in variables if "num_heads" not in name}, {})
    with pytest.raises(ModelError, match="lacks `encoder/num_heads`"):
        ctranslate2.read(path)
    with pytest.raises(ModelError, match="must have encoder and decoder"):
        ctranslate2.write(path, WhisperWeights(a_model.encoder, {}, {}), "float32")
