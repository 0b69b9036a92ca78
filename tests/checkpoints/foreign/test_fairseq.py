"""Files of fairseq, made here from models of transformers; and files that are none."""

import argparse
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from noisewise.checkpoints import foreign, model_folder
from noisewise.checkpoints.foreign import fairseq
from noisewise.errors import InteropError
from tests.checkpoints.foreign.conftest import LARGE, LETTERS, SMALL, Maker

WORDS = {  # names of transformers to those of fairseq, written down independently of the package's table
    "feature_projection.layer_norm": "layer_norm",
    "feature_projection.projection": "post_extract_proj",
    "encoder.pos_conv_embed.conv": "encoder.pos_conv.0",
    "attention.": "self_attn.",
    "feed_forward.intermediate_dense": "fc1",
    "feed_forward.output_dense": "fc2",
    "masked_spec_embed": "mask_emb",
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}


def renamed(state: dict[str, Tensor], layer_norm: bool) -> dict[str, Tensor]:
    found = {}
    for name, value in state.items():
        if name.startswith("lm_head"):
            found[name.replace("lm_head", "w2v_encoder.proj")] = value
            continue
        inner = name.startswith("wav2vec2.")
        name = name.removeprefix("wav2vec2.")
        if name.startswith("encoder.layers") and name.split(".")[3] == "layer_norm":
            name = name.replace("layer_norm", "self_attn_layer_norm")
        for old, new in WORDS.items():
            name = name.replace(old, new)
        if "conv_layers" in name:
            name = name.replace(".conv.", ".0.").replace(".layer_norm.", ".2.1." if layer_norm else ".2.")
        found[("w2v_encoder.w2v_model." if inner else "") + name] = value
    return found


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "_name": "wav2vec2",
        "extractor_mode": "default",
        "encoder_layers": SMALL["num_hidden_layers"],
        "encoder_embed_dim": SMALL["hidden_size"],
        "encoder_ffn_embed_dim": SMALL["intermediate_size"],
        "encoder_attention_heads": SMALL["num_attention_heads"],
        "activation_fn": "gelu",
        "layer_norm_first": False,
        "conv_feature_layers": "[(32, 10, 5)] + [(32, 3, 2)] * 4 + [(32,2,2)] + [(32,2,2)]",
        "conv_bias": False,
        "conv_pos": 16,
        "conv_pos_groups": 4,
        **changes,
    }


