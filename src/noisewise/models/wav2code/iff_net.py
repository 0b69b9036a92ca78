"""IFF-Net, interactive feature fusion: fidelity from the noisy representation, quality from the restored one.

Hu et al., ICASSP 2022, over time alone as Wav2code uses it (Sec. II-D, Eq. 15 to 21), and the other rows of
Wav2code's Table VI. Legend, beside that of the project: D' width of the bottleneck, T valid frames of an utterance.

Padding stays out: keys of the temporal attention are masked, padded frames are zero before anything sums over
time, and lengths, not the padded size, scale the embedding attention. Where the authors' code has BatchNorm stands a
norm whose statistics depend on neither batch nor padding.
"""

from typing import Annotated, Literal, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.config import config, one_of
from noisewise.layers.attention import MultiHeadAttention, attend
from noisewise.layers.masking import mean_weights, valid_mask

LEAST_SCORE = 40.0
"""How far below the largest a score of Eq. 16 counts: e^-40 vanishes beside one in float32, and weights below e^-87
would be denormal numbers, which make the products several times slower on a CPU."""


@config
class IFFNetConfig:
    """Interactive fusion; the defaults count as Table VIII's total of about 104 M needs them to."""

    kind: Literal["iff"] = "iff"
    bottleneck: int = 128
    """Width D' between encoder and decoder (paper: 128; Table VI also 64)."""
    repeats: int = 4
    """Times N_rep that ResNet block, self-attention and interaction follow each other (paper: 4; Table VI also 2)."""
    bottleneck_kernel: int = 1
    """Kernel of the bottleneck's encoder and decoder, odd. Not specified by the paper; 1 is the authors' code's."""
    norm: Literal["time", "layer", "none"] = "time"
    """Norm after the convolutions of encoder, ResNet block and, with `norm_attention`, Eq. 17. Not specified by the
    paper; `time` is the BatchNorm of the authors' code, utterance by utterance."""
    activation: Literal["prelu", "gelu"] = "prelu"
    """Activation after that norm. Not specified by the paper; PReLU is the authors' code's."""
    norm_attention: bool = True
    """Whether norm and activation also follow the convolution of Eq. 17. Not specified by the paper; the authors' code
    has them."""
    embedding_softmax: Literal["summed", "last"] = "summed"
    """Axis that Eq. 16 normalises. Not specified by the paper; `summed` makes the weights of each sum add to one, as in
    the authors' code."""
    share_branches: bool = False
    """Whether both branches share one set of weights. Not specified by the paper; the authors' code has two."""
    share_interaction: bool = False
    """Whether Eq. 18 and 19 share one mask. Not specified by the paper; the authors' code has two."""
    merge_kernel: int = 1
    """Kernel of the convolution of Eq. 20, odd. Not specified by the paper; 1 fits its 104 M parameters."""
    merge_attention: Literal["none", "parameter_free", "projected"] = "parameter_free"
    """Self-attention of Eq. 20. Not specified by the paper; `parameter_free` is the form of Eq. 15."""
    merge_residual: bool = True
    """Whether the attention of Eq. 20 adds its input, as Eq. 15 and the authors' code do."""
    merge_heads: int = 8
    """Heads of the projected attention. Not specified by the paper; as the predictor."""
    merge_bias: float = 0.0
    """Bias before the sigmoid of Eq. 20 at the start of training; above zero begins on the noisy side. Not in the
    paper."""
    skip: bool = False
    """Whether each input is added to its decoder's output, which begins at zero: what passes the merge is as wide as
    the input, and at first it is the input. Not in the paper."""


@config
class ConcatFusionConfig:
    """Concatenation (Table VI, experiment 14)."""

    kind: Literal["concat"] = "concat"
    kernel: int = 1
    """Kernel of the convolution from 2D back to D, odd. Not specified by the paper; 1 mixes no frames."""


@config
class NoFusionConfig:
    """The restored representation alone (Table VI, experiment 13)."""

    kind: Literal["none"] = "none"


FusionConfig = Annotated[IFFNetConfig | ConcatFusionConfig | NoFusionConfig, one_of("kind")]


