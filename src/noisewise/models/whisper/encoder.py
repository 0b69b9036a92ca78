"""The encoder of Whisper: two convolutions over log-mel, fixed positions, a Transformer.

Radford et al. 2022, Sec. 2.2. Every utterance has as many frames as it lasts, where Whisper itself always takes 30 s;
for 30 s they are the same. Legend: B utterances, T samples, F frames, M mel bands, D width.
"""

from dataclasses import replace
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.audio.augment import SpecAugment
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.config import TRAINING_ONLY, config, within
from noisewise.errors import ConfigError, ModelError
from noisewise.layers.convolution import MelSubsampling
from noisewise.layers.masking import zero_padding
from noisewise.layers.transformer import TransformerEncoder, TransformerLayer
from noisewise.models.encoder import Encoder, EncoderOutput
from noisewise.models.logmel_transformer import SpecAugmentConfig
from noisewise.models.wav2vec2 import unpadded
from noisewise.models.whisper import weights
from noisewise.models.whisper.front_end import HOP, log_mel

SIZES = tuple(weights.ENCODER_SIZES)
"""Fields that a source gives."""


@config
class WhisperEncoderConfig:
    """The encoder of Whisper; the defaults are the size of tiny."""

    kind: Literal["whisper"] = "whisper"
    source: Annotated[str, TRAINING_ONLY] = ""
    """Where training begins: the folder of a Whisper, of transformers or of CTranslate2, or
    hf:ORGANISATION/NAME@REVISION. The sizes are read from it."""
    dim: int = 384
    """Width of the Transformer."""
    layers: int = 4
    """Transformer layers."""
    heads: int = 6
    """Attention heads."""
    feed_forward: int = 1536
    """Inner width of the feed-forward layers."""
    mels: int = 80
    """Mel bands; 128 for large-v3 and its kin."""
    positions: int = 1500
    """Frames of 20 ms at most; 1500 are 30 s."""
    dropout: Annotated[float, TRAINING_ONLY] = 0.0
    """Dropout on residual branches, and on the frames before the first layer."""
    attention_dropout: Annotated[float, TRAINING_ONLY] = 0.0
    """Dropout on attention weights."""
    activation_dropout: Annotated[float, TRAINING_ONLY] = 0.0
    """Dropout inside the feed-forward layers."""
    spec_augment: Annotated[SpecAugmentConfig | None, TRAINING_ONLY] = None
    """Spectrogram masking in training; null for none."""
    frozen_layers: Annotated[int, TRAINING_ONLY] = 0
    """The convolutions and so many of the first layers keep their weights in training; 0 trains all."""

    def __post_init__(self) -> None:
        within(0, 1, dropout=self.dropout, attention_dropout=self.attention_dropout)
        within(0, 1, activation_dropout=self.activation_dropout)
        within(0, float("inf"), frozen_layers=self.frozen_layers)

    def build(self) -> "WhisperEncoder":
        """The encoder, with the weights of its source, or randomly initialised without one."""
        return WhisperEncoder(self)


