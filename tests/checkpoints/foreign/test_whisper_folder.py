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
from noisewise.models.whisper.tokenizer import WhisperTokenizer
from noisewise.models.whisper.whisper import Whisper, WhisperConfig
from noisewise.text.tokenizer import CharacterTokenizer
from tests.corpus import run_tiny, write_corpus
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


def a_model_folder(folder: Path, *, multilingual: bool = False) -> WhisperTokenizer:
    """A small Whisper with a CTC head, as training leaves it; gives the tokenizer of its decoder."""
    model, pieces = small.ours(vocabulary=30, pad_seconds=30.0), tokens.tokenizer(multilingual)
    model_folder.save(folder, model, model.config, CharacterTokenizer(), card="", pieces=pieces)
    return pieces


def test_transformers_writes_the_tokens_of_a_model_of_noisewise(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pieces = a_model_folder(tmp_path / "own")
    convert.write(convert.read(tmp_path / "own"), tmp_path / "out", "huggingface")
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path / "out").eval()
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(tmp_path / "out")
    waveform, lengths = small.speech()
    samples = [row[:length].numpy() for row, length in zip(waveform, lengths.tolist(), strict=True)]
    features = extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features
    found = theirs.generate(features, max_new_tokens=8)
    model = model_folder.load_stored(tmp_path / "own").model(Whisper)
    never, first = (theirs.generation_config.to_dict()[name] for name in ("suppress_tokens", "begin_suppress_tokens"))
    with torch.inference_mode():
        output = model.encode(waveform, lengths)
        ids = torch.tensor([pieces.prompt()] * 3)
        for step in range(8):
            logits = model.next_token_logits(output, ids)[:, -1]
            logits[:, [*never, *(first if step == 0 else ())]] = -torch.inf
            ids = torch.cat((ids, logits.argmax(dim=1, keepdim=True)), dim=1)
    for own, other in zip(ids.tolist(), found.tolist(), strict=True):
        text = own[len(pieces.prompt()) :]
        text = text[: text.index(pieces.end)] if pieces.end in text else text
        assert len(text) > 2 and text == other[other.index(text[0]) :][: len(text)]


def test_what_decoding_forbids_is_written_under_both_names(tmp_path: Path) -> None:
    pieces = a_model_folder(tmp_path / "own", multilingual=True)
    for layout in ("huggingface", "ctranslate2"):
        convert.write(convert.read(tmp_path / "own"), tmp_path / layout, layout)  # type: ignore[arg-type]
    theirs = json.loads((tmp_path / "huggingface" / "generation_config.json").read_text())
    faster = json.loads((tmp_path / "ctranslate2" / "config.json").read_text())
    assert theirs["suppress_tokens"] == faster["suppress_ids"]
    assert {*pieces.non_speech} < {*faster["suppress_ids"]} and pieces.end not in faster["suppress_ids"]
    assert theirs["begin_suppress_tokens"] == faster["suppress_ids_begin"] == [pieces.encode(" ")[0], pieces.end]
    assert theirs["lang_to_id"] == {f"<|{name}|>": pieces.languages[name] for name in ("de", "en", "fr")}
    assert faster["lang_ids"] == sorted(pieces.languages.values())


HEADS = [[0, 1], [1, 0], [1, 1]]
"""Layers and heads, as a checkpoint may name them."""


def test_alignment_heads_stay_through_every_layout_and_through_training(
    a_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_source / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "alignment_heads": HEADS}))
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path)
    quick = ["run.steps=1", "run.validate_every=1"]
    trained = run_tiny("whisper", [f"model.encoder.source={a_source}", *quick]) / "best"
    on = run_tiny("whisper", [f"start_from={a_source}", "model.encoder.source=none", *quick], run="on") / "best"
    chain = [("ctranslate2", trained), ("huggingface", Path("ctranslate2")), ("noisewise", Path("huggingface"))]
    for layout, before in chain:
        convert.write(convert.read(before), tmp_path / layout, layout)  # type: ignore[arg-type]
    for layout, name in (("ctranslate2", "config.json"), ("huggingface", "generation_config.json")):
        assert json.loads((tmp_path / layout / name).read_text())["alignment_heads"] == HEADS
    wanted = ((0, 1), (1, 0), (1, 1))
    assert all(
        model_folder.load_config(each).decoder.alignment_heads == wanted for each in (on, tmp_path / "noisewise")
    )
    path.write_text(json.dumps({"alignment_heads": [[0, 2]]}))
    with pytest.raises(InteropError, match="must be pairs of a layer, 0 to 1, and a head, 0 to 1"):
        foreign.read(a_source)
