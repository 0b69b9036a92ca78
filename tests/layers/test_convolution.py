"""Subsampling and the convolution module: lengths, padding, and a plain re-computation."""

import pytest
import torch
import torch.nn.functional as F

from noisewise.layers.convolution import ConvolutionModule, MelSubsampling


@pytest.mark.parametrize("strides", [(2, 2), (2, 1), (1, 1)])
def test_lengths_are_those_of_the_convolution(strides: tuple[int, ...]) -> None:
    subsampling = MelSubsampling(4, 8, strides)
    for frames in range(1, 12):
        features, lengths = subsampling(torch.randn(1, frames, 4), torch.tensor([frames]))
        assert features.size(1) == int(lengths)


def test_subsampling_does_not_see_padding() -> None:
    torch.manual_seed(0)
    subsampling = MelSubsampling(4, 8)
    features = torch.randn(2, 13, 4)
    features[1, 7:] = 50.0  # garbage behind the end
    together, lengths = subsampling(features, torch.tensor([13, 7]))
    alone, _ = subsampling(features[1:, :7], torch.tensor([7]))
    assert lengths.tolist() == [4, 2]
    torch.testing.assert_close(together[1, :2], alone[0])
    assert together[1, 2:].abs().max() == 0


def test_convolution_module_is_its_equations() -> None:
    torch.manual_seed(0)
    module = ConvolutionModule(6, 3)
    features = torch.randn(1, 5, 6)
    left, right = module.gate(features).chunk(2, dim=-1)
    gated = F.pad(left * torch.sigmoid(right), (0, 0, 1, 1))
    kernel = module.depthwise.weight[:, 0]  # (D, K)
    mixed = sum(gated[:, k : k + 5] * kernel[:, k] for k in range(3)) + module.depthwise.bias
    normed = module.norm(mixed)
    torch.testing.assert_close(module(features), module.output(normed * torch.sigmoid(normed)))


def test_convolution_module_does_not_see_padding() -> None:
    torch.manual_seed(0)
    module = ConvolutionModule(6, 5)
    features = torch.randn(1, 8, 6)
    valid = torch.tensor([[True] * 5 + [False] * 3])
    torch.testing.assert_close(module(features, valid)[:, :5], module(features[:, :5]))
    assert not torch.allclose(module(features)[:, :5], module(features[:, :5]))


def test_even_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="must be odd, but is 4 instead; take 5"):
        ConvolutionModule(6, 4)
