"""Model folders: what is written is read, and what is broken is explained."""

import json
import resource
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from noisewise.checkpoints import model_folder
from noisewise.errors import ModelError
from noisewise.models.ctc import CTC, CTCConfig
from noisewise.models.lm import TransformerLM
from noisewise.models.logmel_transformer import tiny
from noisewise.models.whisper.encoder import WhisperEncoderConfig
from noisewise.text.tokenizer import CharacterTokenizer


@pytest.fixture
def folder(model_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_dir, tmp_path / "model"))


def test_precisions_shrink_the_file_and_leave_nearly_the_same_weights(tmp_path: Path) -> None:
    config = CTCConfig(encoder=WhisperEncoderConfig(dim=96, layers=2, heads=2, feed_forward=384, positions=8))
    model = CTC(config)
    sizes = {}
    for precision in model_folder.PRECISIONS:
        saved = model_folder.save(
            tmp_path / precision, model, config, CharacterTokenizer(), card="", precision=precision
        )
        sizes[precision] = (saved / "model.safetensors").stat().st_size
        loaded = model_folder.load(saved).model
        for name, tensor in model.state_dict().items():
            found = loaded.state_dict()[name]
            assert found.dtype == torch.float32
            if precision == "int8" and tensor.dim() > 1 and name.endswith("weight"):
                rows, error = tensor.flatten(1), (found - tensor).flatten(1).abs()
                assert (error.amax(dim=1) <= 0.501 * rows.abs().amax(dim=1) / 127).all(), name  # half a step
            elif precision == "float16" or tensor.dim() > 1:
                torch.testing.assert_close(found, tensor, atol=1e-3, rtol=1e-3)
            else:
                assert found.equal(tensor), name
    assert sizes["float16"] < 0.55 * sizes["float32"] and sizes["int8"] < 0.33 * sizes["float32"]
    with pytest.raises(ModelError, match="`precision` must be one of float32, float16, int8, but is 'int4'"):
        model_folder.save(tmp_path / "no", model, config, None, card="", precision="int4")  # type: ignore[arg-type]
    assert not (tmp_path / "no").exists()


def test_rows_of_zeros_and_other_signs_survive_int8(tmp_path: Path) -> None:
    value = torch.tensor([[[0.0, 0.0]], [[-2.54, 1.27]], [[1e-6, -1e-6]]])
    whole, scale = model_folder._quantised(value)
    assert whole.flatten().tolist() == [0, 0, -127, 64, 127, -127] and scale.tolist()[0] == 0.0
    stored = {"a.weight": whole, "a.weight" + model_folder.SCALE: scale}
    torch.testing.assert_close(model_folder._widened(stored, tmp_path)["a.weight"], value, atol=0.011, rtol=0)


@pytest.mark.parametrize("spoiled", ["scale", "length", "type"])
def test_tensors_of_other_types_are_refused(spoiled: str, folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    whole, scale = model_folder._quantised(weights["head.weight"])
    weights["head.weight"] = whole.to(torch.int16) if spoiled == "type" else whole
    if spoiled != "scale":
        weights["head.weight" + model_folder.SCALE] = scale[1:].clone() if spoiled == "length" else scale
    save_file(weights, folder / "model.safetensors")
    kind = "int16" if spoiled == "type" else "int8"
    with pytest.raises(ModelError, match=rf"`head\.weight` in .* or int8 with its scales, but is {kind} instead"):
        model_folder.load(folder)


def test_saving_replaces_the_old_folder_whole(folder: Path) -> None:
    (folder / "left_over").write_text("old")
    config = CTCConfig(encoder=tiny())
    model_folder.save(folder, CTC(config), config, CharacterTokenizer(), card="new")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "tokens.txt",
    ]  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def break_vocabulary(folder: Path) -> None:
    (folder / "tokens.txt").write_text("<blank>\n<unk>\n|\n")


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def break_key(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["model"]["encoder"]["layerz"] = 1
    (folder / "config.json").write_text(json.dumps(values))


def break_shape(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["model"]["encoder"]["layers"] = 1
    (folder / "config.json").write_text(json.dumps(values))


def break_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x80\x02cos\nsystem\n")


def remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_vocabulary, "must hold 30 tokens, but holds 3"),
        (break_config, "must describe a model"),
        (break_key, "did you mean 'layers'"),
        (break_shape, r"must fit config\.json"),
        (break_weights, "must be a safetensors file"),
        (remove_weights, r"lacks model\.safetensors"),
        (shutil.rmtree, "there is no such folder"),
    ],
)
def test_damage_is_explained(folder: Path, damage: object, message: str) -> None:
    damage(folder)
    with pytest.raises(ModelError, match=message):
        model_folder.load(folder)