class Frames:
    """The valid frames of a batch in the forms that the layers below need, made once for all of them."""

    valid: Tensor | None
    """(B, F) bool, None when nothing is padding."""
    kept: Tensor | None
    """1 where valid, 0 elsewhere, None when nothing is padding. (B, F, 1)"""
    share: Tensor
    """`mean_weights` of the valid frames. (B, 1, F)"""
    root: Tensor
    """1 / sqrt(T) where valid, 0 elsewhere. (B, F, 1)"""

    def __init__(self, lengths: Tensor, size: int):
        """From the valid frames T of each utterance (B,) and the padded length."""
        valid = valid_mask(lengths, size)
        padded = not bool(valid.all())
        counts = lengths.clamp(min=1)[:, None].float()
        self.valid = valid if padded else None
        self.kept = valid.float().unsqueeze(-1) if padded else None
        self.share = mean_weights(valid).unsqueeze(1)
        self.root = (valid * counts.rsqrt()).unsqueeze(-1)

    def mean(self, features: Tensor) -> Tensor:
        """Mean over the valid frames, as one product, a dozen times in every pass. (B, F, D) float32 -> (B, 1, D)"""
        return self.share @ features

    def zeroed(self, features: Tensor) -> Tensor:
        """Zero past the lengths, whatever is there, not-a-number included. (B, F, D) -> (B, F, D)"""
        return features if self.valid is None else features.masked_fill(~self.valid.unsqueeze(-1), 0)


class TimeConvolution(nn.Conv1d):
    """Convolution over the frames of (B, F, D) that keeps their number and never sees what padding holds."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1):
        if kernel % 2 == 0:
            raise ValueError(f"`kernel` must be odd, but is {kernel} instead; take {kernel + 1}")
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, features: Tensor, frames: Frames) -> Tensor:  # type: ignore[override]
        """(B, F, inputs) -> (B, F, outputs)"""
        kernel = self.weight.size(-1)
        if kernel == 1:
            return F.linear(features, self.weight.squeeze(-1), self.bias)
        if frames.kept is not None:
            features = features * frames.kept.to(features.dtype)
        image = features.transpose(1, 2).unsqueeze(2)  # (B, inputs, 1, F): channels last, twice as fast as Conv1d
        mixed = F.conv2d(image, self.weight.unsqueeze(2), self.bias, padding=(0, kernel // 2))
        return mixed.squeeze(2).transpose(1, 2)


class TimeNorm(nn.Module):
    """Zero mean and unit variance for every channel over the valid frames of an utterance, then scale and shift.

    What BatchNorm does in training, without the other utterances, so the same in a batch of any kind.
    """

    def __init__(self, dim: int, epsilon: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.epsilon = epsilon

    def forward(self, features: Tensor, frames: Frames) -> Tensor:
        """(B, F, D) -> (B, F, D) float32"""
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            centred = features - frames.mean(features)
            variance = frames.mean(centred.square())  # (B, 1, D)
            return torch.addcmul(self.bias, centred, self.weight * (variance + self.epsilon).rsqrt())


def build_norm(kind: Literal["time", "layer", "none"], dim: int) -> nn.Module:
    """The norm that a configuration names."""
    match kind:
        case "time":
            return TimeNorm(dim)
        case "layer":
            return nn.LayerNorm(dim)
        case "none":
            return nn.Identity()
        case _:
            assert_never(kind)


class NormedConvolution(nn.Module):
    """Convolution, norm and activation, in this order as in the authors' code."""

    def __init__(self, config: IFFNetConfig, inputs: int, outputs: int, kernel: int = 1):
        super().__init__()
        self.convolution = TimeConvolution(inputs, outputs, kernel)
        self.norm = build_norm(config.norm, outputs)
        self.activation = nn.PReLU() if config.activation == "prelu" else nn.GELU()

    def forward(self, features: Tensor, frames: Frames) -> Tensor:
        """(B, F, inputs) -> (B, F, outputs)"""
        mixed = self.convolution(features, frames)
        normed = self.norm(mixed, frames) if isinstance(self.norm, TimeNorm) else self.norm(mixed)
        return self.activation(normed)


class ResNetBlock(nn.Module):
    """Local context: one convolution of kernel 3 and a residual (Sec. II-D)."""

    def __init__(self, config: IFFNetConfig):
        super().__init__()
        self.convolution = NormedConvolution(config, config.bottleneck, config.bottleneck, kernel=3)

    def forward(self, features: Tensor, frames: Frames) -> Tensor:
        """(B, F, D') -> H (B, F, D')"""
        return features + self.convolution(features, frames)


