"""IFF-Net, interactive feature fusion: take fidelity from what was heard and quality from what was restored.

Hu et al., ICASSP 2022, over time alone as Wav2code uses it (Sec. II-D, Eq. 15 to 21), and the other rows of
Wav2code's Table VI. Legend: B utterances, F frames, D width, D' width of the bottleneck.

Padding stays out: keys of the temporal attention are masked, padded frames are zero before anything sums over
time, and lengths, not the padded size, scale the embedding attention. Where the public code has BatchNorm stands a
norm whose statistics know neither batch nor padding.
"""

from typing import Annotated, Literal, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.config import config, one_of
from noisewise.layers.attention import MultiHeadAttention
from noisewise.layers.masking import valid_mask

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
    """Kernel of the bottleneck's encoder and decoder, odd. Open: the paper says CNN; 1 is the public code's."""
    norm: Literal["time", "layer", "none"] = "time"
    """Norm after the convolutions of encoder, ResNet block and, with `norm_attention`, Eq. 17. Open. The public
    code has BatchNorm; `time` takes each channel's statistics over time like it, but utterance by utterance. With
    `layer` the frames of an utterance grow alike from repeat to repeat, as parameter-free attention averages."""
    activation: Literal["prelu", "gelu"] = "prelu"
    """Activation after that norm. Open; PReLU is the public code's."""
    norm_attention: bool = True
    """Whether norm and activation also follow the convolution of Eq. 17. Open: the equation shows none, the public
    code has them; without, features grow at every repeat until the softmaxes of Eq. 15 and 16 are one-hot. With
    norm `layer`, rather without."""
    embedding_softmax: Literal["summed", "last"] = "summed"
    """Axis that Eq. 16 normalises. Open: `summed`, so that the weights of each sum add to one as in Eq. 15 and in
    the public code; `last` is the formula letter by letter in code."""
    share_branches: bool = False
    """One set of weights for both branches. Open; apart in the public code."""
    share_interaction: bool = False
    """One mask in Eq. 18 and 19, which write the same Conv. Open; two in the public code."""
    merge_kernel: int = 1
    """Kernel of the convolution of Eq. 20, odd. Open: 1 fits the 104 M, the public code has 3."""
    merge_attention: Literal["none", "parameter_free", "projected"] = "parameter_free"
    """Self-attention of Eq. 20. Open: in the form of Eq. 15 as everywhere else, or with query, key and value maps."""
    merge_residual: bool = True
    """Whether that attention adds its input, as Eq. 15 and the public code do; without, the gate hardly changes
    over time at first."""
    merge_heads: int = 8
    """Heads of the projected attention. Open."""
    merge_bias: float = 0.0
    """What is added before the sigmoid of Eq. 20 at the start of training; above zero begins on the noisy side.
    Not in the paper."""
    skip: bool = False
    """Whether each input is added to its decoder's output, so that what passes the merge is as wide as the input.
    Not in the paper."""


@config
class ConcatFusionConfig:
    """Concatenation (Table VI, experiment 14)."""

    kind: Literal["concat"] = "concat"
    kernel: int = 1
    """Kernel of the convolution from 2D back to D, odd. Open, as is whether the paper has one."""


@config
class NoFusionConfig:
    """The restored representation alone (Table VI, experiment 13)."""

    kind: Literal["none"] = "none"


FusionConfig = Annotated[IFFNetConfig | ConcatFusionConfig | NoFusionConfig, one_of("kind")]


class TimeConvolution(nn.Conv1d):
    """Convolution over the frames of (B, F, D) that keeps their number and never sees what padding holds."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1):
        if kernel % 2 == 0:
            raise ValueError(f"`kernel` must be odd, but is {kernel} instead; take {kernel + 1}")
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, features: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, F, inputs), (B, F) bool or None -> (B, F, outputs)"""
        if self.weight.size(-1) == 1:
            return F.linear(features, self.weight.squeeze(-1), self.bias)
        return super().forward(zeroed(features, valid).transpose(1, 2)).transpose(1, 2)


