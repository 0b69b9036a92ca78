from typing import Any

import pytest
import torch

from noisewise.models.wav2vec2 import waveform_matmul
from noisewise.models.wav2vec2.waveform_cnn import WaveformCNN

SHAPES: list[dict[str, Any]] = [
    {},
    {"norm": "layer", "bias": True},
    {"bias": True},
    {"kernels": (9, 5, 4, 3), "strides": (4, 2, 3, 1)},
    {"kernels": (2, 2), "strides": (2, 2), "norm": "layer"},
]


def a_cnn(**shape: Any) -> WaveformCNN:
    torch.manual_seed(0)
    cnn = WaveformCNN(channels=16, **shape)
    with torch.no_grad():
        for name, value in cnn.named_parameters():
            if "norm" in name or "bias" in name:
                value.add_(torch.randn_like(value) * 0.3)
    return cnn.requires_grad_(False)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_agrees_with_the_convolutions(shape: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waveform_matmul, "PIECE", 7)  # several pieces, the last one short
    cnn = a_cnn(**shape)
    waveform = torch.randn(3, 9_000) * 0.1 + 0.5
    lengths = torch.tensor([9_000, 6_543, 401])
    for row, length in enumerate(lengths.tolist()):
        waveform[row, length:] = 9.0
    expected, expected_frames = cnn(waveform, lengths)
    output, frames = waveform_matmul.latents(cnn, waveform, lengths)
    assert frames.equal(expected_frames)
    assert output.shape == expected.shape
    for row, count in enumerate(frames.tolist()):
        torch.testing.assert_close(output[row, :count], expected[row, :count], atol=2e-5, rtol=1e-4)
        assert output[row, count:].abs().sum() == 0


def test_an_utterance_is_the_same_bit_for_bit_in_any_batch() -> None:
    cnn = a_cnn()
    waveform, lengths = torch.randn(4, 8_000), torch.tensor([8_000, 5_000, 3_000, 8_000])
    together, frames = waveform_matmul.latents(cnn, waveform, lengths)
    for row, (samples, count) in enumerate(zip(lengths.tolist(), frames.tolist(), strict=True)):
        alone, _ = waveform_matmul.latents(cnn, waveform[row : row + 1, :samples], lengths[row : row + 1])
        assert alone[0].equal(together[row, :count])


def test_silence_and_too_short_waveforms_stay_finite() -> None:
    cnn = a_cnn()
    output, frames = waveform_matmul.latents(cnn, torch.zeros(2, 300), torch.tensor([300, 0]))
    assert output.shape == (2, 1, 16)
    assert frames.tolist() == [0, 0]
    silent, _ = waveform_matmul.latents(cnn, torch.zeros(1, 800), torch.tensor([800]))
    torch.testing.assert_close(silent, cnn(torch.zeros(1, 800), torch.tensor([800]))[0])


def test_suits_only_float32_without_gradient() -> None:
    cnn, waveform = a_cnn(), torch.randn(1, 800)
    assert waveform_matmul.suits(cnn, waveform)  # frozen: no gradient is wanted
    assert not waveform_matmul.suits(cnn, waveform.clone().requires_grad_())
    assert not waveform_matmul.suits(cnn.bfloat16(), waveform)
    cnn = a_cnn().requires_grad_(True)
    assert not waveform_matmul.suits(cnn, waveform)
    with torch.inference_mode():
        assert waveform_matmul.suits(cnn, waveform)
        with torch.autocast("cpu", torch.bfloat16):
            assert not waveform_matmul.suits(cnn, waveform)
