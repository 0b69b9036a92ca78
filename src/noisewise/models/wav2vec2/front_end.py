"""Feature encoders of wav2vec 2.0, Z = f(X): convolutions over the waveform, or over a log-mel spectrogram.

Each has a configuration of its own, and `FrontEndConfig` is their union.
"""

from typing import Annotated, Any, Literal

from torch import Tensor, nn

from noisewise.audio.features import LogMel, normalise_utterance
from noisewise.audio.silence import counted_frames, counted_samples
from noisewise.config import config, one_of
from noisewise.layers.convolution import MelSubsampling
from noisewise.layers.masking import normalised_over, valid_mask
from noisewise.models.wav2vec2 import waveform_matmul
from noisewise.models.wav2vec2.waveform_cnn import WaveformCNN


@config
class WaveformFrontEnd:
    """The paper's feature encoder: convolutions over the waveform, a frame every 20 ms."""

    kind: Literal["waveform"] = "waveform"
    channels: int = 512
    """Width of the convolutions (C)."""
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    """Kernels of the convolutions."""
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    """Strides of the convolutions."""
    bias: bool = False
    """Whether the convolutions have a bias (large models)."""
    norm: Literal["group", "layer"] = "group"
    """"group": over time, after the first convolution (base); "layer": over channels, after each (large)."""
    normalise: bool = False
    """Whether waveforms are brought to mean 0 and variance 1 first (models with norm "layer" were trained so)."""


@config
class LogMelFrontEnd:
    """A feature encoder of a fraction of the cost: log-mel and two convolutions, a frame every 20 ms."""

    kind: Literal["log_mel"] = "log_mel"
    bins: int = 80
    """Mel channels (M)."""
    channels: int = 512
    """Width of the convolutions (C)."""


AnyFrontEnd = WaveformFrontEnd | LogMelFrontEnd
FrontEndConfig = Annotated[AnyFrontEnd, one_of("kind")]


class WaveformFeatureEncoder(WaveformCNN):
    """`WaveformCNN` over normalised waveforms, computed as matrix products where those are quicker."""

    def __init__(self, config: WaveformFrontEnd):
        super().__init__(config.channels, config.kernels, config.strides, norm=config.norm, bias=config.bias)
        self.normalise, self.norm = config.normalise, config.norm

    def forward(self, waveform: Tensor, lengths: Tensor, counted: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, T), (B,) -> Z (B, F, C) and the valid frames (B,)"""
        if counted is None:
            counted = counted_samples(waveform, lengths) if self.normalise or self.norm == "group" else None
        if self.normalise:
            valid = valid_mask(lengths, waveform.size(1))
            waveform = normalised_over(waveform, valid, dim=1, eps=1e-7, counted=counted)
        if waveform_matmul.suits(self, waveform):
            return waveform_matmul.latents(self, waveform, lengths, counted)
        return super().forward(waveform, lengths, counted)


class LogMelFeatureEncoder(nn.Module):
    """Log-mel, each utterance normalised by itself, and two convolutions of kernel 3."""

    hop = 320

    def __init__(self, config: LogMelFrontEnd):
        super().__init__()
        self.features = LogMel(bins=config.bins)
        self.convolutions = MelSubsampling(config.bins, config.channels, (2, 1))

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T), (B,) -> Z (B, F, C), zero past the valid frames (B,)"""
        features, frames = self.features(waveform, lengths)
        features = normalise_utterance(features, frames, counted_frames(waveform, lengths))
        return self.convolutions(features, frames)


def build_front_end(config: AnyFrontEnd) -> WaveformFeatureEncoder | LogMelFeatureEncoder:
    """The feature encoder that a configuration describes."""
    match config:
        case WaveformFrontEnd():
            return WaveformFeatureEncoder(config)
        case LogMelFrontEnd():
            return LogMelFeatureEncoder(config)


_FLAT = {
    "bins": "bins",
    "channels": "channels",
    "kernels": "kernels",
    "strides": "strides",
    "convolution_bias": "bias",
    "convolution_norm": "norm",
    "normalise": "normalise",
}
"""Fields that lay beside `front_end` when that was the name of a kind, and their names today."""


def from_flat(values: dict[str, Any]) -> dict[str, Any]:
    """The values of an encoder whose front end was written in fields of the encoder's own, in today's form.

    A field that has no meaning for the front end that is chosen had none then, and is left out.

    Example:
        >>> from_flat({"front_end": "log_mel", "bins": 40, "strides": [5], "dim": 64})
        {'dim': 64, 'front_end': {'kind': 'log_mel', 'bins': 40}}
    """
    given = values.get("front_end", "waveform")
    moved = {new: values[old] for old, new in _FLAT.items() if old in values}
    if not (isinstance(given, str) and (moved or "front_end" in values)) and not (isinstance(given, dict) and moved):
        return values
    front_end = {"kind": given} if isinstance(given, str) else given
    known = (LogMelFrontEnd if front_end.get("kind") == "log_mel" else WaveformFrontEnd).__dataclass_fields__
    rest = {name: value for name, value in values.items() if name not in _FLAT and name != "front_end"}
    return {**rest, "front_end": {**front_end, **{name: value for name, value in moved.items() if name in known}}}


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `from_flat`: the front end in fields of the encoder's own.

    Example:
        >>> flat({"dim": 64, "front_end": {"kind": "log_mel", "bins": 40}})
        {'dim': 64, 'front_end': 'log_mel', 'bins': 40}
    """
    if "front_end" not in values:
        return values
    front_end: dict[str, Any] = dict(values["front_end"])
    kind = front_end.pop("kind")
    old = {new: name for name, new in _FLAT.items()}
    return {**values, "front_end": kind, **{old.get(name, name): value for name, value in front_end.items()}}
