"""Folders of small transformers models with random weights, as `save_pretrained` writes them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SPEECH = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
Write = Callable[[str], Path]


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """A folder by the name of its family, written once a session."""
    folders: dict[str, Path] = {}

    def written(family: str) -> Path:
        if family not in folders:
            folders[family] = tmp_path_factory.mktemp("models") / f"tiny-{family}"
            _save(folders[family], *_made(family))
        return folders[family]

    return written


def _save(folder: Path, model: Any, extractor: Any) -> None:
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)


def _made(family: str) -> tuple[Any, Any]:
    import torch

    transformers: Any = pytest.importorskip("transformers")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        match family:
            case "ast":
                config = transformers.ASTConfig(
                    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, max_length=204
                )
                return transformers.ASTModel(config), transformers.ASTFeatureExtractor(max_length=204)
            case "clap" | "clap-fused":
                return _clap(transformers, fused=family == "clap-fused")
            case "whisper":
                config = transformers.WhisperConfig(
                    d_model=32,
                    encoder_layers=2,
                    decoder_layers=1,
                    encoder_attention_heads=2,
                    decoder_attention_heads=2,
                    encoder_ffn_dim=48,
                    decoder_ffn_dim=48,
                    max_source_positions=100,
                    vocab_size=64,
                    pad_token_id=0,
                    bos_token_id=1,
                    eos_token_id=2,
                    decoder_start_token_id=1,
                )
                return transformers.WhisperModel(config), transformers.WhisperFeatureExtractor(chunk_length=2)
            case "wav2vec2-bert":
                config = transformers.Wav2Vec2BertConfig(
                    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48
                )
                return transformers.Wav2Vec2BertModel(config), transformers.SeamlessM4TFeatureExtractor(feature_size=80)
            case "wav2vec2-ctc":
                return _speech(transformers, "Wav2Vec2", "ForCTC", vocab_size=12)
        names = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM", "data2vec": "Data2VecAudio"}
        return _speech(transformers, names[family], "Model")


def _speech(transformers: Any, name: str, kind: str, **more: Any) -> tuple[Any, Any]:
    positions = {"conv_pos_kernel_size": 5} if name == "Data2VecAudio" else {}
    model = getattr(transformers, f"{name}{kind}")(getattr(transformers, f"{name}Config")(**SPEECH | positions | more))
    return model, transformers.Wav2Vec2FeatureExtractor(do_normalize=name != "Hubert", return_attention_mask=False)


def _clap(transformers: Any, *, fused: bool) -> tuple[Any, Any]:
    audio = {
        "patch_embeds_hidden_size": 16,
        "hidden_size": 32,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "num_hidden_layers": 2,
        "projection_dim": 24,
        "enable_fusion": fused,
        "fusion_type": "aff_2d" if fused else None,
    }
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.ClapConfig(
        text_config=text | {"vocab_size": 32, "projection_dim": 24}, audio_config=audio, projection_dim=24
    )
    extractor = transformers.ClapFeatureExtractor(truncation="fusion" if fused else "rand_trunc")
    return transformers.ClapModel(config), extractor
