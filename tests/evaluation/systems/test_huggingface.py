"""Folders of transformers on the grid: a tiny random CTC model, called with arrays."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from noisewise.cli import main as cli
from noisewise.errors import NoisewiseError
from noisewise.evaluation.systems.loading import load as load_recogniser
from noisewise.evaluation.systems.protocol import Failure, attempt
from tests.corpus import write_corpus

transformers = pytest.importorskip("transformers")
SYMBOLS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGH"]


def tiny() -> Any:
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        vocab_size=len(SYMBOLS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8, 8), conv_kernel=(10, 8), conv_stride=(8, 8), num_feat_extract_layers=2,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, pad_token_id=0,
    )  # fmt: skip
    model = transformers.Wav2Vec2ForCTC(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(100)  # sharp, so that frames differ
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as people have it: config.json, model.safetensors, vocab.json, preprocessor_config.json."""
    path = tmp_path_factory.mktemp("hf") / "tiny"
    tiny().save_pretrained(path)
    (path / "vocab.json").write_text(json.dumps({symbol: index for index, symbol in enumerate(SYMBOLS)}))
    transformers.Wav2Vec2CTCTokenizer(str(path / "vocab.json")).save_pretrained(path)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(path)
    return path


def sounds() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(0, 0.1, length).astype(np.float32) for length in (8000, 4000, 6400, 16_000)]


def expected(model: Any, waveform: np.ndarray) -> str:
    """Greedy CTC, written out."""
    values = torch.from_numpy((waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7))[None]
    with torch.no_grad():
        best = model.eval()(values).logits[0].argmax(-1).tolist()
    kept = [one for index, one in enumerate(best) if one != 0 and (index == 0 or one != best[index - 1])]
    specials = {1, 2, 3}
    return " ".join("".join(SYMBOLS[one] for one in kept if one not in specials).replace("|", " ").split())


def test_a_folder_hears_what_its_model_says(folder: Path) -> None:
    named = load_recogniser(f"hf:{folder}")
    found = named.recognise(sounds())
    model = tiny()
    clean = [" ".join(str(one).replace("<s>", "").replace("</s>", "").replace("<unk>", "").split()) for one in found]
    assert clean == [expected(model, one) for one in sounds()]
    assert len(set(clean)) > 1 and any(clean), "the model must say something, or nothing is tested"
    assert len(named.details["weights_sha256"]) == 64 and named.details["model"] == "Wav2Vec2ForCTC"


def test_threads_and_company_change_nothing(folder: Path) -> None:
    alone = [load_recogniser(f"hf:{folder}").recognise([one])[0] for one in sounds()]
    assert list(load_recogniser(f"hf:{folder}", workers=3).recognise(sounds())) == alone


def test_what_is_too_short_fails_alone(folder: Path) -> None:
    found = attempt(load_recogniser(f"hf:{folder}").recognise, [sounds()[0], np.ones(4, dtype=np.float32)])
    assert isinstance(found[0], str) and isinstance(found[1], Failure)


@pytest.mark.parametrize("name", ["../no/such/folder", "", "a b", "https://huggingface.co/a/b"])
def test_what_is_neither_folder_nor_id_is_refused(name: str) -> None:
    with pytest.raises(NoisewiseError, match="must be a folder or the id"):
        load_recogniser(f"hf:{name}")


def test_a_folder_that_lacks_something_is_refused_offline(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NoisewiseError, match="cannot be loaded"):
        load_recogniser(f"hf:{tmp_path}")
    for name in ("config.json", "vocab.json", "tokenizer_config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(NoisewiseError, match="cannot be loaded"):
        load_recogniser(f"hf:{tmp_path}")
    torch.save(tiny().state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(NoisewiseError, match="cannot be loaded"):
        load_recogniser(f"hf:{tmp_path}")


def test_an_encoder_without_a_head_is_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    values = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, "architectures": ["Wav2Vec2Model"]}))
    with pytest.raises(NoisewiseError, match="must be a CTC model, but is Wav2Vec2Model"):
        load_recogniser(f"hf:{tmp_path}")
    transformers.Wav2Vec2Model(tiny().config).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(NoisewiseError, match="must have a trained head"):
        load_recogniser(f"hf:{tmp_path}")


def test_a_grid_through_the_command(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", "corpus", "--model", f"hf:{folder}", "--noise", "noise", "--snr", "0", "--workers", "2"]
    assert cli.main([*words, "-o", "grid.json"]) == 0
    values = json.loads((tmp_path / "grid.json").read_text())
    assert values["system"] == "hf:tiny" and len(values["cells"]) == 2 and values["clean"]["failures"] == 0
    assert str(tmp_path) not in json.dumps(values) and str(folder) not in json.dumps(values)
