"""What every encoder of the mini recipes says in bfloat16 is what it says in float32, but for rounding."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.config import load
from noisewise.models import build
from noisewise.recipe import Recipe

MINI = Path(__file__).parent.parent.parent / "recipes" / "mini"
RECIPES = ["wav2code/ew2", "wav2code/ctc", "box", "encoder_decoder", "cat/cat", "cat/tagging"]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("front_end", ["log_mel", "waveform"])
def test_bfloat16_is_float32_but_for_rounding(name: str, front_end: str) -> None:
    """Convolutions of some shapes are wrong in bfloat16 on some processors, and nothing but numbers tells."""
    torch.manual_seed(0)
    config: Any = load(Recipe, MINI / f"{name}.yaml").model
    if front_end == "waveform":
        if not hasattr(config.encoder, "front_end"):
            pytest.skip("has but one front end")
        config = replace(config, encoder=replace(config.encoder, front_end="waveform", channels=64))
    encoder: Any = build(replace(config, encoder=_shorter(config.encoder))).encoder  # type: ignore[union-attr]
    waveform = 3000 * torch.randn(2, 16000) * torch.rand(2, 100).repeat_interleave(160, dim=1)
    lengths = torch.tensor([16000, 12000])
    with torch.no_grad():
        encoder.eval()
        expected = _heard(encoder, waveform, lengths)
        with torch.autocast("cpu", torch.bfloat16):
            found = _heard(encoder, waveform, lengths)
    assert found.shape == expected.shape and expected.std() > 0
    assert (found.float() - expected).norm() < 0.06 * (expected - expected.mean(dim=1, keepdim=True)).norm()


def _shorter(encoder: Any) -> Any:
    """Two layers, so that little rounding adds up."""
    return replace(encoder, layers=2)


def _heard(encoder: Any, waveform: Tensor, lengths: Tensor) -> Tensor:
    output = encoder(waveform, lengths)
    return output.tokens[:1] if hasattr(output, "tokens") else output.features[:1]  # type: ignore[no-any-return]