class DictConfig:
    """Pickles as omegaconf's does: nodes that know their parents."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = {name: AnyNode(self, value) for name, value in content.items()}


class AnyNode:
    def __init__(self, parent: Any, value: Any) -> None:
        self._parent, self._val = parent, value


class Dictionary:
    def __init__(self, symbols: list[str]) -> None:
        self.symbols = symbols


HOMES = {DictConfig: "omegaconf.dictconfig", AnyNode: "omegaconf.nodes", Dictionary: "fairseq.data.dictionary"}
for kind, home in HOMES.items():
    kind.__module__ = home


def saved(path: Path, content: Any, *, archive: bool = True) -> Path:
    """Write a file while omegaconf and fairseq seem to be installed; a reader that imports them fails afterwards."""
    parents = ("omegaconf", "fairseq", "fairseq.data")
    modules = {name: ModuleType(name) for name in (*parents, *HOMES.values())}
    for kind, home in HOMES.items():
        setattr(modules[home], kind.__name__, kind)
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        torch.save(content, path, _use_new_zipfile_serialization=archive)
    return path


def same(path: Path, folder: Path) -> None:
    own, reference = foreign.read(path), foreign.read(folder)
    assert own.weights.keys() == reference.weights.keys()
    assert all(own.weights[name].equal(reference.weights[name]) for name in own.weights)
    waveform, lengths = torch.randn(1, 6_000), torch.tensor([6_000])
    with torch.inference_mode():
        features = own.encoder().eval()(waveform, lengths).features
        torch.testing.assert_close(features, reference.encoder().eval()(waveform, lengths).features, atol=1e-5, rtol=0)


@pytest.mark.parametrize("archive", [True, False])
def test_a_pretraining_file_with_args(archive: bool, a_folder: Maker, tmp_path: Path) -> None:
    folder = a_folder("ForPreTraining", normalise=False, codevector_dim=8, proj_codevector_dim=8)
    state = renamed(load_file(folder / "model.safetensors"), False)
    state = {name.removeprefix("w2v_encoder.w2v_model."): value for name, value in state.items()}
    state["final_proj.weight"] = state.pop("project_hid.weight")
    state["final_proj.bias"] = state.pop("project_hid.bias")
    values = settings()
    values["arch"] = values.pop("_name")
    content: dict[str, Any] = {"args": argparse.Namespace(**values, normalize=False), "cfg": None, "model": state}
    content["last_optimizer_state"] = {"state": {0: {"exp_avg": torch.zeros(3)}}}
    path = saved(tmp_path / "small.pt", content, archive=archive)
    same(path, folder)
    assert foreign.read(path).left_out == ("final_proj", "project_q", "quantizer")
    with pytest.raises(InteropError, match="must hold a CTC head, but holds an encoder alone"):
        model_folder.load(path)


def a_tuned_file(path: Path, folder: Path, *, layer_norm: bool = False, **more: Any) -> Path:
    state = renamed(load_file(folder / "model.safetensors"), layer_norm)
    state = {name: value.half() if more.get("half") else value for name, value in state.items()}
    shape = {"extractor_mode": "layer_norm", "conv_bias": True, "layer_norm_first": True} if layer_norm else {}
    inner = DictConfig({"model": settings(**shape), "task": {"normalize": layer_norm}})
    outer = {"_name": "wav2vec_ctc", "w2v_args": inner, "normalize": "${task.normalize}", "dropout": 0.0}
    cfg = {"model": outer, "task": {"_name": "audio_finetuning", "normalize": layer_norm}}
    return saved(path, {"cfg": cfg, "args": None, "model": state, **more})


@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_fine_tuned_file(layer_norm: bool, a_folder: Maker, tmp_path: Path) -> None:
    folder = a_folder(**LARGE if layer_norm else {}, normalise=layer_norm)
    path = a_tuned_file(tmp_path / "tuned.pt", folder, layer_norm=layer_norm)
    same(path, folder)
    own, reference = model_folder.load(path), model_folder.load(folder)
    assert own.tokenizer.symbols == reference.tokenizer.symbols
    assert own.model.head.weight.equal(reference.model.head.weight)
    assert own.config == reference.config or own.config.dropout == 0.0
    assert model_folder.weights_hash(path)


def test_letters_beside_the_file_inside_it_or_given(a_folder: Maker, tmp_path: Path) -> None:
    folder = a_folder(
        vocabulary={name: index for index, name in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", "B", "A"])}
    )
    symbols = ["<s>", "<pad>", "</s>", "<unk>", "|", "B", "A"]
    own = ["<blank>", "<s>", "</s>", "<unk>", "|", "B", "A"]
    inside = a_tuned_file(tmp_path / "inside.pt", folder, task_state={"target_dictionary": Dictionary(symbols)})
    assert model_folder.load(inside).tokenizer.symbols == own
    plain = a_tuned_file(tmp_path / "plain.pt", folder)
    with pytest.raises(InteropError, match=r"must stand beside its letters, dict\.ltr\.txt"):
        foreign.read(plain)
    (tmp_path / "mine.txt").write_text("| 9\nB 5\nA 3\n")
    assert foreign.read(plain, tmp_path / "mine.txt").head.tokenizer.symbols == own
    (tmp_path / "dict.ltr.txt").write_text("| 9\nB 5\n")
    with pytest.raises(InteropError, match=r"dict.ltr.txt` must hold 3 letters.* but holds 2"):
        foreign.read(plain)
    assert len(fairseq.LETTERS) == len(LETTERS) + 1


def test_convolutions() -> None:
    text = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]"
    assert fairseq.convolutions(text) == [(512, 10, 5), *[(512, 3, 2)] * 4, (512, 2, 2), (512, 2, 2)]
    for wrong in ("__import__('os').abort()", "[(1, 2)]", "[(1,2,3)] * 999999999", "[", ""):
        with pytest.raises(InteropError, match="must be lists of"):
            fairseq.convolutions(wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_name": "hubert"}, "must hold a wav2vec2 model, but holds hubert"),
        ({"activation_fn": "relu"}, "`activation_fn` must be gelu"),
        ({"extractor_mode": "x"}, "`extractor_mode` must be one of"),
        ({"encoder_layers": 7}, "missing are"),
        ({"encoder_embed_dim": "x"}, "dim: "),
    ],
)
def test_settings_that_no_encoder_of_ours_can_have(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    state = {"mask_emb": torch.zeros(64), **{f"encoder.layers.{layer}.fc1.bias": torch.zeros(96) for layer in range(9)}}
    path = saved(tmp_path / "a.pt", {"cfg": {"model": settings(**changes)}, "model": state})
    with pytest.raises(ValueError, match=message):
        foreign.read(path).encoder()


class Hostile:
    """Unpickles by calling something."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("archive", [True, False])
def test_a_hostile_file_is_refused_and_nothing_runs(archive: bool, tmp_path: Path) -> None:
    """More attacks are in test_unpickle.py."""
    content = {"cfg": {"model": settings()}, "model": {"mask_emb": torch.zeros(4)}, "extra": Hostile(tmp_path / "mark")}
    path = saved(tmp_path / "bad.pt", content, archive=archive)
    with pytest.raises(InteropError, match="must hold tensors and settings alone, but names"):
        foreign.read(path)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("content", [{"model": 3}, {"model": {"a": "b"}}, [1], {"model": {}}])
def test_other_files_of_torch_are_refused(content: Any, tmp_path: Path) -> None:
    with pytest.raises(InteropError, match="must hold "):
        foreign.read(saved(tmp_path / "a.pt", content))
