"""Speech encoder of J&M: log-mel spectrogram or MFCC, a CNN that shortens it, a Transformer over the rest.

Legend: B utterances, T samples, F frames, D width.
"""

import math
from dataclasses import replace
from typing import Annotated, Literal

from torch import Tensor, nn

from noisewise.audio.augment import SpecAugment
from noisewise.audio.features import MFCC, LogMel, normalise_utterance
from noisewise.audio.silence import counted_frames
from noisewise.config import TRAINING_ONLY, config
from noisewise.errors import ConfigError
from noisewise.layers.convolution import MelSubsampling
from noisewise.layers.masking import zero_padding
from noisewise.layers.positions import sinusoids
from noisewise.layers.transformer import TransformerEncoder, TransformerLayer
from noisewise.models.encoder import Encoder, EncoderOutput


@config
class SpecAugmentConfig:
    """Masks over the log-mel spectrogram in training (Park et al. 2019)."""

    frequency_masks: int = 2
    """Masks along frequency."""
    frequency_width: int = 20
    """Widest frequency mask, in mel bins."""
    time_masks: int = 4
    """Masks along time."""
    time_width: int = 25
    """Widest time mask, in 10 ms frames."""
    time_fraction: float = 0.15
    """Widest time mask as a fraction of the utterance."""


@config
class LogMelTransformerConfig:
    """Log-mel CNN plus Transformer."""

    kind: Literal["logmel_transformer"] = "logmel_transformer"
    features: Literal["log_mel", "mfcc"] = "log_mel"
    """Features of a frame: log-mel energies, or the first of their cepstral coefficients."""
    bins: int = 80
    """Mel channels."""
    coefficients: int = 13
    """Cepstral coefficients that MFCC keep, the energy included."""
    strides: tuple[int, ...] = (2, 2)
    """Strides of the subsampling convolutions; [2, 1] gives 20 ms frames, [2, 2] 40 ms."""
    dim: int = 256
    """Width of the Transformer."""
    layers: int = 8
    """Transformer layers."""
    heads: int = 4
    """Attention heads."""
    feed_forward: int = 1024
    """Inner width of the feed-forward layers."""
    convolution_kernel: int = 15
    """Kernel of the convolution module in each layer (odd); 0 leaves a plain Transformer."""
    dropout: Annotated[float, TRAINING_ONLY] = 0.1
    """Dropout on residual branches."""
    attention_dropout: Annotated[float, TRAINING_ONLY] = 0.1
    """Dropout on attention weights."""
    layer_drop: Annotated[float, TRAINING_ONLY] = 0.0
    """Chance of skipping a layer in training."""
    spec_augment: Annotated[SpecAugmentConfig | None, TRAINING_ONLY] = SpecAugmentConfig()
    """Spectrogram masking in training; null for none."""

    def build(self) -> "LogMelTransformer":
        """The encoder, randomly initialised."""
        return LogMelTransformer(self)


class LogMelTransformer(Encoder):
    """Encoder of Figure 15.5: feature computation, subsampling, Transformer with fixed positions."""

    def __init__(self, config: LogMelTransformerConfig):
        super().__init__()
        self.dim = config.dim
        self.features = build_features(config)
        self.hop = 160 * math.prod(config.strides)
        masks = config.spec_augment
        self.spec_augment = None if masks is None else SpecAugment(**vars(_masks(masks, config.features)))
        self.subsampling = MelSubsampling(self.features.dim, config.dim, config.strides)
        self.projection = nn.Linear(config.dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.transformer = TransformerEncoder(
            [
                TransformerLayer(
                    config.dim,
                    config.heads,
                    config.feed_forward,
                    dropout=config.dropout,
                    attention_dropout=config.attention_dropout,
                    norm_first=True,
                    convolution_kernel=config.convolution_kernel,
                )
                for _ in range(config.layers)
            ],
            layer_drop=config.layer_drop,
            final_norm=config.dim,
        )

    def forward(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """(B, T), (B,) -> features (B, F, D) and their lengths; every utterance is normalised by itself, by what
        sounds in it (`noisewise.audio.silence`)."""
        features, frames = self.features(waveform, lengths)  # (B, F_mel, bins or coefficients)
        features = normalise_utterance(features, frames, counted_frames(waveform, lengths))
        if self.spec_augment is not None:
            features = self.spec_augment(features, frames)
        features, frames = self.subsampling(features, frames)  # (B, F, D)
        features = self.projection(features)
        features = features + sinusoids(features.size(1), self.dim).to(features)
        features = self.transformer(self.dropout(features), frames)
        return EncoderOutput(zero_padding(features, frames), frames)


def build_features(config: LogMelTransformerConfig) -> LogMel:
    """The front end that a configuration names; the rest of the encoder is the same for both.

    Raises:
        ConfigError: more coefficients are asked for than there are mel channels.
    """
    if config.features == "log_mel":
        return LogMel(bins=config.bins)
    if not 1 <= config.coefficients <= config.bins:
        raise ConfigError(
            f"`coefficients` must be 1 to `bins` ({config.bins}), but is {config.coefficients} instead; keep fewer"
        )
    return MFCC(config.coefficients, config.bins)


def _masks(masks: SpecAugmentConfig, features: str) -> SpecAugmentConfig:
    """Bands of frequency can be hidden in log-mel alone: every coefficient is a sum over all frequencies."""
    return masks if features == "log_mel" else replace(masks, frequency_masks=0)


def tiny() -> LogMelTransformerConfig:
    """A size for tests and first trials."""
    return LogMelTransformerConfig(dim=64, layers=2, heads=2, feed_forward=128, convolution_kernel=7)


def small() -> LogMelTransformerConfig:
    """The model in the box: 4.6 M parameters."""
    return LogMelTransformerConfig(dim=192, feed_forward=768, attention_dropout=0.0)
