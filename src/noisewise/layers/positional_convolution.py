"""Relative positions by convolution, as in wav2vec 2.0."""

import math

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


class PositionalConvolution(nn.Module):
    """A wide grouped convolution whose output, added to the frames, tells them where they are.

    Baevski et al. 2020, Sec. 2; Mohamed et al. 2019. The weight is normalised tap by tap (weight norm).
    """

    def __init__(self, dim: int, kernel: int = 128, groups: int = 16):
        super().__init__()
        convolution = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=groups)
        nn.init.normal_(convolution.weight, std=math.sqrt(4 / (kernel * dim)))
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        self.convolution = weight_norm(convolution, dim=2)

    def forward(self, features: Tensor, valid: Tensor | None = None) -> Tensor:
        """Positions of frames.

        Args:
            features: (B, F, D).
            valid: frames that are not padding; the others count as zero. None when all are. (B, F) bool.

        Returns:
            (B, F, D), to be added to the features.
        """
        if valid is not None:
            features = features * valid.unsqueeze(-1).to(features.dtype)
        positions = self.convolution(features.transpose(1, 2))[
            :, :, : features.size(1)
        ]  # an even kernel gives one more
        return F.gelu(positions).transpose(1, 2)