class WhisperEncoder(Encoder):
    """Waveform to contextual features; neither padding nor the rest of the batch changes an utterance's."""

    hop = 2 * HOP
    positions: Tensor

    def __init__(self, config: WhisperEncoderConfig):
        super().__init__()
        found = weights.read(config.source, ("encoder",)) if config.source else None
        self.config = config if found is None else settled(config, found.encoder)
        self.dim = self.config.dim
        self.longest = self.config.positions * self.hop
        """Samples of an utterance at most."""
        self._build()
        if found is not None:
            state = {name.removeprefix("encoder."): value for name, value in found.weights.items()}
            weights.fill(self, state, config.source)
        self._freeze()

    def settled(self) -> WhisperEncoderConfig:
        """The configuration with the sizes of the source written out, so that the source is needed no more."""
        return self.config

    def forward(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode waveforms.

        Args:
            waveform: (B, T) float32 at 16 kHz.
            lengths: valid samples, 30 s at most. (B,)

        Returns:
            Features (B, F, D), zero past their lengths (B,); F = ceil(T / 320).

        Raises:
            ModelError: an utterance is longer than there are positions.
        """
        if waveform.size(1) > self.longest:
            self._must_not_exceed(int(lengths.max()))
            waveform = waveform[:, : self.longest]
        return self.encode_mel(*log_mel(waveform, lengths, self.config.mels))

    def encode_mel(self, features: Tensor, counts: Tensor) -> EncoderOutput:
        """Encode log-mel spectrograms: 2 P frames at most of each. (B, M, 2 F), (B,) -> (B, F, D), (B,)"""
        masked = features.transpose(1, 2)  # (B, 2 F, M)
        if self.spec_augment is not None:
            masked = self.spec_augment(masked, counts)
        frames, lengths = self.subsampling(masked, counts)  # (B, F, D)
        frames = frames + self.positions[: frames.size(1)].to(frames.dtype)
        return EncoderOutput(zero_padding(self._contextualise(self.dropout(frames), lengths), lengths), lengths)

    def _contextualise(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """The Transformer, over utterances one by one where a CPU would spend much of a batch on padding.

        Of tiny in bfloat16, forward and backward of 80 s in eight utterances of 4 to 17 s, on one core with AMX, in the
        same run: 5.1 s padded, 2.6 s one by one. (B, F, D), (B,) -> (B, F, D)
        """
        if not unpadded.suits(frames, lengths, learning=True):
            return self.transformer(frames, lengths)
        rows = [
            self.transformer(frames[row : row + 1, :count], lengths[row : row + 1])[0] if count else frames[row, :0]
            for row, count in enumerate(lengths.tolist())
        ]
        return torch.stack([F.pad(row, (0, 0, 0, frames.size(1) - len(row))).to(rows[0].dtype) for row in rows])

    def _build(self) -> None:
        sizes = self.config
        masks = sizes.spec_augment
        self.spec_augment = None if masks is None else SpecAugment(**vars(masks))
        self.subsampling = MelSubsampling(sizes.mels, sizes.dim, (1, 2))
        self.register_buffer("positions", sinusoids(sizes.positions, sizes.dim))
        self.dropout = nn.Dropout(sizes.dropout)
        self.transformer = TransformerEncoder(
            [_layer(sizes) for _ in range(sizes.layers)],
            final_norm=sizes.dim,
        )

    def _freeze(self) -> None:
        count = self.config.frozen_layers
        if count > self.config.layers:
            raise ConfigError(
                f"`frozen_layers` must be 0 to {self.config.layers}, as many as there are, but is {count} instead"
            )
        for module in (self.subsampling, *self.transformer.layers[:count]) if count else ():
            module.requires_grad_(False)

    def _must_not_exceed(self, samples: int) -> None:
        if samples > self.longest:
            raise ModelError(
                f"an utterance must be {self.longest / SAMPLE_RATE:g} s at most for this encoder, but is "
                f"{samples / SAMPLE_RATE:.2f} s instead; leave longer ones out of training (`max_seconds`), or "
                "recognise in windows"
            )


def settled(config: WhisperEncoderConfig, sizes: dict[str, int]) -> WhisperEncoderConfig:
    """The configuration with the sizes that a source has, and without the source.

    Raises:
        ConfigError: a size was given, and is another.
    """
    defaults = WhisperEncoderConfig()
    for name, size in sizes.items():
        given = getattr(config, name)
        if given not in (size, getattr(defaults, name)):
            raise ConfigError(
                f"`encoder.{name}` must be {size}, as in `{config.source}`, but is {given} instead; leave it out"
            )
    return replace(config, **sizes, source="")  # type: ignore[arg-type]


def sinusoids(positions: int, dim: int) -> Tensor:
    """Fixed positions: sines in the first half of the channels, cosines in the second. (P, D)

    The wavelengths go from 2 pi to 20 000 pi frames, the last reached (Radford et al. 2022, `model.py`), where those of
    `noisewise.layers.positions` go as far but for one step.
    """
    rates = torch.exp(-torch.arange(dim // 2) * (torch.log(torch.tensor(10_000.0)) / max(1, dim // 2 - 1)))
    angles = torch.arange(positions)[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)


def tiny() -> WhisperEncoderConfig:
    """The size of tiny and tiny.en: 8.2 M parameters."""
    return WhisperEncoderConfig()


def base() -> WhisperEncoderConfig:
    """The size of base and base.en: 20.6 M parameters."""
    return WhisperEncoderConfig(dim=512, layers=6, heads=8, feed_forward=2048)


def _layer(sizes: WhisperEncoderConfig) -> TransformerLayer:
    return TransformerLayer(
        sizes.dim,
        sizes.heads,
        sizes.feed_forward,
        dropout=sizes.dropout,
        attention_dropout=sizes.attention_dropout,
        activation_dropout=sizes.activation_dropout,
        norm_first=True,
    )