class SeparableSelfAttention(nn.Module):
    """Global context along time and along the embedding, without parameters but for what joins them."""

    convolution: NormedConvolution | TimeConvolution

    def __init__(self, config: IFFNetConfig):
        super().__init__()
        width = config.bottleneck
        if config.norm_attention:
            self.convolution = NormedConvolution(config, 3 * width, width)
        else:
            self.convolution = TimeConvolution(3 * width, width)
        self.axis = -2 if config.embedding_softmax == "summed" else -1

    def forward(self, features: Tensor, frames: Frames) -> Tensor:
        """S = Conv(H || H_temp || H_embd) (Eq. 17). (B, F, D') -> (B, F, D')"""
        temporal = temporal_attention(features, frames)
        embedding = embedding_attention(features, frames, self.axis)
        return self.convolution(torch.cat((features, temporal, embedding), dim=-1), frames)


class Interaction(nn.Module):
    """Each branch takes from the other what a mask lets through (Eq. 18 and 19)."""

    def __init__(self, config: IFFNetConfig):
        super().__init__()
        masks = 1 if config.share_interaction else 2
        self.convolution = TimeConvolution(2 * config.bottleneck, masks * config.bottleneck)  # both masks at once

    def forward(self, noisy: Tensor, restored: Tensor, frames: Frames) -> tuple[Tensor, Tensor]:
        """S_n and S_n^q -> both after the exchange, all (B, F, D')"""
        masks = self.convolution(torch.cat((noisy, restored), dim=-1), frames).sigmoid()
        masks = masks.split(noisy.size(-1), dim=-1)
        return noisy + masks[0] * restored, restored + masks[-1] * noisy


class InteractiveBlock(nn.Module):
    """What is repeated: ResNet block and self-attention for each branch, then their interaction."""

    def __init__(self, config: IFFNetConfig):
        super().__init__()
        branches = 1 if config.share_branches else 2
        self.resnet = nn.ModuleList(ResNetBlock(config) for _ in range(branches))
        self.attention = nn.ModuleList(SeparableSelfAttention(config) for _ in range(branches))
        self.interaction = Interaction(config)

    def forward(self, noisy: Tensor, restored: Tensor, frames: Frames) -> tuple[Tensor, Tensor]:
        """Bottleneck features of both branches -> the same, all (B, F, D')"""
        noisy = self.attention[0](self.resnet[0](noisy, frames), frames)
        restored = self.attention[-1](self.resnet[-1](restored, frames), frames)
        return self.interaction(noisy, restored, frames)


class Merge(nn.Module):
    """A gate for every element: fidelity where it is one, quality where it is zero (Eq. 20 and 21)."""

    def __init__(self, config: IFFNetConfig, dim: int):
        super().__init__()
        self.convolution = TimeConvolution(2 * dim, dim, config.merge_kernel)
        self.kind = config.merge_attention
        self.residual = config.merge_residual
        self.attention = MultiHeadAttention(dim, config.merge_heads) if self.kind == "projected" else None
        self.bias = nn.Parameter(torch.full((dim,), config.merge_bias))

    def gate(self, noisy: Tensor, restored: Tensor, frames: Frames) -> Tensor:
        """M = sigmoid(Self-Attention(Conv(Z_n || Z_n^q))) (Eq. 20). -> (B, F, D)"""
        joined = self.convolution(torch.cat((noisy, restored), dim=-1), frames)
        return (self._attended(joined, frames) + self.bias).sigmoid()

    def forward(self, noisy: Tensor, restored: Tensor, frames: Frames) -> Tensor:
        """Z_f = Z_n M + Z_n^q (1 - M) (Eq. 21). (B, F, D) twice -> (B, F, D)"""
        return restored + self.gate(noisy, restored, frames) * (noisy - restored)

    def _attended(self, joined: Tensor, frames: Frames) -> Tensor:
        if self.kind == "none":
            return joined
        if self.attention is None:
            return temporal_attention(joined, frames, residual=self.residual)
        attended: Tensor = self.attention(joined, frames.valid)
        return joined + attended if self.residual else attended


