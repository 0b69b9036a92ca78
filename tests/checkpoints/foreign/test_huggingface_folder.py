"""Folders of transformers: the same logits and letters as transformers gives, and the same files when written back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from noisewise.checkpoints import model_folder
from noisewise.checkpoints.foreign import huggingface_folder, parity, read
from noisewise.errors import InteropError
from noisewise.inference.recogniser import Recogniser
from noisewise.models.pretrained import PretrainedConfig
from tests.checkpoints.foreign.conftest import LARGE, LETTERS, VOCABULARY, Maker

XLSR = {"|": 0, **{letter: 1 + place for place, letter in enumerate("abcdéz'")}, "[UNK]": 8, "[PAD]": 9}


def waveforms() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [0.3 * generator.standard_normal(samples).astype(np.float32) + 0.1 for samples in (16_000, 9_000)]


def reference(folder: Path, waveform: np.ndarray) -> tuple[Tensor, str]:
    """Logits and text as transformers' own classes give them."""
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCTC.from_pretrained(folder).eval()
    extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(folder)
    tokenizer = transformers.Wav2Vec2CTCTokenizer.from_pretrained(folder)
    inputs = extractor(waveform, sampling_rate=16_000, return_tensors="pt").input_values
    with torch.inference_mode():
        logits = model(inputs).logits[0]
    return logits, tokenizer.decode(logits.argmax(dim=-1), skip_special_tokens=True)


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"normalise": False},
        LARGE,
        {**LARGE, "num_hidden_layers": 3, "hidden_size": 48, "num_conv_pos_embeddings": 15},
        {"feat_extract_norm": "layer"},
    ],
    ids=str,
)
def test_logits_and_text_are_those_of_transformers(shape: dict[str, Any], a_folder: Maker) -> None:
    folder = a_folder(**shape)
    loaded = model_folder.load(folder)
    own = Recogniser(loaded)
    texts = own.recognise(waveforms())
    padded = torch.zeros(2, 16_000)
    for row, waveform in zip(padded, waveforms(), strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    output = loaded.model.encoder(padded, torch.tensor([16_000, 9_000]))
    logits = loaded.model.head(output.features)
    for row, waveform in enumerate(waveforms()):
        expected, text = reference(folder, waveform)
        torch.testing.assert_close(logits[row, : int(output.lengths[row])], expected, atol=1e-4, rtol=0)
        assert texts[row].replace("<unk>", "") == " ".join(text.split())
        assert text


@pytest.mark.parametrize("vocabulary", [VOCABULARY, XLSR], ids=["pad first", "pad last, small letters"])
def test_there_and_back(vocabulary: dict[str, int], a_folder: Maker, tmp_path: Path) -> None:
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"} if "[PAD]" in vocabulary else None
    source = a_folder(
        vocabulary=vocabulary, tokenizer=names, pad_token_id=list(vocabulary).index("[PAD]" if names else "<pad>")
    )
    huggingface_folder.write(tmp_path / "back", read(source))
    old, new = load_file(source / "model.safetensors"), load_file(tmp_path / "back" / "model.safetensors")
    assert old.keys() == new.keys()
    assert all(old[name].equal(new[name]) for name in old)
    for name in ("config.json", "vocab.json", "preprocessor_config.json", "tokenizer_config.json"):
        assert json.loads((tmp_path / "back" / name).read_text()) == json.loads((source / name).read_text())


def test_small_letters_and_a_late_blank(a_folder: Maker) -> None:
    names = {"pad_token": {"content": "[PAD]"}, "unk_token": "[UNK]"}
    source = a_folder(vocabulary=XLSR, tokenizer=names, vocab_size=12, pad_token_id=9)
    (source / "added_tokens.json").write_text(json.dumps({"<s>": 10, "</s>": 11}))
    checkpoint = read(source)
    assert checkpoint.head is not None
    assert checkpoint.head.tokenizer.symbols == ["<blank>", "|", *"ABCDÉZ'", "<unk>", "<s>", "</s>"]
    weight = load_file(source / "model.safetensors")["lm_head.weight"]
    assert checkpoint.head.weight[0].equal(weight[9])
    assert checkpoint.head.weight[2].equal(weight[1])


def test_written_anew_it_loads_in_transformers(a_folder: Maker, tmp_path: Path) -> None:
    source = a_folder(**LARGE, normalise=False)
    checkpoint = read(source)
    checkpoint.origin.clear()
    huggingface_folder.write(tmp_path / "new", checkpoint)
    expected, text = reference(source, waveforms()[0])
    logits, again = reference(tmp_path / "new", waveforms()[0])
    assert logits.equal(expected)
    assert again == text
    assert json.loads((tmp_path / "new" / "vocab.json").read_text()) == VOCABULARY


@pytest.mark.parametrize(
    ("kind", "left_out"), [("Model", ()), ("ForPreTraining", ("project_hid", "project_q", "quantizer"))]
)
def test_an_encoder_alone(kind: str, left_out: tuple[str, ...], a_folder: Maker, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    source = a_folder(kind, codevector_dim=8, proj_codevector_dim=8, num_codevectors_per_group=4)
    checkpoint = read(source)
    assert checkpoint.left_out == left_out
    waveform = torch.randn(1, 8_000)
    model = transformers.Wav2Vec2Model.from_pretrained(source).eval()
    with torch.inference_mode():
        expected = model((waveform - waveform.mean()) / (waveform.var(correction=0) + 1e-7).sqrt()).last_hidden_state
        own = checkpoint.encoder().eval()(waveform, torch.tensor([8_000])).features
    torch.testing.assert_close(own, expected, atol=1e-4, rtol=0)
    with pytest.raises(InteropError, match="must hold a CTC head, but holds an encoder alone; fine-tune it first"):
        model_folder.load(source)
    huggingface_folder.write(tmp_path / "back", checkpoint)
    again = transformers.Wav2Vec2Model.from_pretrained(tmp_path / "back")
    assert all(value.equal(again.state_dict()[name]) for name, value in model.state_dict().items())


def test_shards(a_folder: Maker) -> None:
    whole, shards = a_folder(name="whole"), a_folder(name="shards", max_shard_size="100KB")
    assert not (shards / "model.safetensors").exists()
    one, many = read(whole).weights, read(shards).weights
    assert one.keys() == many.keys()
    assert all(one[name].equal(many[name]) for name in one)
    assert model_folder.weights_hash(shards) != model_folder.weights_hash(whole)
    next(shards.glob("model-00002*")).unlink()
    with pytest.raises(InteropError, match=r"names model-00002.*no such file"):
        read(shards)


def test_an_old_bin_is_read_but_never_run(a_folder: Maker, tmp_path: Path) -> None:
    folder = a_folder()
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert read(folder).weights.keys()
    mark = tmp_path / "mark"
    (folder / "pytorch_model.bin").write_bytes(
        b"cpathlib\nPath.touch\n(cpathlib\nPath\n(V" + str(mark).encode() + b"\ntRtR."
    )
    with pytest.raises(InteropError, match=r"names `pathlib\.Path\.touch`, which could run code"):
        read(folder)
    assert not mark.exists()


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("family", ["Wav2Vec2", "Hubert", "WavLM"])
def test_the_feature_extractor_of_transformers_5(family: str, normalise: bool, a_folder: Maker) -> None:
    folder = a_folder(family=family, normalise=not normalise, **LARGE)  # the old file is outvoted, as in transformers
    nested = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": normalise, "sampling_rate": 16_000}
    nested |= {"feature_size": 1, "padding_value": 0.0, "return_attention_mask": False}
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": nested}))
    assert read(folder).config.normalise is normalise
    (folder / "preprocessor_config.json").unlink()
    checkpoint = read(folder)
    assert checkpoint.config.normalise is normalise
    assert parity.compare(checkpoint, waveforms()[:1])[0].agrees
    wrong = json.loads((folder / "processor_config.json").read_text())
    wrong["feature_extractor"]["do_normalize"] = not normalise
    (folder / "processor_config.json").write_text(json.dumps(wrong))
    assert not parity.compare(checkpoint, waveforms()[:1])[0].agrees, "transformers' own extractor decides"


def test_without_a_feature_extractor_normalisation_is_a_guess(a_folder: Maker) -> None:
    folder = a_folder(family="Hubert")
    assert "guessed" not in read(folder).origin
    (folder / "preprocessor_config.json").unlink()
    assert read(folder).origin["guessed"] == ["do_normalize"]


@pytest.mark.parametrize(
    "shape", [{"hidden_act": "relu"}, {"layer_norm_eps": 1e-3}, {"conv_dim": [16, 16, 16, 16, 16, 16, 32]}], ids=str
)
def test_a_wav2vec2_that_is_not_ours_runs_through_transformers(shape: dict[str, Any], a_folder: Maker) -> None:
    folder = a_folder(**{**LARGE, **shape})
    checkpoint = read(folder)
    assert isinstance(checkpoint.config, PretrainedConfig)
    assert parity.compare(checkpoint, waveforms()[:1])[0].agrees


def edit(folder: Path, file: str, **values: Any) -> None:
    old = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**old, **values}))


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def torn_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])


