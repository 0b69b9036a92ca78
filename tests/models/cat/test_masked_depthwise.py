"""The masked depth-wise convolution against PyTorch's over the dense grid, backward too."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from noisewise.models.cat import masked_depthwise as module
from noisewise.models.cat.masked_depthwise import MaskedDepthwiseBlock, masked_depthwise
from noisewise.models.cat.patch import cut

GRID, SIDE, CHANNELS = (2, 5, 3), 2, 3


def dense(image: Tensor, visible: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(B, H, W, C), (B, T, M) bool -> (B, H, W, C), all that masks hide set to zero first."""
    side = image.size(1) // visible.size(1)
    shown = visible.repeat_interleave(side, 1).repeat_interleave(side, 2).unsqueeze(3)
    mixed = F.conv2d((image * shown).permute(0, 3, 1, 2), weight, bias, padding=weight.size(2) // 2, groups=CHANNELS)
    return mixed.permute(0, 2, 3, 1)


def cells_of(image: Tensor, index: Tensor) -> Tensor:
    """(B, H, W, C) -> (N, s, s, C)"""
    each = [cut(image[..., channel], SIDE).flatten(0, 2)[index] for channel in range(image.size(3))]
    return torch.stack(each, dim=3)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("piece", [400_000, 200, 1])
def test_values_and_gradients_are_those_of_the_dense_grid(
    kernel: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", {"cpu": piece, "cuda": 1})
    torch.manual_seed(0)
    image = torch.randn(2, 10, 6, CHANNELS, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(CHANNELS, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(CHANNELS, dtype=torch.float64, requires_grad=True)
    visible = torch.rand(GRID) < 0.5
    index = visible.flatten().nonzero().squeeze(1)
    assert 8 < len(index) < 24
    sparse = masked_depthwise(cells_of(image, index), weight, bias, index, GRID)
    whole = cells_of(dense(image, visible, weight, bias), index)
    torch.testing.assert_close(sparse, whole)
    slopes = torch.randn_like(sparse)
    for ours, theirs in zip(
        torch.autograd.grad((sparse * slopes).sum(), (image, weight, bias)),
        torch.autograd.grad((whole * slopes).sum(), (image, weight, bias)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)  # the kernel's gradient is summed in float32


def test_gradients_are_those_of_differences() -> None:
    torch.manual_seed(0)
    index = torch.tensor([0, 1, 4, 11, 20])
    cells = torch.randn(5, SIDE, SIDE, CHANNELS, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(CHANNELS, 1, 3, 3, dtype=torch.float64)
    bias = torch.zeros(CHANNELS, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda each: masked_depthwise(each, weight, bias, index, GRID), cells)


def test_a_block_keeps_the_order_of_its_branches() -> None:
    torch.manual_seed(0)
    block = MaskedDepthwiseBlock(CHANNELS)
    cells, index = torch.randn(4, SIDE, SIDE, CHANNELS), torch.tensor([3, 5, 8, 20])
    entered = block.entrance(block.mixing_norm(cells))
    assert block.depthwise.bias is not None
    mixed = masked_depthwise(entered, block.depthwise.weight, block.depthwise.bias, index, GRID)
    middle = cells + block.exit(mixed)
    torch.testing.assert_close(block(cells, index, GRID), middle + block.feed_forward(block.feed_forward_norm(middle)))


def test_half_precision_under_autocast() -> None:
    torch.manual_seed(0)
    block = MaskedDepthwiseBlock(8)
    cells, index = torch.randn(4, SIDE, SIDE, 8), torch.tensor([3, 5, 8, 20])
    with torch.autocast("cpu", torch.bfloat16):
        low = block(cells, index, GRID)
    low.float().sum().backward()
    torch.testing.assert_close(low.float(), block(cells, index, GRID), atol=0.1, rtol=0.1)
    assert block.depthwise.weight.grad is not None and block.depthwise.weight.grad.dtype == torch.float32