class IFFNet(nn.Module):
    """Bottleneck, interactive blocks, merge (Wav2code, Fig. 3)."""

    def __init__(self, config: IFFNetConfig, dim: int):
        super().__init__()
        self.skip = config.skip
        branches, width, kernel = 1 if config.share_branches else 2, config.bottleneck, config.bottleneck_kernel
        self.encoder = nn.ModuleList(NormedConvolution(config, dim, width, kernel) for _ in range(branches))
        self.blocks = nn.ModuleList(InteractiveBlock(config) for _ in range(config.repeats))
        self.decoder = nn.ModuleList(TimeConvolution(width, dim, kernel) for _ in range(branches))
        if config.skip:
            for weight in self.decoder.parameters():
                nn.init.zeros_(weight)
        self.merge = Merge(config, dim)

    def forward(self, noisy: Tensor, restored: Tensor, lengths: Tensor) -> Tensor:
        """Fuse two representations of the same speech.

        Args:
            noisy: Z_n, what the encoder makes of the noisy speech. (B, F, D)
            restored: Z_n^q, the codes predicted from it, looked up. (B, F, D)
            lengths: valid frames. (B,)

        Returns:
            Z_f (B, F, D), zero past the lengths.
        """
        frames = Frames(lengths, noisy.size(1))
        noisy, restored = frames.zeroed(noisy), frames.zeroed(restored)
        noisy_features, restored_features = self.encoder[0](noisy, frames), self.encoder[-1](restored, frames)
        for block in self.blocks:
            noisy_features, restored_features = block(noisy_features, restored_features, frames)  # (B, F, D')
        noisy_features = self.decoder[0](noisy_features, frames)  # (B, F, D)
        restored_features = self.decoder[-1](restored_features, frames)
        if self.skip:
            noisy_features, restored_features = noisy + noisy_features, restored + restored_features
        return frames.zeroed(self.merge(noisy_features, restored_features, frames))


class ConcatFusion(nn.Module):
    """Concatenation along the embedding, mapped back to the width of one."""

    def __init__(self, config: ConcatFusionConfig, dim: int):
        super().__init__()
        self.convolution = TimeConvolution(2 * dim, dim, config.kernel)

    def forward(self, noisy: Tensor, restored: Tensor, lengths: Tensor) -> Tensor:
        """(B, F, D) twice, (B,) -> (B, F, D), zero past the lengths"""
        frames = Frames(lengths, noisy.size(1))
        joined = torch.cat((frames.zeroed(noisy), frames.zeroed(restored)), dim=-1)
        return frames.zeroed(self.convolution(joined, frames))


class NoFusion(nn.Module):
    """The restored representation, without the noisy one."""

    def forward(self, noisy: Tensor, restored: Tensor, lengths: Tensor) -> Tensor:
        """(B, F, D) twice, (B,) -> (B, F, D), zero past the lengths"""
        return Frames(lengths, restored.size(1)).zeroed(restored)


def build_fusion(config: IFFNetConfig | ConcatFusionConfig | NoFusionConfig, dim: int) -> nn.Module:
    """The fusion that a configuration describes, for representations of width `dim`."""
    match config:
        case IFFNetConfig():
            return IFFNet(config, dim)
        case ConcatFusionConfig():
            return ConcatFusion(config, dim)
        case NoFusionConfig():
            return NoFusion()
        case _:
            assert_never(config)


def temporal_attention(features: Tensor, frames: Frames, *, residual: bool = True) -> Tensor:
    """H + Softmax(H H^T / sqrt(D')) H over the valid frames (Eq. 15), or without the first H. (B, F, D') -> same"""
    heads = features.unsqueeze(1)  # (B, 1, F, D')
    mask = None if frames.valid is None else frames.valid[:, None, None, :]
    attended = attend(heads, heads, heads, mask).squeeze(1)
    return features + attended if residual else attended


def embedding_attention(features: Tensor, frames: Frames, axis: int = -2) -> Tensor:
    """H + H Softmax(H^T H / sqrt(T)) over the T valid frames of each utterance (Eq. 16).

    Args:
        features: H. (B, F, D')
        frames: which frames are valid, and 1 / sqrt(T).
        axis: what sums to one: -2, the axis that H is summed over, or -1.

    Returns:
        (B, F, D')
    """
    scaled = features * frames.root.to(features.dtype)
    scores = (scaled.transpose(1, 2) @ features).float()  # (B, D', D')
    floor = scores.detach().amax(dim=axis, keepdim=True) - LEAST_SCORE
    weights = torch.maximum(scores, floor).softmax(dim=axis)
    return torch.baddbmm(features, features, weights.to(features.dtype))
