"""Small Whispers of transformers, randomly initialised, as folders; and where real ones are."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

SMALL: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 40,
    "vocab_size": 64,
    "max_target_positions": 20,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "decoder_start_token_id": 2,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}

Maker = Callable[..., Path]


@pytest.fixture
def a_whisper(tmp_path: Path) -> Maker:
    """Writes a Whisper of transformers; `kind` is the end of its class's name, or `Encoder`."""
    transformers = pytest.importorskip("transformers")

    def make(kind: str = "ForConditionalGeneration", *, name: str = "whisper", **shape: Any) -> Path:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            config = transformers.WhisperConfig(**{**SMALL, **shape})
            whole = kind == "Encoder"
            model = getattr(transformers, "WhisperModel" if whole else f"Whisper{kind}")(config).eval()
            with torch.no_grad():
                for value in model.parameters():
                    value.add_(torch.randn_like(value) * 0.1)
        folder = tmp_path / name
        (model.encoder if whole else model).save_pretrained(folder)
        values = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**values, "model_type": "whisper"}))
        return folder

    return make


@pytest.fixture(params=["tiny.en", "base"])
def a_real_whisper(request: pytest.FixtureRequest) -> Path:
    """The folder of a real Whisper of transformers; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("NOISEWISE_WHISPER", "")) / str(request.param)
    if not os.environ.get("NOISEWISE_WHISPER") or not (folder / "model.safetensors").is_file():
        pytest.skip("NOISEWISE_WHISPER must name a folder with those of openai/whisper-tiny.en and -base in it")
    return folder
