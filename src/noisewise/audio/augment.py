"""Augmentation: speed, gain, roll and reverberation of a waveform, SpecAugment and mixup of features.

The waveform functions are deterministic; the caller draws the numbers. SpecAugment and Mixup draw from torch's
default generator. Legend: B utterances, T samples, F frames, D bins, K classes.
"""

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SLOWEST, FASTEST = 0.1, 10.0
"""Speed factors that can be asked for."""
SPEED_STEPS = 1000
"""Speeds are rounded to a thousandth, so that the resampler works with whole rates."""


def speed(waveform: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Play faster (factor > 1) or slower, pitch and all (Ko et al. 2015, "Audio augmentation").

    Args:
        waveform: mono samples. (T,)
        factor: between `SLOWEST` and `FASTEST`; 1.1 makes the result 1.1 times shorter.

    Returns:
        samples at the same rate. (about T / factor,)
    """
    if not SLOWEST <= factor <= FASTEST:
        raise ValueError(f"`factor` must be between {SLOWEST:g} and {FASTEST:g}, but is {factor} instead")
    rate = round(factor * SPEED_STEPS)
    if rate == SPEED_STEPS or waveform.size == 0:
        return waveform
    return np.asarray(soxr.resample(waveform, rate, SPEED_STEPS), dtype=np.float32)


def gain(waveform: NDArray[np.float32], db: float) -> NDArray[np.float32]:
    """Make louder by `db` decibels (softer below 0); nothing is clipped. (T,) -> (T,)"""
    if not np.isfinite(db):
        raise ValueError(f"`db` must be a finite number, but is {db} instead")
    return waveform * np.float32(10.0 ** (db / 20.0))


def roll(waveform: NDArray[np.float32], shift: int) -> NDArray[np.float32]:
    """Let a sound begin `shift` samples later; what falls off the end comes first. (T,) -> (T,)"""
    return np.roll(waveform, shift)


def reverberate(waveform: NDArray[np.float32], impulse_response: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put a dry recording into a room; length, timing and energy stay.

    The strongest tap of the impulse response is its direct path and is moved to time 0, so that words stay
    where they were; the tail past the end of the recording is dropped.

    Args:
        waveform: mono samples. (T,)
        impulse_response: at the same rate. (R,)

    Returns:
        reverberant samples with the energy of `waveform`. (T,)

    Raises:
        ValueError: the impulse response is empty, silent or not finite.
    """
    if impulse_response.ndim != 1 or waveform.ndim != 1:
        raise ValueError("`waveform` and `impulse_response` must be (T,) and (R,); take one channel of each")
    if not np.isfinite(impulse_response).all() or not np.any(impulse_response):
        raise ValueError("`impulse_response` must hold finite samples that are not all 0; use another file")
    if waveform.size == 0:
        return waveform
    direct = int(np.argmax(np.abs(impulse_response)))
    size = _fast_size(waveform.size + impulse_response.size - 1)
    spectrum = np.fft.rfft(waveform.astype(np.float64), size)
    spectrum *= np.fft.rfft(impulse_response.astype(np.float64), size)
    wet = np.fft.irfft(spectrum, size)[direct : direct + waveform.size]
    dry_energy, wet_energy = np.sum(np.square(waveform, dtype=np.float64)), np.sum(np.square(wet))
    scale = np.sqrt(dry_energy / wet_energy) if wet_energy > 0 else 0.0
    return (wet * scale).astype(np.float32)


class SpecAugment(nn.Module):
    """Hide random bands of bins and stretches of frames while training (Park et al. 2019, section 2).

    Hidden values become 0, which is the mean of normalised features. Time warping is left out.
    """

    def __init__(
        self,
        frequency_masks: int = 2,
        frequency_width: int = 27,
        time_masks: int = 2,
        time_width: int = 100,
        time_fraction: float = 1.0,
    ):
        """Set the masks.

        Args:
            frequency_masks: bands hidden in each utterance (m_F).
            frequency_width: greatest width of a band in bins (F).
            time_masks: stretches hidden in each utterance (m_T).
            time_width: greatest length of a stretch in frames (T).
            time_fraction: no stretch is longer than this part of the valid frames (p).
        """
        super().__init__()
        if min(frequency_masks, frequency_width, time_masks, time_width) < 0 or not 0 <= time_fraction <= 1:
            raise ValueError(
                "counts and widths must be 0 or more and `time_fraction` between 0 and 1, but are "
                f"{frequency_masks}, {frequency_width}, {time_masks}, {time_width}, {time_fraction} instead"
            )
        self.frequency_masks, self.frequency_width = frequency_masks, frequency_width
        self.time_masks, self.time_width, self.time_fraction = time_masks, time_width, time_fraction

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Hide parts in training; in evaluation give the features back untouched.

        Args:
            features: best normalised, so that 0 is the mean. (B, F, D)
            lengths: valid frames of each utterance. (B,)
        """
        if not self.training:
            return features
        _, frames, bins = features.shape
        lengths = lengths.to(features.device)
        widest = (lengths * self.time_fraction).floor().clamp(max=self.time_width)
        hidden_frames = _spans(self.time_masks, lengths, widest, frames)  # (B, F)
        sizes = torch.full_like(lengths, bins)
        hidden_bins = _spans(self.frequency_masks, sizes, sizes.clamp(max=self.frequency_width), bins)  # (B, D)
        return features.masked_fill(hidden_frames.unsqueeze(2) | hidden_bins.unsqueeze(1), 0.0)


class Mixup(nn.Module):
    """Mix examples and their labels in pairs while training (Zhang et al. 2018).

    One share for the batch is drawn from Beta(alpha, alpha), and the first example is mixed with the last, the second
    with the last but one, and so on, as in timm.
    """

    def __init__(self, alpha: float = 0.8, chance: float = 1.0):
        """Set the draw.

        Args:
            alpha: parameter of the Beta distribution; 0 for no mixing.
            chance: that a batch is mixed at all.
        """
        super().__init__()
        if alpha < 0 or not 0 <= chance <= 1:
            raise ValueError(
                f"`alpha` must be 0 or more and `chance` between 0 and 1, but are {alpha} and {chance} instead"
            )
        self.alpha, self.chance = alpha, chance

    def forward(self, features: Tensor, lengths: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix in training; in evaluation give everything back untouched.

        Args:
            features: 0 past the end of each utterance, and best 0 on average. (B, F, D)
            lengths: valid frames; a pair has the longer of its two. (B,)
            labels: classes, or probabilities of them. (B, K) float.
        """
        if not self.training or self.alpha == 0 or torch.rand(()).item() >= self.chance:
            return features, lengths, labels
        share = float(torch.distributions.Beta(self.alpha, self.alpha).sample())
        mixed, mixed_labels = (share * each + (1 - share) * each.flip(0) for each in (features, labels))
        return mixed, torch.maximum(lengths, lengths.flip(0)), mixed_labels


def _spans(count: int, sizes: Tensor, widest: Tensor, places: int) -> Tensor:
    """Draw spans in each row: width uniform in 0..widest, start uniform in 0..size - width. (B, places)"""
    device = sizes.device
    draws = torch.rand(2, len(sizes), count, 1, device=device)
    widths = (draws[0] * (widest.view(-1, 1, 1) + 1)).floor()
    starts = (draws[1] * (sizes.view(-1, 1, 1) - widths + 1)).floor()
    places_at = torch.arange(places, device=device)
    return ((places_at >= starts) & (places_at < starts + widths)).any(dim=1)


def _fast_size(size: int) -> int:
    """The least 2^a or 3 * 2^b that is not below `size`, for a fast transform."""
    power = 1 << (size - 1).bit_length()
    return 3 * power // 4 if 3 * power // 4 >= size else power
