"""Speech features as torch modules: waveform, spectrogram, log-mel, MFCC, with Kaldi's numerics.

A waveform in -1..1 is scaled to the 16-bit range and cut into whole frames of 25 ms every 10 ms; each loses its
mean, is pre-emphasised, windowed and transformed. No dither: the same waveform always gives the same numbers.

Source: Kaldi, `feat/feature-window.cc`, `mel-computations.cc`, `feature-fbank.cc`, `feature-mfcc.cc`.
Legend: B utterances, T samples, F frames, W samples of a window, N = fft_size // 2 + 1 frequencies, D values.
"""

from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.layers.masking import normalised_over, valid_mask

FLOOR = float(np.finfo(np.float32).eps)
"""Kaldi's least power before a logarithm; log(FLOOR) is -15.94."""
FULL_SCALE = 32768.0
"""Kaldi reads 16-bit integers; 1.0 is 32768."""
PREEMPHASIS = 0.97
BLOCK_FRAMES = 2048
"""Frames transformed at a time, so that an hour of audio needs little memory beyond its features."""

Count = TypeVar("Count", int, Tensor)


def frame_count(samples: Count, window: int = 400, hop: int = 160) -> Count:
    """Whole frames in `samples` (Kaldi's `snip_edges`): 1 + (samples - window) // hop, or 0 when too short."""
    if isinstance(samples, Tensor):
        frames = torch.div(samples - window, hop, rounding_mode="floor") + 1
        return frames.clamp(min=0)
    return max(0, 1 + (samples - window) // hop)


class Spectrogram(nn.Module):
    """Log power spectrum of each frame. Kaldi `compute-spectrogram-feats`, with its energy in bin 0 if asked."""

    window: Tensor

    def __init__(
        self,
        sample_rate: int = SAMPLE_RATE,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        fft_size: int = 512,
        *,
        use_energy: bool = False,
    ):
        """Set the frame.

        Args:
            sample_rate: samples per second of the waveforms to come.
            window_ms: length of a frame in milliseconds.
            hop_ms: step from one frame to the next in milliseconds.
            fft_size: points of the transform; frames are padded with zeros to it.
            use_energy: put the log-energy of the frame (before pre-emphasis) into bin 0, as Kaldi does.
        """
        super().__init__()
        self.window_size = int(sample_rate * window_ms / 1000)
        self.hop = int(sample_rate * hop_ms / 1000)
        self.sample_rate, self.fft_size, self.use_energy = sample_rate, fft_size, use_energy
        if not 2 <= self.window_size <= fft_size or self.hop < 1:
            raise ValueError(
                f"`fft_size` must be at least the window ({self.window_size} samples) and the hop at least "
                f"1 sample, but they are {fft_size} and {self.hop} instead"
            )
        self.dim = fft_size // 2 + 1
        self._constants: dict[str, np.ndarray[Any, Any]] = {}
        self._add_constant("window", povey_window(self.window_size))

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the feature; frames past the end of an utterance are exactly 0, whatever its padding holds.

        Args:
            waveform: samples in -1..1. (B, T)
            lengths: valid samples of each utterance. (B,)

        Returns:
            features (B, F, D) in float32 and valid frames (B,).
        """
        if waveform.ndim != 2 or lengths.shape != waveform.shape[:1]:
            raise ValueError(
                "`waveform` must be (B, T) and `lengths` (B,), "
                f"but are {tuple(waveform.shape)} and {tuple(lengths.shape)} instead"
            )
        with torch.autocast(waveform.device.type, enabled=False):
            features = self._of_blocks(self.frames(waveform))  # (B, F, D)
        frame_lengths = frame_count(lengths, self.window_size, self.hop)
        return _silence_past(features, frame_lengths), frame_lengths

    def _of_blocks(self, frames: Tensor) -> Tensor:
        """The feature, computed for a block of frames at a time. (B, F, W) -> (B, F, D)"""
        batch, count, _ = frames.shape
        if batch * count == 0:
            return frames.new_zeros(batch, count, self.dim)
        pieces = torch.split(frames, max(1, BLOCK_FRAMES // batch), dim=1)
        return torch.cat([self.of_frames(_centred(piece)) for piece in pieces], dim=1)

    def frames(self, waveform: Tensor) -> Tensor:
        """Cut into frames, scaled to 16 bits; a view of the waveform. (B, T) -> (B, F, W)"""
        if waveform.shape[1] < self.window_size:
            return waveform.new_zeros(waveform.shape[0], 0, self.window_size, dtype=torch.float32)
        return (waveform.float() * FULL_SCALE).unfold(1, self.window_size, self.hop)

    def power(self, frames: Tensor) -> Tensor:
        """Pre-emphasise, window, transform: |rfft|^2. (B, F, W) -> (B, F, N)"""
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        windowed = (frames - PREEMPHASIS * previous) * self.window
        spectrum = torch.fft.rfft(windowed, n=self.fft_size)
        return torch.as_tensor(spectrum.real.square() + spectrum.imag.square())

    def of_frames(self, frames: Tensor) -> Tensor:
        """The feature of frames without their mean. (B, F, W) -> (B, F, D)"""
        features = _log(self.power(frames))
        return _with_first(features, log_energy(frames)) if self.use_energy else features

    def _add_constant(self, name: str, value: np.ndarray[Any, Any]) -> None:
        self._constants[name] = value
        self.register_buffer(name, torch.from_numpy(value.astype(np.float32)), persistent=False)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Move as any module, but keep the constants in float32 when a model is cast to half precision."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, value in self._constants.items():
            device = getattr(self, name).device
            setattr(self, name, torch.from_numpy(value.astype(np.float32)).to(device))
        return self


class LogMel(Spectrogram):
    """Logarithm of the power in triangular mel bands. Kaldi `compute-fbank-feats`."""

    mel: Tensor

    def __init__(
        self,
        bins: int = 80,
        sample_rate: int = SAMPLE_RATE,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        fft_size: int = 512,
        low_hz: float = 20.0,
        high_hz: float = 0.0,
    ):
        """Set the bands.

        Args:
            bins: mel bands.
            sample_rate: samples per second of the waveforms to come.
            window_ms: length of a frame in milliseconds.
            hop_ms: step from one frame to the next in milliseconds.
            fft_size: points of the transform.
            low_hz: lower edge of the first band.
            high_hz: upper edge of the last band; 0 or less counts down from half the sample rate.
        """
        super().__init__(sample_rate, window_ms, hop_ms, fft_size)
        self.dim = self.bins = bins
        self._add_constant("mel", mel_bands(bins, fft_size, sample_rate, low_hz, high_hz))

    def of_frames(self, frames: Tensor) -> Tensor:
        """The log-mel energies of frames without their mean. (B, F, W) -> (B, F, bins)"""
        return _log(self.power(frames) @ self.mel)


class MFCC(LogMel):
    """Mel-frequency cepstral coefficients, a liftered cosine transform of log-mel. Kaldi `compute-mfcc-feats`."""

    cosine: Tensor

    def __init__(
        self,
        coefficients: int = 13,
        bins: int = 23,
        sample_rate: int = SAMPLE_RATE,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        fft_size: int = 512,
        low_hz: float = 20.0,
        high_hz: float = 0.0,
        *,
        liftering: float = 22.0,
        use_energy: bool = True,
    ):
        """Set the coefficients.

        Args:
            coefficients: cepstral coefficients kept, the zeroth included; at most `bins`.
            bins: mel bands.
            sample_rate: samples per second of the waveforms to come.
            window_ms: length of a frame in milliseconds.
            hop_ms: step from one frame to the next in milliseconds.
            fft_size: points of the transform.
            low_hz: lower edge of the first band.
            high_hz: upper edge of the last band; 0 or less counts down from half the sample rate.
            liftering: period of the lifter that evens the size of the coefficients; 0 for none.
            use_energy: let the log-energy of the frame stand for the zeroth coefficient, as Kaldi does.
        """
        if not 1 <= coefficients <= bins:
            raise ValueError(f"`coefficients` must be between 1 and `bins` ({bins}), but is {coefficients} instead")
        super().__init__(bins, sample_rate, window_ms, hop_ms, fft_size, low_hz, high_hz)
        self.dim, self.use_energy = coefficients, use_energy
        self._add_constant("cosine", cosine_transform(bins, coefficients) * lifter(coefficients, liftering))

    def of_frames(self, frames: Tensor) -> Tensor:
        """The coefficients of frames without their mean. (B, F, W) -> (B, F, coefficients)"""
        coefficients = super().of_frames(frames) @ self.cosine
        return _with_first(coefficients, log_energy(frames)) if self.use_energy else coefficients


class Waveform(nn.Module):
    """The samples themselves as a feature of one value a frame, with mean 0 and variance 1 if asked."""

    dim = 1

    def __init__(self, *, normalise: bool = False):
        super().__init__()
        self.normalise = normalise

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) -> (B, T, 1), zero past the end of each utterance, and `lengths` as they were."""
        features = _silence_past(waveform.float().unsqueeze(2), lengths)
        return (normalise_utterance(features, lengths) if self.normalise else features), lengths


def normalise_utterance(features: Tensor, lengths: Tensor, counted: Tensor | None = None) -> Tensor:
    """Give each utterance mean 0 and standard deviation 1 in each bin, over its valid frames alone.

    Silence that is not counted is raised to the least value of each bin in the frames that are: the logarithm of
    next to nothing is far from all that speech holds.

    Args:
        features: any features. (B, F, D)
        lengths: valid frames of each utterance. (B,)
        counted: frames that statistics are taken from, some of the valid ones of each utterance, for instance
            `noisewise.audio.silence.counted_frames`; all if left out. (B, F) bool

    Returns:
        features of the same shape in float32, exactly 0 past the end of each utterance.
    """
    with torch.autocast(features.device.type, enabled=False):
        valid = valid_mask(lengths, features.size(1)).unsqueeze(2)
        if counted is None:
            return normalised_over(features.float(), valid, dim=1, eps=1e-5)
        counted = counted.unsqueeze(2)
        return normalised_over(_raised(features.float(), counted), valid, dim=1, eps=1e-5, counted=counted)


def _raised(features: Tensor, counted: Tensor) -> Tensor:
    """No frame below the least of those that count, bin by bin. (B, F, D), (B, F, 1) -> (B, F, D)"""
    if not features.shape[1]:
        return features
    least = features.masked_fill(~counted, torch.inf).amin(dim=1, keepdim=True)
    return torch.maximum(features, least.where(least.isfinite(), -torch.inf))


def povey_window(size: int) -> np.ndarray[Any, Any]:
    """Kaldi's window: a Hann window to the power 0.85, so that its ends are not quite flat. (size,)"""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))
    return np.asarray(hann**0.85)


