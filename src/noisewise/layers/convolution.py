"""Convolutions over time: the log-mel subsampling front-end and the Transformer's convolution module."""

import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.layers.masking import zero_padding


def halved(lengths: Tensor, kernel: int = 3, stride: int = 2) -> Tensor:
    """Length after a convolution padded by `kernel // 2` on both sides. (B,) -> (B,)"""
    return (lengths + 2 * (kernel // 2) - kernel).div(stride, rounding_mode="floor") + 1


class MelSubsampling(nn.Module):
    """Convolutions of kernel 3 over log-mel frames that shorten the sequence (Jurafsky & Martin, Speech
    and Language Processing, 3rd ed. draft, Fig. 15.3 and 15.4).

    The first maps every mel bin to a channel; each stride of 2 halves the frame rate. Padding is zeroed before
    every convolution, so that it never reaches a valid frame.
    """

    def __init__(self, bins: int, dim: int, strides: tuple[int, ...] = (2, 2)):
        super().__init__()
        self.strides = strides
        inputs = (bins, *([dim] * (len(strides) - 1)))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size, dim, 3, stride, padding=1) for size, stride in zip(inputs, strides, strict=True)
        )

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F, bins), (B,) -> (B, F', dim), (B,), F' shorter by the product of the strides."""
        for convolution, stride in zip(self.convolutions, self.strides, strict=True):
            features = convolution(zero_padding(features, lengths).transpose(1, 2)).transpose(1, 2)
            features = F.gelu(features)
            lengths = halved(lengths, stride=stride)
        return zero_padding(features, lengths), lengths


class ConvolutionModule(nn.Module):
    """Gated point-wise, depth-wise, point-wise convolution (Gulati et al. 2020, Figure 2).

    LayerNorm stands where the paper has BatchNorm: its statistics know neither batch nor padding.
    """

    def __init__(self, dim: int, kernel: int, dropout: float = 0.0):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"`kernel` must be odd, but is {kernel} instead; take {kernel + 1}")
        self.gate = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.output = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, F, D), (B, F) bool or None -> (B, F, D)"""
        gated = F.glu(self.gate(features), dim=-1)
        if valid is not None:
            gated = gated * valid.unsqueeze(-1).to(gated.dtype)
        mixed = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        return self.dropout(self.output(F.silu(self.norm(mixed))))
