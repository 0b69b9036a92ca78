"""Weights of Whisper from folders of transformers, whole or in shards, and back under their names."""

from pathlib import Path

import pytest
import torch

from noisewise.errors import ModelError
from noisewise.models.whisper import ctranslate2, weights
from tests.models.whisper.conftest import Maker


def test_names_go_there_and_back(a_whisper: Maker) -> None:
    transformers = pytest.importorskip("transformers")
    folder = a_whisper("Model")
    state = transformers.AutoModel.from_pretrained(folder).state_dict()
    found = weights.read(str(folder))
    assert found.encoder == {"dim": 32, "layers": 2, "heads": 4, "feed_forward": 48, "mels": 80, "positions": 1500}
    assert found.decoder == {"layers": 3, "heads": 2, "feed_forward": 40, "tokens": 64, "positions": 20}
    back = weights.to_transformers(found.weights)
    assert back.keys() == state.keys() and all(back[name].equal(value) for name, value in state.items())


def test_a_folder_of_ctranslate2_is_the_same_whisper(a_whisper: Maker, tmp_path: Path) -> None:
    found = weights.read(str(a_whisper()))
    other = tmp_path / "other"
    other.mkdir()
    ctranslate2.write(other / "model.bin", found, "float32")
    (other / "config.json").write_text("{}")
    again = weights.read(str(other))
    assert (again.encoder, again.decoder) == (found.encoder, found.decoder)
    assert all(again.weights[name].equal(value) for name, value in found.weights.items())


def test_shards_are_read_as_one_file(a_whisper: Maker, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    whole = a_whisper("Model")
    transformers.AutoModel.from_pretrained(whole).save_pretrained(tmp_path / "parts", max_shard_size="50KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    one, other = (weights.read(str(folder)).weights for folder in (whole, tmp_path / "parts"))
    assert one.keys() == other.keys() and all(other[name].equal(value) for name, value in one.items())


@pytest.mark.parametrize("name", ["encoder.layers.0.odd.weight", "encoder.layers.x.fc1.weight", "decoder.conv1.weight"])
def test_unknown_names_are_refused_both_ways(name: str) -> None:
    with pytest.raises(ModelError, match=f"`{name}` is not"):
        weights.from_transformers({name: torch.zeros(1)}, ["encoder", "decoder"])
    with pytest.raises(ModelError, match="must be those of Whisper"):
        weights.to_transformers({name: torch.zeros(1)})
