"""A Whisper of the smallest size, of noisewise and of transformers, with the same random weights."""

from functools import cache
from typing import Any

import torch

from noisewise.models.whisper import weights
from noisewise.models.whisper.decoder import WhisperDecoderConfig
from noisewise.models.whisper.encoder import WhisperEncoderConfig
from noisewise.models.whisper.whisper import Whisper, WhisperConfig

TOKENS = 350
"""A few more than the tokenizer has: times."""


@cache
def theirs() -> Any:
    """The model of transformers."""
    from transformers import WhisperConfig as Values
    from transformers import WhisperForConditionalGeneration

    sizes: dict[str, Any] = {
        "d_model": 16,
        **{f"{part}_layers": 2 for part in ("encoder", "decoder")},
        **{f"{part}_attention_heads": 2 for part in ("encoder", "decoder")},
        **{f"{part}_ffn_dim": 32 for part in ("encoder", "decoder")},
        "vocab_size": TOKENS,
        "max_target_positions": 40,
        "init_std": 0.3,
    }
    steering: dict[str, Any] = {name: 330 for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = WhisperForConditionalGeneration(Values(**sizes, **steering, decoder_start_token_id=331))
    return model.eval()


def ours(**changes: Any) -> Whisper:
    """The model of noisewise with the same weights."""
    config = WhisperConfig(
        encoder=WhisperEncoderConfig(dim=16, layers=2, heads=2, feed_forward=32),
        decoder=WhisperDecoderConfig(layers=2, heads=2, feed_forward=32, tokens=TOKENS, positions=40),
        **{"vocabulary": 0, **changes},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = Whisper(config).eval()
    state = {name: value for name, value in theirs().state_dict().items() if name != "proj_out.weight"}
    model.fill(weights.from_transformers(state, ("encoder", "decoder")), "transformers")
    return model


def speech(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three utterances of noise with noise in their padding too. (3, T), (3,)"""
    return torch.randn(3, 24_000, generator=torch.Generator().manual_seed(seed)) * 0.1, torch.tensor(
        [24_000, 7_000, 16_000]
    )
