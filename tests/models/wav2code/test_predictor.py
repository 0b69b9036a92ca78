"""The code predictors of Wav2code: Eq. 11 and 12 in a few plain lines."""

import math
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.models.wav2code.predictor import (
    CNNPredictor,
    CNNPredictorConfig,
    TransformerPredictor,
    TransformerPredictorConfig,
)
from tests.models.wav2code.small import PREDICTOR


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def plain_layer(layer: Any, x: Tensor) -> Tensor:
    """Eq. 11 and 12 for one utterance, head after head. (F, D) -> (F, D)"""

    def norm(values: Tensor, by: nn.LayerNorm) -> Tensor:
        centred = values - values.mean(dim=1, keepdim=True)
        return centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt() * by.weight + by.bias

    def linear(values: Tensor, by: nn.Linear) -> Tensor:
        return values @ by.weight.T + by.bias

    attention, width = layer.attention, x.size(1) // layer.attention.heads
    query, key, value = (
        linear(x, each).split(width, dim=1) for each in (attention.query, attention.key, attention.value)
    )
    heads = [torch.softmax(q @ k.T / math.sqrt(width), dim=1) @ v for q, k, v in zip(query, key, value, strict=True)]
    h = norm(x + linear(torch.cat(heads, dim=1), attention.output), layer.attention_norm)  # Eq. 11
    inner = linear(h, layer.feed_forward.inner)
    inner = inner * (1 + torch.erf(inner / math.sqrt(2))) / 2  # GELU
    return norm(h + linear(inner, layer.feed_forward.outer), layer.feed_forward_norm)  # Eq. 12


def test_equations_11_and_12_in_plain_code() -> None:
    predictor = TransformerPredictor(PREDICTOR, dim=24, codes=9).eval()
    with torch.no_grad():
        for value in predictor.parameters():
            value.add_(torch.randn_like(value) * 0.2)
    noisy, lengths = torch.randn(2, 12, 24), torch.tensor([12, 7])
    logits = predictor(noisy, lengths)
    for row, count in enumerate(lengths.tolist()):
        x = noisy[row, :count] @ predictor.input.weight.T + predictor.input.bias  # X_0 = Project(Z_n)
        for layer in predictor.transformer.layers:
            x = plain_layer(layer, x)
        expected = x @ predictor.output.weight.T + predictor.output.bias
        torch.testing.assert_close(logits[row, :count], expected, atol=1e-4, rtol=1e-4)


def test_positions_make_the_predictor_tell_frames_apart() -> None:
    noisy, lengths = torch.randn(1, 1, 24).expand(1, 5, 24), torch.tensor([5])
    cases: tuple[tuple[Literal["none", "sinusoidal"], bool], ...] = (("none", True), ("sinusoidal", False))
    for positions, alike in cases:
        config = TransformerPredictorConfig(layers=1, dim=16, heads=4, feed_forward=24, positions=positions)
        logits = TransformerPredictor(config, 24, 9).eval()(noisy, lengths)
        assert torch.allclose(logits[0, 0], logits[0, 4], atol=1e-5) == alike


def test_the_convolutional_predictor_in_plain_code() -> None:
    predictor = CNNPredictor(CNNPredictorConfig(dim=12, kernel=3), dim=24, codes=9)
    noisy = torch.randn(2, 12, 24)
    logits = predictor(noisy, torch.tensor([12, 7]))
    x = noisy[1, :7]
    for convolution in (predictor.first, predictor.second):
        padded = torch.cat((torch.zeros(1, x.size(1)), x, torch.zeros(1, x.size(1))))
        rows: list[Any] = [sum(padded[t + k] @ convolution.weight[:, :, k].T for k in range(3)) for t in range(7)]
        x = F.gelu(torch.stack(rows) + convolution.bias)
    torch.testing.assert_close(logits[1, :7], predictor.output(x), atol=1e-5, rtol=1e-4)
