"""wav2vec 2.0: a convolutional encoder of the waveform and a Transformer over its frames.

Baevski, Zhou, Mohamed, Auli 2020, as fairseq trains it: Z = f(X), C = g(Z). Legend, beside that of the project:
C channels of the convolutions.
"""

from functools import partial
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from noisewise.config import TRAINING_ONLY, config
from noisewise.layers.masking import valid_mask, zero_padding
from noisewise.layers.span_masking import span_where
from noisewise.layers.transformer import TransformerEncoder, TransformerLayer
from noisewise.models.encoder import Encoder, EncoderOutput
from noisewise.models.wav2vec2.front_end import FrontEndConfig, WaveformFrontEnd, build_front_end, flat, from_flat
from noisewise.models.wav2vec2.positional_convolution import PositionalConvolution
from noisewise.models.wav2vec2.unpadded import unpadded_on_cpu


@config
class Wav2Vec2Config:
    """The wav2vec 2.0 encoder; the defaults are the base size."""

    kind: Literal["wav2vec2"] = "wav2vec2"
    front_end: FrontEndConfig = WaveformFrontEnd()
    """The feature encoder f."""
    dim: int = 768
    """Width of the Transformer."""
    layers: int = 12
    """Transformer layers."""
    heads: int = 12
    """Attention heads."""
    feed_forward: int = 3072
    """Inner width of the feed-forward layers."""
    convolution_kernel: int = 0
    """Kernel of a convolution module in each layer, as in the Conformer (odd); 0 is the paper's Transformer."""
    norm_first: bool = False
    """Whether a layer normalises its input (large models) or its output (base)."""
    position_kernel: int = 128
    """Taps of the positional convolution."""
    position_groups: int = 16
    """Groups of the positional convolution."""
    initial_std: Annotated[float | None, TRAINING_ONLY] = 0.02
    """Initial standard deviation of the Transformer's linear layers. 0.02 is BERT's, for inputs of 768; null is one
    over the square root of the inputs, with which narrower models learn sooner."""
    input_dropout: Annotated[float, TRAINING_ONLY] = 0.1
    """Dropout on the projected frames."""
    dropout: Annotated[float, TRAINING_ONLY] = 0.1
    """Dropout on residual branches and before the first layer."""
    attention_dropout: Annotated[float, TRAINING_ONLY] = 0.1
    """Dropout on attention weights."""
    activation_dropout: Annotated[float, TRAINING_ONLY] = 0.0
    """Dropout inside the feed-forward layers."""
    layer_drop: Annotated[float, TRAINING_ONLY] = 0.05
    """Chance of skipping a layer in training."""
    feature_grad_mult: Annotated[float, TRAINING_ONLY] = 0.1
    """Factor on the gradient that reaches the convolutions; 0 freezes them."""
    time_mask_probability: Annotated[float, TRAINING_ONLY] = 0.0
    """Frames replaced in training by the mask embedding, before overlaps (fine-tuning on 100 h: 0.65)."""
    time_mask_span: Annotated[int, TRAINING_ONLY] = 10
    """Frames in a time mask."""
    channel_mask_probability: Annotated[float, TRAINING_ONLY] = 0.0
    """Channels set to zero in training, before overlaps (fine-tuning on 100 h: 0.5)."""
    channel_mask_span: Annotated[int, TRAINING_ONLY] = 64
    """Channels in a channel mask."""

    @classmethod
    def migrated(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Values of configurations in which the front end had no fields of its own."""
        return from_flat(values)

    @classmethod
    def as_hashed(cls, differences: dict[str, Any]) -> dict[str, Any]:
        """Differences from the defaults in the spelling that kept records have hashed (see `recipe_hash`)."""
        return flat(differences)

    @property
    def normalise(self) -> bool:
        """Whether waveforms are brought to mean 0 and variance 1 first."""
        return isinstance(self.front_end, WaveformFrontEnd) and self.front_end.normalise

    def build(self) -> "Wav2Vec2Encoder":
        """The encoder, randomly initialised."""
        return Wav2Vec2Encoder(self)


class Wav2Vec2Encoder(Encoder):
    """Waveform to contextual features; neither padding nor the rest of the batch changes an utterance's."""

    def __init__(self, config: Wav2Vec2Config):
        super().__init__()
        self.config = config
        self.dim = config.dim
        self.cnn = build_front_end(config.front_end)
        self.hop = self.cnn.hop
        self.norm = nn.LayerNorm(config.front_end.channels)
        self.projection = nn.Linear(config.front_end.channels, config.dim)
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.mask_embedding = nn.Parameter(torch.rand(config.dim))
        self.position = PositionalConvolution(config.dim, config.position_kernel, config.position_groups)
        self.context_norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.transformer = TransformerEncoder(
            [_transformer_layer(config) for _ in range(config.layers)], layer_drop=config.layer_drop
        )
        self.transformer.apply(partial(_initialise, std=config.initial_std))
        if config.feature_grad_mult == 0:
            self.cnn.requires_grad_(False)

    def forward(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode waveforms.

        Args:
            waveform: (B, T) float32 at 16 kHz.
            lengths: valid samples. (B,)

        Returns:
            Features (B, F, D), zero past their lengths (B,).
        """
        latents, frames = self.latents(waveform, lengths)  # (B, F, C)
        features = self.contextualise(self.mask(self.project(latents), frames), frames)  # (B, F, D)
        return EncoderOutput(zero_padding(features, frames), frames)

    def latents(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames before any norm, and how many are valid: Z = f(X). (B, T), (B,) -> (B, F, C), (B,)

        Whatever gradient reaches f is multiplied by `feature_grad_mult`.
        """
        latents, frames = self.cnn(waveform, lengths)
        if latents.requires_grad and self.config.feature_grad_mult != 1:
            latents.register_hook(lambda gradient: gradient * self.config.feature_grad_mult)
        return latents, frames

    def project(self, latents: Tensor) -> Tensor:
        """To the Transformer's width, with dropout. (B, F, C) -> (B, F, D)"""
        return self.input_dropout(self.projection(self.norm(latents)))

    def mask(self, features: Tensor, frames: Tensor) -> Tensor:
        """In training, hide spans of frames behind the mask embedding, then zero spans of channels.

        (B, F, D), (B,) -> (B, F, D)
        """
        config = self.config
        if self.training and config.time_mask_probability > 0:
            where = span_where(frames, features.size(1), config.time_mask_probability, config.time_mask_span, least=2)
            features = torch.where(where.unsqueeze(-1), self.mask_embedding.to(features.dtype), features)
        if self.training and config.channel_mask_probability > 0:
            channels = torch.full_like(frames, self.dim)
            where = span_where(channels, self.dim, config.channel_mask_probability, config.channel_mask_span)
            features = features.masked_fill(where.unsqueeze(1), 0.0)
        return features

    @unpadded_on_cpu
    def contextualise(self, features: Tensor, frames: Tensor) -> Tensor:
        """Positions, then the Transformer: C = g(Z). (B, F, D), (B,) -> (B, F, D)"""
        full = bool((frames >= features.size(1)).all())
        features = features + self.position(features, None if full else valid_mask(frames, features.size(1)))
        if self.config.norm_first:
            return self.context_norm(self.transformer(self.dropout(features), frames))
        return self.transformer(self.dropout(self.context_norm(features)), frames)


def tiny() -> Wav2Vec2Config:
    """A size for tests and first trials."""
    return Wav2Vec2Config(
        front_end=WaveformFrontEnd(channels=32),
        dim=64,
        layers=2,
        heads=4,
        feed_forward=128,
        position_kernel=16,
        position_groups=4,
    )


def base() -> Wav2Vec2Config:
    """BASE of the paper: 94,371,712 parameters."""
    return Wav2Vec2Config()


def large() -> Wav2Vec2Config:
    """LARGE as trained on LibriVox: layer norms in the convolutions and before each sub-layer."""
    return Wav2Vec2Config(
        front_end=WaveformFrontEnd(bias=True, norm="layer", normalise=True),
        dim=1024,
        layers=24,
        heads=16,
        feed_forward=4096,
        norm_first=True,
        input_dropout=0.0,
        dropout=0.0,
        attention_dropout=0.0,
        layer_drop=0.0,
        feature_grad_mult=1.0,
    )


def _transformer_layer(config: Wav2Vec2Config) -> TransformerLayer:
    return TransformerLayer(
        config.dim,
        config.heads,
        config.feed_forward,
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        activation_dropout=config.activation_dropout,
        norm_first=config.norm_first,
        convolution_kernel=config.convolution_kernel,
    )


def _initialise(module: nn.Module, std: float | None) -> None:
    """The Transformer's linear maps start as BERT's do, or, without `std`, keep the variance of what they are given."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=module.in_features**-0.5 if std is None else std)
        nn.init.zeros_(module.bias)
