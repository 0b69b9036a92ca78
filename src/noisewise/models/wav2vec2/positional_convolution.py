"""Relative positions by convolution, as in wav2vec 2.0."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

NARROW = 16
"""Channels of a group below which convolutions in bfloat16 are not to be trusted on a CPU."""


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
        positions = self._convolved(features.transpose(1, 2))
        return F.gelu(positions[:, :, : features.size(1)]).transpose(1, 2)  # an even kernel gives one more

    def _convolved(self, features: Tensor) -> Tensor:
        """(B, D, F) -> (B, D, F or F + 1)

        In float32 where the processor's kernel for bfloat16 is wrong: on processors with AMX, oneDNN in PyTorch 2.13
        gives other numbers altogether for groups of 2 to 15 channels (pytorch issues 163347 and 169688 are alike).
        """
        convolution = self.convolution
        if features.device.type != "cpu" or convolution.in_channels // convolution.groups >= NARROW:
            return convolution(features)
        weight, bias = convolution.weight.float(), convolution.bias.float()
        with torch.autocast("cpu", enabled=False):
            return F.conv1d(features.float(), weight, bias, padding=convolution.padding, groups=convolution.groups)
