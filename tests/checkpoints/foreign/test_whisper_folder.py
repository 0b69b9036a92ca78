"""Folders of Whisper of transformers and CTranslate2: read, begun from, written, and the same again."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noisewise.checkpoints import convert, foreign, model_folder
from noisewise.checkpoints.foreign import whisper_folder
from noisewise.errors import InteropError
from noisewise.models.ctc import CTC, CTCConfig
from noisewise.models.whisper.encoder import WhisperEncoderConfig
from noisewise.models.whisper.whisper import WhisperConfig
from noisewise.text.tokenizer import CharacterTokenizer
from tests.models.whisper import small, tokens

Folder = Callable[[str], Path]


@pytest.fixture
def a_source(tmp_path: Path) -> Path:
    """A whole Whisper of transformers with its tokenizer."""
    pytest.importorskip("transformers")
    small.theirs().save_pretrained(tmp_path / "source")
    (tmp_path / "source" / "tokenizer.json").write_text(json.dumps(tokens.values()))
    return tmp_path / "source"


def test_there_and_back_through_every_layout_is_exact(a_source: Path, tmp_path: Path) -> None:
    layouts: tuple[convert.Layout, ...] = ("ctranslate2", "noisewise", "huggingface")
    last, wanted = a_source, foreign.read(a_source).whole
    assert wanted is not None
    for layout in layouts:
        convert.write(convert.read(last), tmp_path / layout, layout)
        last = tmp_path / layout
        found = convert.read(last).whole
        assert found is not None and (found.encoder, found.decoder) == (wanted.encoder, wanted.decoder)
        assert found.weights.keys() == wanted.weights.keys()
        assert all(found.weights[name].equal(value) for name, value in wanted.weights.items())
        assert json.loads((last / "tokenizer.json").read_text()) == tokens.values()
    transformers = pytest.importorskip("transformers")
    again = transformers.WhisperForConditionalGeneration.from_pretrained(last).state_dict()
    assert all(again[name].equal(value) for name, value in small.theirs().state_dict().items())
    assert json.loads((last / "generation_config.json").read_text())["decoder_start_token_id"] == 331


def test_layouts_are_told_apart_and_hashed_by_their_own_weights(a_source: Path, tmp_path: Path) -> None:
    convert.write(convert.read(a_source), tmp_path / "other", "ctranslate2", "int8")
    one, other = model_folder.locate(a_source), model_folder.locate(tmp_path / "other")
    assert (one.layout, other.layout) == ("transformers", "ctranslate2")
    assert [path.name for path in other.weight_files] == ["model.bin"]
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    assert config["alignment_heads"] == [[1, 0], [1, 1]] and config["lang_ids"] == []
    names = json.loads((tmp_path / "other" / "vocabulary.json").read_text())
    assert len(names) == small.TOKENS and names[330] == "<|endoftext|>"


def test_a_public_folder_begins_the_encoder_of_ctc_and_a_whole_whisper(a_source: Path) -> None:
    source = foreign.read(a_source)
    assert isinstance(source.config, WhisperEncoderConfig) and source.left_out == ("decoder",)
    model = CTC(CTCConfig(encoder=replace(source.config, dropout=0.3)))
    assert source.begin(model, CharacterTokenizer()) == ("encoder",)
    assert all(value.equal(source.weights[name]) for name, value in model.encoder.state_dict().items())
    whole = small.ours(vocabulary=30)
    with torch.no_grad():
        whole.decoder.embedding.weight.zero_()
    assert source.begin(whole, CharacterTokenizer()) == ("encoder", "decoder")
    assert whole.decoder.embedding.weight.any()
    with pytest.raises(InteropError, match=r"differs; set .*dim=16"):
        source.begin(CTC(CTCConfig(encoder=replace(source.config, dim=32))), CharacterTokenizer())
    with pytest.raises(InteropError, match="must begin an encoder of kind whisper"):
        source.begin(CTC(CTCConfig()), CharacterTokenizer())


def test_the_whole_model_gives_the_logits_of_transformers(a_source: Path) -> None:
    model = foreign.read(a_source).whisper()
    assert isinstance(model.config, WhisperConfig) and not model.has_head
    assert all(value.equal(model.state_dict()[name]) for name, value in small.ours().state_dict().items())


def test_what_a_layout_cannot_hold_is_refused(a_source: Path, tmp_path: Path) -> None:
    source = convert.read(a_source)
    with pytest.raises(InteropError, match="`precision` must be float32 or float16 for transformers, but is int8"):
        convert.write(source, tmp_path / "out", "huggingface", "int8")
    (a_source / "tokenizer.json").unlink()
    with pytest.raises(InteropError, match=r"must hold tokenizer\.json"):
        convert.write(source, tmp_path / "out", "ctranslate2")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InteropError, match="must hold a Whisper with its decoder"):
        replace(source, whole=None).whisper()


@pytest.mark.parametrize("spoil", ["weights", "config", "bin"])
def test_broken_folders_are_refused(spoil: str, a_source: Path, tmp_path: Path) -> None:
    folder = a_source
    if spoil == "bin":
        convert.write(convert.read(a_source), tmp_path / "bin", "ctranslate2")
        folder = tmp_path / "bin"
    name = {"weights": "model.safetensors", "config": "config.json", "bin": "model.bin"}[spoil]
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(
        content.replace(b'"d_model": 16', b'"d_model": 17') if spoil == "config" else content[:99]
    )
    with pytest.raises(InteropError, match="must be"):
        foreign.read(folder)
    assert whisper_folder.recognises(folder)
    shutil.rmtree(folder)
    assert not whisper_folder.recognises(folder)