def mel_scale(hz: np.ndarray[Any, Any] | float) -> np.ndarray[Any, Any]:
    """Hertz to mel: 1127 ln(1 + hz / 700)."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hz, dtype=np.float64) / 700.0))


def mel_bands(
    bins: int, fft_size: int, sample_rate: int, low_hz: float = 20.0, high_hz: float = 0.0
) -> np.ndarray[Any, Any]:
    """Triangles of equal width and half overlap on the mel scale, with peak 1. (fft_size // 2 + 1, bins)

    Raises:
        ValueError: the edges are out of order, or a band is too narrow to hold a frequency of the transform.
    """
    nyquist = sample_rate / 2
    high_hz = high_hz if high_hz > 0 else nyquist + high_hz
    if not 1 <= bins <= fft_size // 2 or not 0 <= low_hz < high_hz <= nyquist:
        raise ValueError(
            f"the bands must be 1 to {fft_size // 2}, with 0 <= low_hz < high_hz <= {nyquist:g}, "
            f"but are {bins} from {low_hz:g} to {high_hz:g} Hz instead"
        )
    edges = np.linspace(mel_scale(low_hz), mel_scale(high_hz), bins + 2)
    mel = mel_scale(np.arange(fft_size // 2 + 1) * sample_rate / fft_size)[:, None]
    rising = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    bands = np.maximum(0.0, np.minimum(rising, falling))
    bands[-1] = 0.0  # Kaldi leaves the Nyquist frequency out
    if not bands.any(axis=0).all():
        raise ValueError(f"`bins` must be fewer than {bins} for `fft_size` {fft_size}: a band holds no frequency")
    return np.asarray(bands)


def cosine_transform(bins: int, coefficients: int) -> np.ndarray[Any, Any]:
    """The orthonormal DCT-II that turns log-mel bands into cepstra. (bins, coefficients)"""
    if not 1 <= coefficients <= bins:
        raise ValueError(f"`coefficients` must be 1 to {bins}, as many as `bins`, but are {coefficients} instead")
    angles = np.pi / bins * (np.arange(bins)[:, None] + 0.5) * np.arange(coefficients)
    matrix = np.sqrt(2.0 / bins) * np.cos(angles)
    matrix[:, 0] = np.sqrt(1.0 / bins)
    return np.asarray(matrix)


def lifter(coefficients: int, period: float) -> np.ndarray[Any, Any]:
    """Weights 1 + period / 2 sin(pi i / period) of the cepstra; all 1 for period 0. (coefficients,)"""
    if period == 0:
        return np.ones(coefficients)
    return np.asarray(1.0 + 0.5 * period * np.sin(np.pi * np.arange(coefficients) / period))


def log_energy(frames: Tensor) -> Tensor:
    """Logarithm of the energy of each frame, before pre-emphasis and window. (B, F, W) -> (B, F)"""
    return _log(frames.square().sum(dim=2))


def _centred(frames: Tensor) -> Tensor:
    """Remove the mean of each frame. (B, F, W) -> (B, F, W)"""
    return frames - frames.mean(dim=2, keepdim=True)


def _log(power: Tensor) -> Tensor:
    return power.clamp(min=FLOOR).log()


def _with_first(features: Tensor, first: Tensor) -> Tensor:
    return torch.cat([first.unsqueeze(2), features[..., 1:]], dim=2)


def _silence_past(features: Tensor, lengths: Tensor) -> Tensor:
    """Zeros past the end, by choice and not by product: NaN in the padding goes too. (B, F, D) -> (B, F, D)"""
    past = torch.arange(features.shape[1], device=features.device) >= lengths.unsqueeze(1)  # (B, F)
    return features.masked_fill(past.unsqueeze(2), 0.0)