def test_hash_follows_the_weights(folder: Path, model_dir: Path) -> None:
    before = model_folder.weights_hash(folder)
    assert before == model_folder.weights_hash(model_dir)
    config = CTCConfig(encoder=tiny())
    model_folder.save(folder, CTC(config), config, CharacterTokenizer(), card="")
    assert model_folder.weights_hash(folder) != before


def test_a_located_model_states_its_layout(folder: Path, tmp_path: Path) -> None:
    own = model_folder.locate(folder)
    assert own == model_folder.Located(folder, "noisewise") and not own.is_foreign
    assert own.weight_files == [folder / "model.safetensors"]
    assert model_folder.locate("box").path == model_folder.BOX
    (tmp_path / "a.pt").write_bytes(b"")
    fairseq = model_folder.locate(tmp_path / "a.pt")
    assert fairseq.layout == "fairseq" and fairseq.is_foreign and fairseq.weight_files == [tmp_path / "a.pt"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "wav2vec2"}')
    assert model_folder.locate(other) == model_folder.Located(other, "transformers")
    for load in (model_folder.load_stored, model_folder.load_tagger):
        with pytest.raises(ModelError, match="noisewise wrote, but is a checkpoint of transformers"):
            load(other)


def test_the_configuration_is_read_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"torn")
    assert model_folder.load_config(folder) == CTCConfig(encoder=tiny())
    with pytest.raises(ModelError, match="must be a safetensors file"):
        model_folder.load_stored(folder)


def test_a_stored_model_is_of_the_class_that_is_wanted(folder: Path) -> None:
    stored = model_folder.load_stored(folder)
    assert isinstance(stored.model(), CTC) and isinstance(stored.model(CTC), CTC)
    with pytest.raises(ModelError, match="must hold a language model, but holds a model of kind ctc"):
        stored.model(TransformerLM)


@pytest.mark.parametrize(
    "content",
    ["[" * 200_000, '{"model": ' + "9" * 10_000 + "}", "[]", "5", '{"model": 5}', "\ufeff{", "nul\0l"],
    ids=lambda content: content[:20],
)
def test_hostile_json_is_refused_in_one_sentence(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json` must describe a model") as error:
        model_folder.load(folder)
    assert len(str(error.value)) < 700 + len(str(folder))


@pytest.mark.parametrize("value", ["x", None, [], -1.0, float("nan"), float("inf"), True])
@pytest.mark.parametrize("name", ["window_seconds", "lead_seconds", "trail_seconds"])
def test_seconds_are_numbers(folder: Path, name: str, value: object) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, name: value}))
    with pytest.raises(ModelError, match=f"`{name}` must be seconds"):
        model_folder.load(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("encoder.dim", value) for value in (10**6, 10**30, 0, -64, [[1]], "x", 1.5)),
        *(("encoder.layers", value) for value in (10**7, 20_000, -1)),
        *(("encoder.feed_forward", value) for value in (10**9, 0, -1)),
        *(("encoder.heads", value) for value in (10**9, 0, -4)),
        *(("vocabulary", value) for value in (10**9, 20_000_000, 0, -30)),
    ],
)
def test_sizes_are_compared_with_the_weights_before_anything_is_built(folder: Path, name: str, value: object) -> None:
    values = json.loads((folder / "config.json").read_text())
    place = values["model"]["encoder"] if name.startswith("encoder.") else values["model"]
    place[name.split(".")[-1]] = value
    (folder / "config.json").write_text(json.dumps(values))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match="must"):
        model_folder.load(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kilobytes"
