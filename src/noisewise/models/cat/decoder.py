"""The convolutional decoder of CAT, EAT and data2vec 2.0 for images: a grid with holes in, predictions out.

Legend: B clips, T times, M bands, D width.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class PatchDecoder(nn.Module):
    """Grouped convolutions over the grid, each with LayerNorm, GELU and a residual; then a linear map."""

    def __init__(self, dim: int, layers: int = 6, kernel: int = 3, groups: int = 16):
        super().__init__()
        if kernel % 2 == 0 or dim % groups:
            raise ValueError(
                f"`kernel` must be odd and `dim` a multiple of `groups`, but are {kernel}, {dim} and {groups} instead"
            )
        self.dim = dim
        self.convolutions = nn.ModuleList(
            nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=groups) for _ in range(layers)
        )
        self.projection = nn.Linear(dim, dim)

    def forward(self, grid: Tensor, index: Tensor, valid: Tensor | None = None) -> Tensor:
        """Predict the features of chosen patches.

        Args:
            grid: tokens where visible, noise where hidden. (B, T, M, D)
            index: of the patches to predict in the flattened grid. (N,)
            valid: patches that are not padding, None for all; padding counts as zero. (B, T, M) bool.

        Returns:
            (N, D).
        """
        for convolution in self.convolutions:
            if valid is not None:
                grid = grid * valid.unsqueeze(3).to(grid.dtype)
            mixed = convolution(grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            grid = grid + F.gelu(F.layer_norm(mixed, (self.dim,)))
        return self.projection(grid.flatten(0, 2)[index])
