"""Small models of transformers, randomly initialised, as folders."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

LETTERS = "ETAONIHSRDLUMWCFGYPBVK'XJQZ"
VOCABULARY = {name: index for index, name in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *LETTERS])}
SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "conv_dim": [32] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
LARGE: dict[str, Any] = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}

Maker = Callable[..., Path]


@pytest.fixture
def a_folder(tmp_path: Path) -> Maker:
    """Writes a model of transformers and the files beside it; `kind` is the end of its class's name."""
    transformers = pytest.importorskip("transformers")

    def make(
        kind: str = "ForCTC",
        *,
        family: str = "Wav2Vec2",
        vocabulary: dict[str, int] | None = None,
        tokenizer: dict[str, Any] | None = None,
        normalise: bool = True,
        name: str = "reference",
        max_shard_size: str = "5GB",
        **shape: Any,
    ) -> Path:
        torch.manual_seed(4)
        vocabulary = VOCABULARY if vocabulary is None else vocabulary
        config = getattr(transformers, f"{family}Config")(
            **{**SMALL, "vocab_size": len(vocabulary), "pad_token_id": vocabulary.get("<pad>", 0), **shape}
        )
        model = getattr(transformers, f"{family}{kind}")(config).eval()
        with torch.no_grad():
            for value in model.parameters():
                value.add_(torch.randn_like(value) * 0.1)
        folder = tmp_path / name
        model.save_pretrained(folder, max_shard_size=max_shard_size)
        extractor = {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "sampling_rate": 16_000,
            "padding_value": 0.0,
        }
        extractor |= {"do_normalize": normalise, "feature_size": 1, "return_attention_mask": False}
        (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
        if kind == "ForCTC":
            settings = {"tokenizer_class": "Wav2Vec2CTCTokenizer", **(tokenizer or {})}
            (folder / "tokenizer_config.json").write_text(json.dumps(settings))
            (folder / "vocab.json").write_text(json.dumps(vocabulary))
        return folder

    return make
