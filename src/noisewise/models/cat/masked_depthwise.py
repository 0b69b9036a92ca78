"""Depth-wise convolution among chosen patches alone: the others count as zero and cost next to nothing.

Legend: B clips, T times and M bands of the grid of patches, N chosen patches, s cells along a side of a patch,
C channels, K taps along a side of the kernel.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from noisewise.layers.transformer import FeedForward
from noisewise.models.cat.patch import Grid, cell_index

PIECE = {"cpu": 400_000, "cuda": 8_000_000}
"""Numbers of patches and their surroundings that are held at a time for the gradient of the kernel: on a CPU what its
cache holds, which is twice as fast; elsewhere as much as keeps it busy."""


class MaskedDepthwiseBlock(nn.Module):
    """Two residual branches over cells: a masked depth-wise convolution and a feed-forward (CAT; ConvMAE).

    x = x + W2 depthwise(m * W1 LN(x)), then x = x + feed_forward(LN(x)); m is 1 at chosen patches. Only the
    depth-wise convolution looks past its own cell, and what it meets at other patches is zero: so computing chosen
    cells alone gives exactly what the dense grid gives there.
    """

    def __init__(self, channels: int, kernel: int = 5, expansion: int = 4):
        super().__init__()
        self.mixing_norm = nn.LayerNorm(channels)
        self.entrance = nn.Linear(channels, channels)
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.exit = nn.Linear(channels, channels)
        self.feed_forward_norm = nn.LayerNorm(channels)
        self.feed_forward = FeedForward(channels, expansion * channels)

    def forward(self, cells: Tensor, index: Tensor, grid: Grid) -> Tensor:
        """Mix the cells of chosen patches.

        Args:
            cells: (N, s, s, C).
            index: of the patches in the flattened grid. (N,)
            grid: the grid of patches.

        Returns:
            (N, s, s, C).
        """
        entered = self.entrance(self.mixing_norm(cells))
        weight, bias = self.depthwise.weight.to(entered.dtype), self.depthwise.bias.to(entered.dtype)  # type: ignore[union-attr]
        cells = cells + self.exit(masked_depthwise(entered, weight, bias, index, grid))
        return cells + self.feed_forward(self.feed_forward_norm(cells))


def masked_depthwise(cells: Tensor, weight: Tensor, bias: Tensor, index: Tensor, grid: Grid) -> Tensor:
    """Convolve the cells of chosen patches, each channel by itself; cells of other patches are zero.

    Args:
        cells: (N, s, s, C).
        weight: (C, 1, K, K), K odd.
        bias: (C,)
        index: of the patches in the flattened grid, no patch twice. (N,)
        grid: the grid of patches.

    Returns:
        (N, s, s, C).
    """
    mixed: Tensor = _MaskedDepthwise.apply(cells, weight, index, grid)  # type: ignore[no-untyped-call]
    return mixed + bias


class _MaskedDepthwise(torch.autograd.Function):
    """Only chosen cells are kept for the backward pass, and the kernel's gradient is summed over them alone."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, weight: Tensor, index: Tensor, grid: Grid) -> Tensor:
        ctx.save_for_backward(cells, weight, index)
        ctx.grid = grid
        return _convolved(cells, weight, index, grid)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        cells, weight, index = ctx.saved_tensors
        of_cells = of_weight = None
        if ctx.needs_input_grad[0]:
            of_cells = _convolved(gradient, weight.flip(2, 3), index, ctx.grid)
        if ctx.needs_input_grad[1]:
            of_weight = _weight_gradient(cells, gradient, index, ctx.grid, weight.size(2)).to(weight.dtype)
        return of_cells, of_weight, None, None


def _convolved(cells: Tensor, weight: Tensor, index: Tensor, grid: Grid) -> Tensor:
    """(N, s, s, C) -> (N, s, s, C), over the whole grid, which is cheap for a depth-wise kernel."""
    side, channels = cells.shape[1], cells.shape[3]
    places = cell_index(index, grid, side)
    image = _laid(cells, places, (grid[0], grid[1] * side, grid[2] * side)).permute(0, 3, 1, 2)
    mixed = F.conv2d(image, weight, padding=weight.size(2) // 2, groups=channels)
    return mixed.permute(0, 2, 3, 1).reshape(-1, channels)[places].view(cells.shape)


def _laid(cells: Tensor, places: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Lay cells on a grid of zeros. (N, s, s, C), (N * s * s,) -> (*shape, C)"""
    laid = cells.new_zeros(shape[0] * shape[1] * shape[2], cells.size(3))
    return laid.index_copy_(0, places, cells.reshape(-1, cells.size(3))).view(*shape, -1)


def _weight_gradient(cells: Tensor, gradient: Tensor, index: Tensor, grid: Grid, taps: int) -> Tensor:
    """Sum over chosen cells of the gradient times what each tap saw. -> (C, 1, K, K) float32"""
    side, channels, edge = cells.shape[1], cells.shape[3], taps // 2
    clips, height, width = grid[0], grid[1] * side + 2 * edge, grid[2] * side + 2 * edge
    places = cell_index(index, grid, side)  # of an image without edges
    rows, columns = places // (grid[2] * side), places % (grid[2] * side)
    clip, rows = rows // (grid[1] * side), rows % (grid[1] * side)
    framed = (clip * height + rows + edge) * width + columns + edge
    image = _laid(cells, framed, (clips, height, width)).flatten(0, 2)
    steps = torch.arange(side + 2 * edge, device=cells.device)
    window = steps[:, None] * width + steps  # (s + K - 1, s + K - 1), from the corner of the window
    corners = framed.view(-1, side * side)[:, 0] - edge * (width + 1)  # (N,)
    total = torch.zeros(taps, taps, channels, device=cells.device)
    piece = max(1, PIECE.get(cells.device.type, PIECE["cuda"]) // (window.numel() * channels))
    for corner, part in zip(torch.split(corners, piece), torch.split(gradient, piece), strict=True):
        seen = image[corner[:, None, None] + window].float()  # (n, s + K - 1, s + K - 1, C)
        slopes = part.float()
        product = torch.empty_like(slopes)
        for down in range(taps):
            for across in range(taps):
                torch.mul(seen[:, down : down + side, across : across + side], slopes, out=product)
                total[down, across] += product.flatten(0, 2).sum(dim=0)
    return total.permute(2, 0, 1).unsqueeze(1)
