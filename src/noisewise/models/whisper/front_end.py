"""The log-mel spectrogram of Whisper, of utterances in real batches.

Radford et al. 2022, Sec. 2.2: 80 or 128 mel bands of windows of 25 ms every 10 ms, the logarithm no more than 8 below
its maximum, scaled to about -1..1. Equal to the `WhisperFeatureExtractor` of transformers on the utterance padded to
30 s; here an utterance ends where its samples do, and neither padding nor company changes it.

Legend: B utterances, T samples, F frames, M mel bands, N = 201 frequencies.
"""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.layers.masking import valid_mask

WINDOW, HOP = 400, 160
"""Samples of a window, and from one frame to the next."""
LONGEST = 30 * SAMPLE_RATE
"""Samples that Whisper takes at most."""
FLOOR = 1e-10
"""Least power before the logarithm."""
RANGE = 8.0
"""A value so far below the maximum of the utterance, in powers of ten, is raised to it."""
HIGHEST_HZ = 8000.0
"""Upper edge of the last band."""
EDGE = WINDOW // 2
"""Frame m is centred at sample 160 m: so many samples before the first belong to it too."""


def log_mel(waveform: Tensor, lengths: Tensor, mels: int = 80) -> tuple[Tensor, Tensor]:
    """The log-mel spectrogram of each utterance.

    The maximum is taken over all windows that hold a sample of the utterance, as over 30 s of it and zeros.

    Args:
        waveform: at 16 kHz. (B, T)
        lengths: valid samples, 30 s at most. (B,)
        mels: mel bands (M), 80, or 128 for large-v3.

    Returns:
        (B, M, F) float32, zero past the valid frames, F = ceil(T / 160); and these frames. (B,)

    Example:
        >>> features, counts = log_mel(torch.zeros(2, 32_000), torch.tensor([32_000, 1_000]))
        >>> features.shape, counts
        (torch.Size([2, 80, 200]), tensor([200,   7]))
    """
    with torch.autocast(waveform.device.type, enabled=False):
        frames = -(-waveform.size(1) // HOP)
        inside = valid_mask(lengths, waveform.size(1))
        samples = torch.where(inside, waveform.float(), 0.0)  # what stands in the padding may be not-a-number
        power = _power(_extended(samples, frames + 2)) @ _constant(mel_bands(mels), samples)  # (B, F + 2, M)
        values = power.clamp(min=FLOOR).log10()
        touched = valid_mask(_windows(lengths), frames + 2)  # (B, F + 2)
        highest = values.masked_fill(~touched[..., None], -torch.inf).amax(dim=(1, 2), keepdim=True)  # (B, 1, 1)
        values = (torch.maximum(values, highest - RANGE) + 4) / 4
        counts = frame_count(lengths)
        own = valid_mask(counts, frames)[..., None]
        return values[:, :frames].masked_fill(~own, 0.0).transpose(1, 2), counts


def frame_count(samples: Tensor) -> Tensor:
    """Frames that are centred within an utterance: ceil(T / 160). (B,) -> (B,)"""
    return (samples + HOP - 1).div(HOP, rounding_mode="floor")


@lru_cache(maxsize=4)
def mel_bands(mels: int) -> NDArray[np.float32]:
    """Triangles on Slaney's mel scale, each of the same area, from 0 to 8 kHz. (N, M)

    Source: Slaney 1998, "Auditory Toolbox"; librosa's `filters.mel`, whose values Whisper carries in a file.
    """
    hz = np.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)[:, None]  # (N, 1)
    edges = _hz(np.linspace(0, _mel(HIGHEST_HZ), mels + 2))  # (M + 2,)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.clip(np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre)), 0, None)
    return np.asarray(triangles * 2 / (high - low), np.float32)


def _mel(hz: float) -> float:
    """Linear below 1 kHz, 15 mel; logarithmic above, 27 mel for a factor of 6.4."""
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `_mel`."""
    return np.where(mel < 15, 200 * mel / 3, 1000 * np.exp(np.log(6.4) * (mel - 15) / 27))


def _extended(samples: Tensor, frames: int) -> Tensor:
    """An utterance with its first samples mirrored before it, and zeros after it, as for so many windows.

    The mirror at the end of 30 s is filled where the utterance lasts so long. (B, T) -> (B, 160 F + 240)
    """
    whole = F.pad(samples, (0, max(0, frames * HOP + WINDOW - HOP - EDGE - samples.size(1))))
    if samples.size(1) > LONGEST - EDGE:
        after = samples.size(1) - LONGEST
        mirrored = F.pad(samples, (0, max(0, -after)))[:, LONGEST - EDGE - 1 : LONGEST - 1].flip(1)
        whole[:, LONGEST : LONGEST + EDGE] = mirrored
    return torch.cat((whole[:, 1 : EDGE + 1].flip(1), whole), dim=1)[:, : frames * HOP + WINDOW - HOP]


def _power(extended: Tensor) -> Tensor:
    """Power of the windows at each frequency. (B, 160 F + 240) -> (B, F, N)"""
    window = torch.hann_window(WINDOW, device=extended.device)
    return torch.view_as_real(torch.fft.rfft(extended.unfold(1, WINDOW, HOP) * window)).square().sum(dim=-1)


def _windows(lengths: Tensor) -> Tensor:
    """Windows that hold a sample of an utterance, those of 30 s at most. (B,) -> (B,)"""
    return torch.where(lengths > 0, (lengths + EDGE + HOP - 1).div(HOP, rounding_mode="floor"), 0).clamp(
        max=LONGEST // HOP
    )


def _constant(values: NDArray[np.float32], like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like.device)