def without_a_layer(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in state.items() if ".layers.1." not in name}
    save_file(kept, folder / "model.safetensors")


def outside(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))


BROKEN = {
    "no weights": (without_weights, r"must hold model\.safetensors"),
    "torn weights": (torn_weights, "must be a safetensors file"),
    "a layer less": (without_a_layer, "missing are"),
    "a shard elsewhere": (outside, "must name safetensors files beside it"),
    "no vocabulary": (lambda folder: (folder / "vocab.json").unlink(), r"must hold vocab\.json"),
    "a list": (lambda folder: (folder / "vocab.json").write_text("[]"), "must hold names and values"),
    "not JSON": (lambda folder: (folder / "vocab.json").write_text("{"), "must be JSON"),
    "text for an id": (lambda folder: edit(folder, "vocab.json", A="x"), "must map tokens to ids"),
    "one id twice": (lambda folder: edit(folder, "vocab.json", A=1), "some share one"),
    "no boundary": (lambda folder: edit(folder, "tokenizer_config.json", word_delimiter_token="%"), "boundary between"),
    "syllables": (
        lambda folder: (folder / "vocab.json").write_text(json.dumps({"<pad>": 0, "|": 1, "ka": 2})),
        "single",
    ),
    "another family": (
        lambda folder: edit(folder, "config.json", model_type="bert"),
        "`model_type` must be wav2vec2",
    ),
    "heads": (lambda folder: edit(folder, "config.json", num_attention_heads=5), "must be a multiple of `heads`"),
    "a word for a number": (lambda folder: edit(folder, "config.json", hidden_size="many"), "dim: "),
    "too many layers": (
        lambda folder: edit(folder, "config.json", num_hidden_layers=10**9),
        "it has more than [0-9]+ modules",
    ),
    "too wide": (lambda folder: edit(folder, "config.json", intermediate_size=10**9), r"must be \(1000000000"),
    "a negative width": (
        lambda folder: edit(folder, "config.json", intermediate_size=-4),
        "must describe a model that fits its weights",
    ),
    "deep": (lambda folder: (folder / "vocab.json").write_text("[" * 200_000), "nested too deeply"),
    "a long number": (lambda folder: (folder / "vocab.json").write_text('{"a": ' + "9" * 10_000 + "}"), "must be JSON"),
    "a width for all": (lambda folder: edit(folder, "config.json", conv_dim=5), "."),
    "nested widths": (lambda folder: edit(folder, "config.json", conv_dim=[[1]]), "."),
    "a word for dropout": (lambda folder: edit(folder, "config.json", final_dropout="x"), "`final_dropout` must be"),
    "a list of families": (lambda folder: edit(folder, "config.json", model_type=["wav2vec2"]), "`model_type` must be"),
    "an object for a family": (lambda folder: edit(folder, "config.json", model_type={"a": 1}), "`model_type` must be"),
    "a nested width": (lambda folder: edit(folder, "config.json", hidden_size=[[1]]), "dim: "),
    "no heads": (lambda folder: edit(folder, "config.json", num_attention_heads=0), "must describe a model"),
    "a position kernel": (lambda folder: edit(folder, "config.json", num_conv_pos_embeddings=10**9), "must be"),
    "a rate that is a list": (lambda folder: edit(folder, "preprocessor_config.json", sampling_rate=[1]), "16000 Hz"),
    "8 kHz": (lambda folder: edit(folder, "preprocessor_config.json", sampling_rate=8000), "must be for 16000 Hz"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_explained(case: str, a_folder: Maker) -> None:
    damage, message = BROKEN[case]
    folder = a_folder()
    damage(folder)
    with pytest.raises(ValueError, match=message) as error:
        model_folder.load(folder)
    assert type(error.value).__module__.startswith("noisewise"), "a user's error, which the command prints as one line"


def test_letters_of_the_test_vocabulary() -> None:
    assert len(VOCABULARY) == 32 and len(LETTERS) == 27
