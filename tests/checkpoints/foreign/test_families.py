"""HuBERT, WavLM and data2vec with CTC heads: loaded from their folders, with the logits that transformers gives."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import noisewise
from noisewise.checkpoints import model_folder
from noisewise.checkpoints.foreign import huggingface_folder, parity, read
from noisewise.cli.main import main
from noisewise.errors import InteropError, NoisewiseError
from noisewise.evaluation.systems.loading import load as load_recogniser
from noisewise.inference.recogniser import Recogniser
from noisewise.models.ctc import CTC, CTCConfig
from noisewise.models.pretrained import PretrainedConfig
from noisewise.text.tokenizer import CharacterTokenizer
from tests.checkpoints.foreign.conftest import LARGE, Maker
from tests.checkpoints.foreign.test_huggingface_folder import XLSR, edit, reference, waveforms

RECORDING = sorted((Path(noisewise.__file__).parent / "assets" / "recordings").glob("*.flac"))[0]
SHAPES: dict[str, dict[str, Any]] = {
    "Hubert": {},
    "Hubert large": LARGE,
    "Hubert raw": {"normalise": False, "feat_proj_layer_norm": False, "conv_pos_batch_norm": True},
    "WavLM": {"num_buckets": 20, "max_bucket_distance": 40},
    "WavLM large": {"num_buckets": 20, "max_bucket_distance": 40, **LARGE},
    "Data2VecAudio": {"conv_pos_kernel_size": 5},
}


def shape(name: str) -> dict[str, Any]:
    return {"family": name.partition(" ")[0], **SHAPES[name]}


@pytest.mark.parametrize("name", SHAPES)
def test_logits_and_text_are_those_of_transformers(name: str, a_folder: Maker) -> None:
    folder = a_folder(**shape(name))
    loaded = model_folder.load(folder)
    padded = torch.full((2, 16_000), 5.0)
    for row, waveform in zip(padded, waveforms(), strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    with torch.inference_mode():
        output = loaded.model.encoder(padded, torch.tensor([16_000, 9_000]))
        logits = loaded.model.head(output.features)
    texts = Recogniser(loaded).recognise(waveforms())
    for row, waveform in enumerate(waveforms()):
        expected, _ = reference(folder, waveform)
        torch.testing.assert_close(logits[row, : int(output.lengths[row])], expected, atol=1e-4, rtol=0)
        (text,) = load_recogniser(f"hf:{folder}").recognise([waveform])
        assert isinstance(text, str) and len(text) > 3
        assert texts[row].replace("<unk>", "").split() == re.sub("<s>|</s>|<unk>", "", text).split()


@pytest.mark.parametrize("name", ["Hubert", "WavLM", "Data2VecAudio"])
def test_to_ours_and_back_is_exact(name: str, a_folder: Maker, tmp_path: Path) -> None:
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    source = a_folder(**shape(name), vocabulary=XLSR, tokenizer=names, pad_token_id=9)
    assert main(["convert", str(source), str(tmp_path / "own")]) == 0
    assert main(["convert", str(tmp_path / "own"), str(tmp_path / "back"), "--to", "huggingface"]) == 0
    old, new = load_file(source / "model.safetensors"), load_file(tmp_path / "back" / "model.safetensors")
    assert old.keys() == new.keys() and all(old[key].equal(new[key]) for key in old)
    for file in ("config.json", "vocab.json", "preprocessor_config.json", "tokenizer_config.json"):
        assert json.loads((tmp_path / "back" / file).read_text()) == json.loads((source / file).read_text())
    assert [each.agrees for each in parity.compare(read(source), waveforms())] == [True, True]


def test_the_verbs_take_it(a_folder: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = a_folder(**shape("Hubert"))
    assert main(["transcribe", str(RECORDING), "--model", str(folder)]) == 0
    assert capsys.readouterr().out.strip()
    assert main(["convert", str(folder), "--check", "--audio", str(RECORDING)]) == 0
    assert "agrees with transformers" in capsys.readouterr().out
    (tmp_path / "list.tsv").write_text(f"path\ttext\n{RECORDING}\tGO\n")
    words = ["evaluate", str(tmp_path / "list.tsv"), "--model", str(folder), "-o", str(tmp_path / "result.json")]
    assert main(words) == 0
    assert json.loads((tmp_path / "result.json").read_text())["items"] == 1


def test_written_anew_it_loads_in_transformers(a_folder: Maker, tmp_path: Path) -> None:
    source = a_folder(**shape("Hubert large"))
    checkpoint = read(source)
    checkpoint.origin.clear()
    huggingface_folder.write(tmp_path / "new", checkpoint)
    (expected, text), (logits, again) = (reference(folder, waveforms()[0]) for folder in (source, tmp_path / "new"))
    assert logits.equal(expected) and again == text
    assert json.loads((tmp_path / "new" / "config.json").read_text())["architectures"] == ["HubertForCTC"]


def test_an_old_file_and_an_encoder_alone(a_folder: Maker) -> None:
    source = a_folder("Model", **shape("Hubert"))
    state = load_file(source / "model.safetensors")
    old = {name.replace("parametrizations.weight.original0", "weight_g"): value for name, value in state.items()}
    old = {name.replace("parametrizations.weight.original1", "weight_v"): value for name, value in old.items()}
    assert len(old.keys() - state.keys()) == 2
    old.pop("masked_spec_embed")
    before = read(source).encoder().state_dict()
    save_file(old, source / "model.safetensors", metadata={"format": "pt"})
    encoder = read(source).encoder().state_dict()
    assert all(value.equal(before[key]) for key, value in encoder.items() if "masked" not in key)
    with pytest.raises(InteropError, match="must hold a CTC head, but holds an encoder alone"):
        model_folder.load(source)


def test_what_else_a_model_holds_is_named(a_folder: Maker) -> None:
    checkpoint = read(a_folder("ForSequenceClassification", **shape("WavLM")))
    assert checkpoint.left_out == ("classifier", "projector") and checkpoint.head is None
    assert checkpoint.encoder().dim == 64


def test_fine_tuning_begins_with_it(a_folder: Maker) -> None:
    folder = a_folder(**shape("Hubert"))
    checkpoint = read(folder)
    assert checkpoint.head is not None
    model = CTC(CTCConfig(encoder=PretrainedConfig(source=str(folder)), vocabulary=32))
    with torch.no_grad():
        for value in model.parameters():
            value.zero_()
    checkpoint.begin(model, checkpoint.head.tokenizer)
    assert all(value.equal(checkpoint.weights[name]) for name, value in model.encoder.state_dict().items())
    assert model.head.weight.equal(checkpoint.head.weight)
    other = a_folder(**shape("Hubert"), name="other", num_attention_heads=8, normalise=False)
    model = CTC(CTCConfig(encoder=PretrainedConfig(source=str(other)), vocabulary=32))
    with pytest.raises(InteropError, match=r"set encoder\.source to it, whose num_attention_heads and normalise"):
        checkpoint.begin(model, CharacterTokenizer())
    with pytest.raises(InteropError, match="must begin an encoder of kind pretrained"):
        checkpoint.begin(CTC(CTCConfig()), CharacterTokenizer())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_hidden_layers": 10**9}, "it has more than [0-9]+ modules"),
        ({"intermediate_size": 10**9}, r"must be \(1000000000"),
        ({"hidden_size": 48}, "must be"),
        ({"num_attention_heads": 5}, "cannot be built"),
        ({"hidden_size": "many"}, "cannot be built"),
        ({"num_hidden_layers": 1}, "without place in it"),
        ({"add_adapter": True}, "must be a model without adapters"),
    ],
)
def test_what_is_broken_is_explained(values: dict[str, Any], message: str, a_folder: Maker) -> None:
    folder = a_folder(**shape("Hubert"))
    edit(folder, "config.json", **values)
    with pytest.raises(NoisewiseError, match=message):
        model_folder.load(folder)


def test_convolutions_behind_the_encoder_are_refused_and_transformers_runs_them(
    a_folder: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = a_folder(add_adapter=True, num_adapter_layers=1, output_hidden_size=64, **LARGE)
    capsys.readouterr()  # the progress of saving
    assert main(["transcribe", str(RECORDING), "--model", str(folder)]) == 2
    shown = capsys.readouterr().err
    assert "must be a model without adapters behind its encoder, but has add_adapter=True" in shown
    assert shown.count("\n") == 1 and f"noisewise evaluate --model hf:{folder}" in shown
    assert load_recogniser(f"hf:{folder}").recognise([np.zeros(8_000, np.float32)]) != [""]
