"""Predictors of clean codes from noisy representations: a Transformer (Wav2code, Eq. 11), a CNN, the nearest entry."""

from typing import Annotated, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.config import config, one_of
from noisewise.layers.masking import zero_padding
from noisewise.layers.positions import sinusoids
from noisewise.layers.transformer import TransformerEncoder, TransformerLayer


@config
class TransformerPredictorConfig:
    """The code predictor of Sec. II-C."""

    kind: Literal["transformer"] = "transformer"
    layers: int = 4
    """Transformer blocks (M)."""
    dim: int = 256
    """Width of the blocks (D_p)."""
    heads: int = 8
    """Attention heads. Not specified by the paper; as CodeFormer."""
    feed_forward: int = 2048
    """Inner width of the feed-forward layers. Not specified by the paper; 2048 fits its parameter count."""
    dropout: float = 0.1
    """Dropout on residual branches. Not specified by the paper; as the encoder."""
    positions: Literal["none", "sinusoidal"] = "none"
    """Positions added to X_0. Not specified by the paper; its equations hold none."""


@config
class CNNPredictorConfig:
    """The two-layer CNN of Table IV, experiment 3."""

    kind: Literal["cnn"] = "cnn"
    dim: int = 256
    """Width of the convolutions."""
    kernel: int = 3
    """Kernel of the convolutions (odd). Not specified by the paper; 3 as in the ResNet block."""


@config
class NearestConfig:
    """Nearest-neighbour matching of noisy representations, Table IV, experiment 2: nothing is learned."""

    kind: Literal["nearest"] = "nearest"


PredictorConfig = Annotated[TransformerPredictorConfig | CNNPredictorConfig | NearestConfig, one_of("kind")]


class TransformerPredictor(nn.Module):
    """Project to D_p, M post-norm Transformer blocks (Eq. 11, 12), project to the codes."""

    def __init__(self, config: TransformerPredictorConfig, dim: int, codes: int):
        super().__init__()
        self.positions = config.positions
        self.input = nn.Linear(dim, config.dim)
        layer = (config.dim, config.heads, config.feed_forward)
        self.transformer = TransformerEncoder(
            [TransformerLayer(*layer, dropout=config.dropout) for _ in range(config.layers)]
        )
        self.output = nn.Linear(config.dim, codes)

    def forward(self, noisy: Tensor, lengths: Tensor) -> Tensor:
        """(B, F, D), (B,) -> logits over codes (B, F, N)"""
        features = self.input(noisy)  # X_0
        if self.positions == "sinusoidal":
            features = features + sinusoids(features.size(1), features.size(2)).to(features)
        return self.output(self.transformer(features, lengths))


class CNNPredictor(nn.Module):
    """Two convolutions over time, GELU between, then a projection to the codes."""

    def __init__(self, config: CNNPredictorConfig, dim: int, codes: int):
        super().__init__()
        padding = config.kernel // 2
        self.first = nn.Conv1d(dim, config.dim, config.kernel, padding=padding)
        self.second = nn.Conv1d(config.dim, config.dim, config.kernel, padding=padding)
        self.output = nn.Linear(config.dim, codes)

    def forward(self, noisy: Tensor, lengths: Tensor) -> Tensor:
        """(B, F, D), (B,) -> logits over codes (B, F, N)"""
        for convolution in (self.first, self.second):
            noisy = F.gelu(convolution(zero_padding(noisy, lengths).transpose(1, 2)).transpose(1, 2))
        return self.output(noisy)


def build_predictor(
    config: TransformerPredictorConfig | CNNPredictorConfig | NearestConfig, dim: int, codes: int
) -> TransformerPredictor | CNNPredictor | None:
    """The code predictor that a configuration describes; None for nearest-neighbour matching."""
    match config:
        case TransformerPredictorConfig():
            return TransformerPredictor(config, dim, codes)
        case CNNPredictorConfig():
            return CNNPredictor(config, dim, codes)
        case NearestConfig():
            return None
