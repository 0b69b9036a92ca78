"""wav2vec 2.0: a convolutional encoder of the waveform and a Transformer over its frames.

Baevski, Zhou, Mohamed, Auli 2020, as fairseq trains it. Legend: B utterances, T samples, F frames, C channels
of the convolutions, D width of the Transformer.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from noisewise.audio.features import LogMel, normalise_utterance
from noisewise.config import config
from noisewise.layers.convolution import MelSubsampling
from noisewise.layers.masking import normalised_over, valid_mask, zero_padding
from noisewise.layers.span_masking import span_where
from noisewise.layers.transformer import TransformerEncoder, TransformerLayer
from noisewise.models.encoder import EncoderOutput
from noisewise.models.wav2vec2 import waveform_matmul
from noisewise.models.wav2vec2.positional_convolution import PositionalConvolution
from noisewise.models.wav2vec2.waveform_cnn import WaveformCNN


@config
class Wav2Vec2Config:
    """The wav2vec 2.0 encoder; the defaults are the base size."""

    kind: Literal["wav2vec2"] = "wav2vec2"
    front_end: Literal["waveform", "log_mel"] = "waveform"
    """The feature encoder f: the paper's convolutions over the waveform, or two over a log-mel spectrogram at the
    same 20 ms a frame, for a fraction of the cost (then `kernels`, `strides` and what follows to `normalise` have
    no meaning)."""
    bins: int = 80
    """Mel channels of the log-mel front end."""
    channels: int = 512
    """Width of the convolutions."""
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    """Kernels of the convolutions."""
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    """Strides of the convolutions."""
    convolution_bias: bool = False
    """Whether the convolutions have a bias."""
    convolution_norm: Literal["group", "layer"] = "group"
    """"group": over time, after the first convolution; "layer": over channels, after each."""
    normalise: bool = False
    """Whether waveforms are brought to mean 0 and variance 1 first (layer-norm models were trained so)."""
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
    initial_std: float | None = 0.02
    """Standard deviation of the Transformer's linear maps at the start. 0.02 is BERT's, for inputs of 768; narrower
    models start sooner with null: one over the square root of the inputs."""
    input_dropout: float = 0.1
    """Dropout on the projected frames."""
    dropout: float = 0.1
    """Dropout on residual branches and before the first layer."""
    attention_dropout: float = 0.1
    """Dropout on attention weights."""
    activation_dropout: float = 0.0
    """Dropout inside the feed-forward layers."""
    layer_drop: float = 0.05
    """Chance of skipping a layer in training."""
    feature_grad_mult: float = 0.1
    """Factor on the gradient that reaches the convolutions; 0 freezes them."""
    time_mask_probability: float = 0.0
    """Frames replaced in training by the mask embedding, before overlaps (fine-tuning on 100 h: 0.65)."""
    time_mask_span: int = 10
    """Frames in a time mask."""
    channel_mask_probability: float = 0.0
    """Channels set to zero in training, before overlaps (fine-tuning on 100 h: 0.5)."""
    channel_mask_span: int = 64
    """Channels in a channel mask."""


class Wav2Vec2Encoder(nn.Module):
    """Waveform to contextual features; neither padding nor the rest of the batch changes an utterance's."""

    def __init__(self, config: Wav2Vec2Config):
        super().__init__()
        self.config = config
        self.dim = config.dim
        self.cnn = _front_end(config)
        self.hop = self.cnn.hop
        self.norm = nn.LayerNorm(config.channels)
        self.projection = nn.Linear(config.channels, config.dim)
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
        """Frames before any norm, and how many are valid: Z = f(X). (B, T), (B,) -> (B, F, C), (B,)"""
        if isinstance(self.cnn, LogMelCNN):
            return self._scaled(*self.cnn(waveform, lengths))
        if self.config.normalise:
            waveform = normalised_over(waveform, valid_mask(lengths, waveform.size(1)), dim=1, eps=1e-7)
        if waveform_matmul.suits(self.cnn, waveform):
            return waveform_matmul.latents(self.cnn, waveform, lengths)
        return self._scaled(*self.cnn(waveform, lengths))

    def _scaled(self, latents: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Whatever gradient reaches the convolutions is multiplied by `feature_grad_mult`."""
        if latents.requires_grad and self.config.feature_grad_mult != 1:
            latents.register_hook(lambda gradient: gradient * self.config.feature_grad_mult)  # type: ignore[no-untyped-call]
        return latents, frames

    def project(self, latents: Tensor) -> Tensor:
        """To the Transformer's width, with dropout. (B, F, C) -> (B, F, D)"""
        return self.input_dropout(self.projection(self.norm(latents)))  # type: ignore[no-any-return]

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

    def contextualise(self, features: Tensor, frames: Tensor) -> Tensor:
        """Positions, then the Transformer: C = g(Z). (B, F, D), (B,) -> (B, F, D)"""
        if _better_apart(features, frames):
            apart = torch.zeros_like(features)
            for row, count in enumerate(frames.tolist()):
                if count:
                    apart[row, :count] = self.contextualise(features[row : row + 1, :count], frames[row : row + 1])[0]
            return apart
        full = bool((frames >= features.size(1)).all())
        features = features + self.position(features, None if full else valid_mask(frames, features.size(1)))
        if self.config.norm_first:
            return self.context_norm(self.transformer(self.dropout(features), frames))  # type: ignore[no-any-return]
        return self.transformer(self.dropout(self.context_norm(features)), frames)  # type: ignore[no-any-return]


class LogMelCNN(nn.Module):
    """The other feature encoder: log-mel, each utterance normalised by itself, and two convolutions of kernel 3."""

    hop = 320

    def __init__(self, bins: int, channels: int):
        super().__init__()
        self.features = LogMel(bins=bins)
        self.convolutions = MelSubsampling(bins, channels, (2, 1))

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T), (B,) -> frames (B, F, C), zero past their lengths (B,)."""
        features, frames = self.features(waveform, lengths)
        return self.convolutions(normalise_utterance(features, frames), frames)  # type: ignore[no-any-return]


def tiny() -> Wav2Vec2Config:
    """A size for tests and first trials."""
    return Wav2Vec2Config(
        channels=32, dim=64, layers=2, heads=4, feed_forward=128, position_kernel=16, position_groups=4
    )


def base() -> Wav2Vec2Config:
    """BASE of the paper: 94,371,712 parameters."""
    return Wav2Vec2Config()


def large() -> Wav2Vec2Config:
    """LARGE as trained on LibriVox: layer norms in the convolutions and before each sub-layer."""
    return Wav2Vec2Config(
        convolution_bias=True,
        convolution_norm="layer",
        normalise=True,
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


def _better_apart(features: Tensor, frames: Tensor) -> bool:
    """Whether utterances go one by one: no gradient, on a CPU, a second or more each, a tenth of all padding."""
    if features.requires_grad or features.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    total = int(frames.sum())
    return total >= 50 * len(frames) and total < 0.9 * len(frames) * features.size(1)


def _front_end(config: Wav2Vec2Config) -> WaveformCNN | LogMelCNN:
    if config.front_end == "log_mel":
        return LogMelCNN(config.bins, config.channels)
    return WaveformCNN(
        config.channels, config.kernels, config.strides, norm=config.convolution_norm, bias=config.convolution_bias
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
