"""Patches of a spectrogram: cutting it, laying chosen patches back on their grid, embedding them.

Patches are numbered time-major: the bands of the first time come first. Work is done on a list of chosen patches
of many clips; `index` says where each lies in the flattened (B, T, M) grid.

Legend: B clips, T times and M bands of the grid, P = T * M patches of a clip, N chosen patches, p frames and bins of
a patch, s cells along a side of a patch at some stride, C channels, D width.
"""

import torch
from torch import Tensor, nn

Grid = tuple[int, int, int]
"""Clips, times and bands: (B, T, M)."""


def cut(features: Tensor, size: int) -> Tensor:
    """Cut spectrograms into square patches.

    Args:
        features: (B, F, bins), frames and bins multiples of `size`.
        size: frames and bins of a patch.

    Returns:
        (B, T, M, p, p), frames before bins in a patch as well.
    """
    batch, frames, bins = features.shape
    if frames % size or bins % size:
        raise ValueError(f"frames and bins must be multiples of {size}, but are {frames} and {bins} instead; pad them")
    return features.view(batch, frames // size, size, bins // size, size).transpose(2, 3)


def cell_index(index: Tensor, grid: Grid, side: int) -> Tensor:
    """Where the cells of patches lie in the flattened grid of cells, (B, T * s, M * s).

    Args:
        index: of the patches in the flattened grid. (N,)
        grid: the grid of patches.
        side: cells along a side of a patch (s).

    Returns:
        (N * s * s,), the cells of a patch one after the other, frames before bins.
    """
    bands = grid[2]
    steps = torch.arange(side, device=index.device)
    rows = (index // bands)[:, None, None] * side + steps[:, None]  # (N, s, 1)
    columns = (index % bands)[:, None, None] * side + steps  # (N, 1, s)
    return (rows * (bands * side) + columns).flatten()


def merge(cells: Tensor, factor: int) -> Tensor:
    """Gather squares of cells, as a convolution whose stride is its kernel sees them.

    (N, s, s, C) -> (N, s / f, s / f, f * f * C)
    """
    count, side, _, channels = cells.shape
    coarse = side // factor
    squares = cells.reshape(count, coarse, factor, coarse, factor, channels).transpose(2, 3)
    return squares.reshape(count, coarse, coarse, factor * factor * channels)


class PatchConvolution(nn.Linear):
    """A convolution whose stride is its kernel, so that no output sees beyond its own square of cells."""

    def __init__(self, inputs: int, outputs: int, factor: int):
        super().__init__(factor * factor * inputs, outputs)
        self.factor = factor

    def forward(self, cells: Tensor) -> Tensor:
        """(N, s, s, C) -> (N, s / f, s / f, C')"""
        return super().forward(merge(cells, self.factor))


class PatchEmbedding(nn.Module):
    """One linear map of every patch to a token: the stem without convolutions (EAT; ViT)."""

    def __init__(self, size: int, dim: int):
        super().__init__()
        self.size = size
        self.projection = PatchConvolution(1, dim, size)
        nn.init.xavier_uniform_(self.projection.weight)

    def forward(self, patches: Tensor, index: Tensor, grid: Grid) -> Tensor:
        """(N, p, p) -> (N, D); where the patches lie does not matter."""
        return self.projection(patches.unsqueeze(3)).flatten(1)
