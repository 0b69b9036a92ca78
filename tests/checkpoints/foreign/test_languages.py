"""Models of many languages: the adapters, head and letters of one of them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from noisewise.checkpoints.foreign import huggingface_folder, read
from noisewise.errors import InteropError
from tests.checkpoints.foreign.conftest import LARGE, VOCABULARY, Maker
from tests.checkpoints.foreign.test_weight_files import WAVEFORM, State, agrees


def many_languages(folder: Path) -> dict[str, State]:
    """Make a model with adapters one of two languages, as MMS is published; the weights of both."""
    state = load_file(folder / "model.safetensors")
    own = {name: value for name, value in state.items() if "adapter_layer" in name or name.startswith("lm_head.")}
    weights = {"eng": own, "deu": {name: value + 0.1 * torch.randn_like(value) for name, value in own.items()}}
    for language, each in weights.items():
        save_file(each, folder / f"adapter.{language}.safetensors", metadata={"format": "pt"})
    other = {**VOCABULARY, "A": VOCABULARY["Z"], "Z": VOCABULARY["A"]}
    (folder / "vocab.json").write_text(json.dumps({"eng": VOCABULARY, "deu": other}))
    settings = {"tokenizer_class": "Wav2Vec2CTCTokenizer", "target_lang": "eng"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return weights


@pytest.mark.parametrize("language", [None, "eng", "deu"])
def test_adapters_of_languages(language: str | None, a_folder: Maker, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = a_folder(adapter_attn_dim=8, **LARGE)
    weights = many_languages(folder)
    checkpoint = read(folder, language=language)
    assert checkpoint.head is not None
    assert checkpoint.head.weight[0].equal(weights[language or "eng"]["lm_head.weight"][0])
    model = transformers.Wav2Vec2ForCTC.from_pretrained(folder).eval()
    model.load_adapter(language or "eng", local_files_only=True)
    huggingface_folder.write(tmp_path / "one", checkpoint)
    written = transformers.Wav2Vec2ForCTC.from_pretrained(tmp_path / "one").eval()
    with torch.inference_mode():
        waveform = torch.from_numpy(WAVEFORM)[None]
        torch.testing.assert_close(written(waveform).logits, model(waveform).logits)
    agrees(checkpoint, "ForCTC", "Wav2Vec2", tmp_path / "one")


def test_languages_that_are_not_there(a_folder: Maker) -> None:
    folder = a_folder(adapter_attn_dim=8, **LARGE)
    with pytest.raises(InteropError, match="leave language out"):
        read(folder, language="deu")
    many_languages(folder)
    with pytest.raises(InteropError, match="`language` must be one of deu, eng, but is 'xyz'"):
        read(folder, language="xyz")
    (folder / "adapter.deu.safetensors").unlink()
    with pytest.raises(InteropError, match=r"adapter\.deu\.safetensors` must be there"):
        read(folder, language="deu")
