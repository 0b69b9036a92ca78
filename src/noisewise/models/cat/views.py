"""Clips as grids of spectrogram patches, and views of them: which patches are chosen in each, and where they lie.

Legend: B clips, W views (one or several of each clip, side by side), T times and M bands of the grid, P = T * M patches
of a clip, numbered time-major, N chosen patches of all views, p frames and bins of a patch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from noisewise.layers.masking import valid_mask


@dataclass(frozen=True)
class Patches:
    """Clips as grids of spectrogram patches, time-major."""

    values: Tensor
    """(B, P, p, p), 0 (the mean of the corpus) past the end of a clip."""
    times: Tensor
    """Valid times of each clip. (B,) int64"""
    bands: int
    """Bands of the grid (M)."""

    @property
    def lengths(self) -> Tensor:
        """Valid patches of each clip. (B,)"""
        return self.times * self.bands

    def every(self) -> Tensor:
        """Where clips have patches. (B, P) bool"""
        return valid_mask(self.lengths, self.values.size(1))


@dataclass(frozen=True)
class Views:
    """Chosen patches of every view, in the order of the grid, and their places, computed once."""

    where: Tensor
    """What is chosen; best on the processor, so that nothing waits for an accelerator. (W, P) bool"""
    grid: tuple[int, int, int]
    """Views, times and bands: (W, T, M)."""
    index: Tensor
    """Place in the flattened grid of all views. (N,) int64"""
    clip: Tensor
    """Clip. (N,) int64"""
    time: Tensor
    """Time in the grid of its clip. (N,) int64"""
    band: Tensor
    """Band. (N,) int64"""
    clip_of_view: Tensor
    """Clip of every view. (W,) int64"""

    @classmethod
    def of(cls, patches: Patches, where: Tensor) -> "Views":
        """Find the chosen patches.

        Args:
            patches: of B clips.
            where: (W, P) bool, W a multiple of B, the views of a clip side by side.
        """
        (views, count), device = where.shape, patches.values.device
        index = where.flatten().nonzero().squeeze(1).to(device)
        view, place = index // count, index % count
        clips = torch.arange(len(patches.values), device=device)
        clip_of_view = clips.repeat_interleave(views // max(1, len(clips)))
        grid = (views, count // patches.bands, patches.bands)
        return cls(
            where, grid, index, clip_of_view[view], place // patches.bands, place % patches.bands, clip_of_view
        )  # fmt: skip

    def counts(self) -> Tensor:
        """Chosen patches of each view. (W,)"""
        return self.where.sum(dim=1)

    def of_patches(self, values: Tensor) -> Tensor:
        """What clips have at the chosen patches. (B, P, ...) -> (N, ...)"""
        return values[self.clip, self.time * self.grid[2] + self.band]

    def on_grid(self, tokens: Tensor, elsewhere: Tensor) -> Tensor:
        """Lay the chosen patches' tokens on the grid. (N, D), and (W * T * M, D) for the rest -> (W, T, M, D)"""
        return elsewhere.index_copy(0, self.index, tokens).view(*self.grid, tokens.size(1))


def mean_of_clips(losses: Tensor, clip: Tensor, clips: int) -> Tensor:
    """Mean of the losses that belong to each clip; 0 where there is none.

    Args:
        losses: (N,).
        clip: the clip of each. (N,) int64
        clips: their number B.

    Returns:
        (B,).
    """
    sums = losses.new_zeros(clips).index_add(0, clip, losses)
    counts = torch.bincount(clip, minlength=clips).clamp(min=1)
    return sums / counts.to(losses.dtype)
