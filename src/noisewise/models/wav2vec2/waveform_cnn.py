"""The convolutional feature encoder of wav2vec 2.0: waveform to latent frames, blind to padding.

Legend: B utterances, T samples, F frames, C channels.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.layers.masking import masked_mean, masked_variance, valid_mask


class MaskedGroupNorm(nn.Module):
    """Normalise every channel over the valid time of its own utterance.

    `nn.GroupNorm(channels, channels)`, except that padding does not enter the statistics; there, zeros after
    an utterance change its mean and variance, and so every frame of it.
    """

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, lengths: Tensor, counted: Tensor | None = None) -> Tensor:
        """Normalise; the result is float32, as the statistics are.

        Args:
            features: (B, C, F).
            lengths: valid frames. (B,)
            counted: frames that statistics are taken from, some of the valid ones; all if left out. (B, F) bool

        Returns:
            (B, C, F). Frames of padding hold numbers without meaning.
        """
        features = features.float()
        frames = features.size(2)
        if bool((lengths >= frames).all()) and (counted is None or bool(counted.all())):
            return F.group_norm(features, self.weight.numel(), self.weight, self.bias, self.eps)
        valid = valid_mask(lengths, frames)
        if counted is not None:
            valid = torch.where(counted.any(dim=1, keepdim=True), counted, valid)
        valid = valid.unsqueeze(1)  # (B, 1, F)
        mean = masked_mean(features, valid, dim=2, keepdim=True)  # (B, C, 1)
        scale = self.weight[:, None] * (masked_variance(features, valid, dim=2) + self.eps).rsqrt()
        return (features - mean) * scale + self.bias[:, None]


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of every frame by itself (the large models)."""

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(B, C, F), (B,) -> (B, C, F)"""
        features = features.transpose(1, 2)
        return F.layer_norm(features, self.weight.shape, self.weight, self.bias, self.eps).transpose(1, 2)


class WaveformLayer(nn.Module):
    """Convolution without padding, a norm or none, GELU."""

    def __init__(self, inputs: int, channels: int, kernel: int, stride: int, norm: nn.Module | None, bias: bool):
        super().__init__()
        self.kernel = kernel
        self.stride = stride
        self.convolution = nn.Conv1d(inputs, channels, kernel, stride, bias=bias)
        self.norm = norm
        nn.init.kaiming_normal_(self.convolution.weight)

    def frames(self, lengths: Tensor) -> Tensor:
        """How many outputs rest on valid inputs alone. (B,) -> (B,)"""
        return ((lengths - self.kernel).div(self.stride, rounding_mode="floor") + 1).clamp(min=0)

    def counted(self, samples: Tensor) -> Tensor:
        """Outputs whose inputs count, all of them. (B, F_in) bool -> (B, F) bool"""
        return samples.unfold(1, self.kernel, self.stride).all(dim=2)

    def forward(self, features: Tensor, lengths: Tensor, counted: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, C_in, F_in), (B,), inputs that statistics over time are taken from (B, F_in) -> (B, C, F), (B,)"""
        features, lengths = self.convolution(features), self.frames(lengths)
        if counted is not None and isinstance(self.norm, MaskedGroupNorm):
            features = self.norm(features, lengths, self.counted(counted))
        elif self.norm is not None:
            features = self.norm(features, lengths)
        return _gelu(features), lengths


class WaveformCNN(nn.Module):
    """Seven convolutions (Baevski et al. 2020, Sec. 2): a frame sees 400 samples, the next starts 320 later.

    No convolution is padded, so a frame of an utterance never sees what follows the utterance; only a norm
    over time could, and `MaskedGroupNorm` does not.
    """

    def __init__(
        self,
        channels: int = 512,
        kernels: Sequence[int] = (10, 3, 3, 3, 3, 2, 2),
        strides: Sequence[int] = (5, 2, 2, 2, 2, 2, 2),
        *,
        norm: Literal["group", "layer"] = "group",
        bias: bool = False,
    ):
        """Build the layers.

        Args:
            channels: width of every layer.
            kernels: size of every convolution.
            strides: step of every convolution.
            norm: "group", over time after the first layer (base); "layer", over channels after each (large).
            bias: whether convolutions have one (large).
        """
        super().__init__()
        if len(kernels) != len(strides):
            raise ValueError(f"`strides` must be as many as `kernels`, {len(kernels)}, but are {len(strides)} instead")
        self.channels = channels
        self.layers = nn.ModuleList()
        self.hop, self.receptive_field = 1, 1
        for depth, (kernel, stride) in enumerate(zip(kernels, strides, strict=True)):
            layer_norm = _norm(norm, channels, depth)
            self.layers.append(WaveformLayer(channels if depth else 1, channels, kernel, stride, layer_norm, bias))
            self.receptive_field += (kernel - 1) * self.hop
            self.hop *= stride

    def frames(self, lengths: Tensor) -> Tensor:
        """How many frames waveforms give: 16 000 samples give 49, fewer than 400 none. (B,) -> (B,)"""
        for layer in self.layers:
            lengths = layer.frames(lengths)  # type: ignore[operator]
        return lengths

    def forward(self, waveform: Tensor, lengths: Tensor, counted: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode waveforms.

        Args:
            waveform: (B, T).
            lengths: valid samples. (B,)
            counted: samples that statistics over time are taken from, some of the valid ones; all if left out. (B, T)

        Returns:
            (B, F, C) and the valid frames (B,); at least one frame, which is padding where nothing is valid.
        """
        missing = max(0, self.receptive_field - waveform.size(1))
        features = F.pad(waveform, (0, missing)).unsqueeze(1)  # (B, 1, T)
        counted = None if counted is None else F.pad(counted, (0, missing))
        for depth, layer in enumerate(self.layers):
            features, lengths = layer(features, lengths, None if depth else counted)
        return features.transpose(1, 2), lengths


def _norm(kind: Literal["group", "layer"], channels: int, depth: int) -> nn.Module | None:
    if kind == "layer":
        return ChannelNorm(channels)
    return MaskedGroupNorm(channels) if depth == 0 else None


def _gelu(features: Tensor) -> Tensor:
    """GELU, in place where no gradient is wanted: the first layer gives 6.5 MB for a second of speech."""
    return F.gelu(features) if features.requires_grad else torch.ops.aten.gelu_(features)
