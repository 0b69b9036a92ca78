"""What every encoder of the mini recipes says in bfloat16 is what it says in float32, but for rounding."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from noisewise.config import load
from noisewise.models import build
from noisewise.models.wav2vec2.front_end import WaveformFrontEnd
from noisewise.recipe import Recipe

MINI = Path(__file__).parent.parent.parent / "recipes" / "mini"
RECIPES = ["wav2code/ew2", "wav2code/ctc", "an4", "encoder_decoder", "cat/cat", "cat/tagging"]
WAVEFORM = {"front_end": WaveformFrontEnd(channels=64)}
"""As recipes/mini/wav2code_waveform has it."""


@pytest.mark.parametrize(
    ("name", "values"), [*((name, {}) for name in RECIPES), ("wav2code/ew2", WAVEFORM), ("wav2code/ctc", WAVEFORM)]
)
def test_bfloat16_is_float32_but_for_rounding(name: str, values: dict[str, Any]) -> None:
    """Convolutions of some shapes are wrong in bfloat16 on some processors, and nothing but numbers tells."""
    torch.manual_seed(0)
    config: Any = load(Recipe, MINI / f"{name}.yaml").model
    config = replace(config, encoder=replace(config.encoder, layers=2, **values))  # little rounding adds up
    encoder: Any = build(config).encoder
    waveform = 0.1 * torch.randn(2, 16000) * torch.rand(2, 100).repeat_interleave(160, dim=1)
    lengths = torch.tensor([16000, 12000])
    with torch.no_grad():
        encoder.eval()
        expected = _heard(encoder, waveform, lengths)
        with torch.autocast("cpu", torch.bfloat16):
            found = _heard(encoder, waveform, lengths)
    assert found.shape == expected.shape and expected.std() > 0
    assert (found.float() - expected).norm() < 0.06 * (expected - expected.mean(dim=1, keepdim=True)).norm()


def _heard(encoder: Any, waveform: Tensor, lengths: Tensor) -> Tensor:
    output = encoder(waveform, lengths)
    return output.tokens[:1] if hasattr(output, "tokens") else output.features[:1]