class TimeNorm(nn.Module):
    """Zero mean and unit variance for every channel over the valid frames of an utterance, then scale and shift.

    What BatchNorm does in training, without the other utterances, so the same in a batch of any kind.
    """

    def __init__(self, dim: int, epsilon: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.epsilon = epsilon

    def forward(self, features: Tensor, lengths: Tensor, valid: Tensor | None) -> Tensor:
        """(B, F, D), (B,), (B, F) bool or None -> (B, F, D)"""
        share = lengths.clamp(min=1).reciprocal()[:, None, None]
        features = features.float()
        mean = zeroed(features, valid).sum(dim=1, keepdim=True) * share
        centred = zeroed(features - mean, valid)
        variance = centred.square().sum(dim=1, keepdim=True) * share
        return torch.addcmul(self.bias, centred, self.weight * (variance + self.epsilon).rsqrt())


class NormedConvolution(nn.Module):
    """Convolution, norm and activation, as every convolution of the public code is followed up."""

    def __init__(self, config: IFFNetConfig, inputs: int, outputs: int, kernel: int = 1, *, plain: bool = False):
        """Build the layers; `plain` leaves the convolution alone."""
        super().__init__()
        self.convolution = TimeConvolution(inputs, outputs, kernel)
        self.norm = nn.Identity() if plain else build_norm(config.norm, outputs)
        self.activation = nn.Identity() if plain else nn.PReLU() if config.activation == "prelu" else nn.GELU()

    def forward(self, features: Tensor, lengths: Tensor, valid: Tensor | None) -> Tensor:
        """(B, F, inputs), (B,), (B, F) bool or None -> (B, F, outputs)"""
        mixed = self.convolution(features, valid)
        normed = self.norm(mixed, lengths, valid) if isinstance(self.norm, TimeNorm) else self.norm(mixed)
        return self.activation(normed)  # type: ignore[no-any-return]


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


class ResNetBlock(nn.Module):
    """Local context: one convolution of kernel 3 and a residual (Sec. II-D)."""

    def __init__(self, config: IFFNetConfig):
        super().__init__()
        self.convolution = NormedConvolution(config, config.bottleneck, config.bottleneck, kernel=3)

    def forward(self, features: Tensor, lengths: Tensor, valid: Tensor | None) -> Tensor:
        """(B, F, D'), (B,), (B, F) bool or None -> H (B, F, D'), zero where not valid"""
        return zeroed(features + self.convolution(features, lengths, valid), valid)


class SeparableSelfAttention(nn.Module):
    """Global context along time and along the embedding, without parameters but for what joins them."""

    def __init__(self, config: IFFNetConfig):
        super().__init__()
        width = config.bottleneck
        self.convolution = NormedConvolution(config, 3 * width, width, plain=not config.norm_attention)
        self.axis = -2 if config.embedding_softmax == "summed" else -1

    def forward(self, features: Tensor, lengths: Tensor, valid: Tensor | None) -> Tensor:
        """S = Conv(H || H_temp || H_embd) (Eq. 17).

        Args:
            features: H, zero where not valid. (B, F, D')
            lengths: valid frames. (B,)
            valid: (B, F) bool, None when nothing is padding.

        Returns:
            (B, F, D')
        """
        temporal = temporal_attention(features, valid)
        embedding = embedding_attention(features, lengths, self.axis)
        joined = torch.cat((features, temporal, embedding), dim=-1)  # (B, F, 3 D')
        return self.convolution(joined, lengths, valid)  # type: ignore[no-any-return]


class Interaction(nn.Module):
    """Each branch takes from the other what a mask lets through (Eq. 18 and 19)."""

    def __init__(self, config: IFFNetConfig):
        super().__init__()
        masks = 1 if config.share_interaction else 2
        self.convolution = TimeConvolution(2 * config.bottleneck, masks * config.bottleneck)  # both masks at once

    def forward(self, noisy: Tensor, restored: Tensor) -> tuple[Tensor, Tensor]:
        """S_n and S_n^q -> both after the exchange, all (B, F, D')"""
        masks = self.convolution(torch.cat((noisy, restored), dim=-1)).sigmoid().split(noisy.size(-1), dim=-1)
        return torch.addcmul(noisy, masks[0], restored), torch.addcmul(restored, masks[-1], noisy)


class InteractiveBlock(nn.Module):
    """What is repeated: ResNet block and self-attention for each branch, then their interaction."""

    def __init__(self, config: IFFNetConfig):
        super().__init__()
        branches = 1 if config.share_branches else 2
        self.resnet = nn.ModuleList(ResNetBlock(config) for _ in range(branches))
        self.attention = nn.ModuleList(SeparableSelfAttention(config) for _ in range(branches))
        self.interaction = Interaction(config)

    def forward(self, noisy: Tensor, restored: Tensor, lengths: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Bottleneck features of both branches -> the same, all (B, F, D')"""
        noisy = self.attention[0](self.resnet[0](noisy, lengths, valid), lengths, valid)
        restored = self.attention[-1](self.resnet[-1](restored, lengths, valid), lengths, valid)
        return self.interaction(noisy, restored)  # type: ignore[no-any-return]


class Merge(nn.Module):
    """A gate for every element: fidelity where it is one, quality where it is zero (Eq. 20 and 21)."""

    def __init__(self, config: IFFNetConfig, dim: int):
        super().__init__()
        self.convolution = TimeConvolution(2 * dim, dim, config.merge_kernel)
        self.kind = config.merge_attention
        self.residual = config.merge_residual
        self.attention = MultiHeadAttention(dim, config.merge_heads) if self.kind == "projected" else None
        self.bias = nn.Parameter(torch.full((dim,), config.merge_bias))

    def gate(self, noisy: Tensor, restored: Tensor, valid: Tensor | None) -> Tensor:
        """M = sigmoid(Self-Attention(Conv(Z_n || Z_n^q))) (Eq. 20). -> (B, F, D)"""
        joined = self.convolution(torch.cat((noisy, restored), dim=-1), valid)
        return (self._attended(joined, valid) + self.bias).sigmoid()

    def forward(self, noisy: Tensor, restored: Tensor, valid: Tensor | None) -> Tensor:
        """Z_f = Z_n M + Z_n^q (1 - M) (Eq. 21). (B, F, D) twice, (B, F) bool or None -> (B, F, D)"""
        return restored + self.gate(noisy, restored, valid) * (noisy - restored)

    def _attended(self, joined: Tensor, valid: Tensor | None) -> Tensor:
        if self.kind == "none":
            return joined
        if self.attention is None:
            return temporal_attention(joined, valid, residual=self.residual)
        attended: Tensor = self.attention(joined, valid)
        return joined + attended if self.residual else attended


class IFFNet(nn.Module):
    """Bottleneck, interactive blocks, merge (Wav2code, Fig. 3)."""

    def __init__(self, config: IFFNetConfig, dim: int):
        super().__init__()
        self.skip = config.skip
        branches, kernel = 1 if config.share_branches else 2, config.bottleneck_kernel
        self.encoder = nn.ModuleList(NormedConvolution(config, dim, config.bottleneck, kernel) for _ in range(branches))
        self.blocks = nn.ModuleList(InteractiveBlock(config) for _ in range(config.repeats))
        self.decoder = nn.ModuleList(TimeConvolution(config.bottleneck, dim, kernel) for _ in range(branches))
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
        valid = padded_mask(lengths, noisy.size(1))
        heard, said = zeroed(noisy, valid), zeroed(restored, valid)
        below, above = self.encoder[0](heard, lengths, valid), self.encoder[-1](said, lengths, valid)  # (B, F, D')
        for block in self.blocks:
            below, above = block(below, above, lengths, valid)
        below, above = self.decoder[0](below, valid), self.decoder[-1](above, valid)  # (B, F, D)
        if self.skip:
            below, above = heard + below, said + above
        return zeroed(self.merge(below, above, valid), valid)


class ConcatFusion(nn.Module):
    """Concatenation along the embedding, mapped back to the width of one."""

    def __init__(self, config: ConcatFusionConfig, dim: int):
        super().__init__()
        self.convolution = TimeConvolution(2 * dim, dim, config.kernel)

    def forward(self, noisy: Tensor, restored: Tensor, lengths: Tensor) -> Tensor:
        """(B, F, D) twice, (B,) -> (B, F, D), zero past the lengths"""
        valid = padded_mask(lengths, noisy.size(1))
        return zeroed(self.convolution(torch.cat((noisy, restored), dim=-1), valid), valid)


class NoFusion(nn.Module):
    """What was restored, and nothing of what was heard."""

    def forward(self, noisy: Tensor, restored: Tensor, lengths: Tensor) -> Tensor:
        """(B, F, D) twice, (B,) -> (B, F, D), zero past the lengths"""
        return zeroed(restored, padded_mask(lengths, restored.size(1)))


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


def temporal_attention(features: Tensor, valid: Tensor | None, *, residual: bool = True) -> Tensor:
    """H + Softmax(H H^T / sqrt(D')) H over the valid frames (Eq. 15), or without the first H. (B, F, D') -> same"""
    heads = features.unsqueeze(1)  # (B, 1, F, D')
    mask = None if valid is None else valid[:, None, None, :]
    attended = F.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask).squeeze(1)
    return features + attended if residual else attended


def embedding_attention(features: Tensor, lengths: Tensor, axis: int = -2) -> Tensor:
    """H + H Softmax(H^T H / sqrt(T)), T the valid frames of each utterance (Eq. 16).

    Args:
        features: H, zero where not valid. (B, F, D')
        lengths: (B,)
        axis: what sums to one: -2, the axis that H is summed over, or -1.

    Returns:
        (B, F, D')
    """
    scale = lengths.clamp(min=1).rsqrt()[:, None, None].to(features.dtype)
    scores = ((features * scale).transpose(1, 2) @ features).float()  # (B, D', D')
    floor = scores.detach().amax(dim=axis, keepdim=True) - LEAST_SCORE
    weights = torch.maximum(scores, floor).softmax(dim=axis)
    return torch.baddbmm(features, features, weights.to(features.dtype))


def padded_mask(lengths: Tensor, frames: int) -> Tensor | None:
    """Valid frames (B, F) bool, or None when nothing is padding."""
    return None if bool((lengths >= frames).all()) else valid_mask(lengths, frames)


def zeroed(features: Tensor, valid: Tensor | None) -> Tensor:
    """Zero where not valid, whatever is there, not-a-number included. (B, F, D), (B, F) bool or None -> (B, F, D)"""
    return features if valid is None else features.masked_fill(~valid.unsqueeze(-1), 0)
