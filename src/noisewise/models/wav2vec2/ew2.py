"""Enhanced wav2vec 2.0 (EW2): predict quantized latents of clean speech from noisy input.

Zhu et al., ICASSP 2022; Wav2code Sec. II-A, Eq. 1 to 6.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from noisewise.config import config
from noisewise.layers.masking import masked_mean, valid_mask
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config
from noisewise.models.wav2vec2.pretraining import (
    ContrastConfig,
    ContrastOutput,
    Wav2Vec2Pretraining,
    Wav2Vec2PretrainingConfig,
)


@config
class EW2Config:
    """EW2; the defaults are the paper's sizes."""

    kind: Literal["ew2"] = "ew2"
    encoder: Wav2Vec2Config = Wav2Vec2Config()
    """Feature encoder, shared by noisy and clean speech, and Transformer."""
    contrast: ContrastConfig = ContrastConfig()
    """Masking, quantizer and contrast."""
    clean_detach: bool = False
    """Whether the clean latents are targets without a gradient. Not specified by the paper; no source mentions a
    stop-gradient."""
    consistency_after_norm: bool = True
    """Whether L_c compares latents after their LayerNorm. Not specified by the paper; after it, the loss cannot fall by
    shrinking the latents."""
    consistency_reduction: Literal["mean", "sum"] = "mean"
    """Reduction of L_c over the channels of a frame. Eq. 6 reads as a sum; the mean keeps the weight 1 in the range of
    L_m."""

    def build(self) -> "EW2":
        """The model, randomly initialised."""
        return EW2(self)


@dataclass(frozen=True)
class EW2Output:
    """What the four losses need."""

    contrast: ContrastOutput
    """Contrast of masked noisy frames with clean targets; its latents are F_n of Eq. 1."""
    clean: Tensor
    """F_c of Eq. 1. (B, F, C)"""


class EW2(Wav2Vec2Pretraining):
    """wav2vec 2.0 whose Transformer encodes noisy speech and whose quantizer is given the same speech clean."""

    def __init__(self, config: EW2Config):
        super().__init__(Wav2Vec2PretrainingConfig(encoder=config.encoder, contrast=config.contrast))
        self.config = config

    def forward_pair(self, noisy: Tensor, clean: Tensor, lengths: Tensor, step: int = 0) -> EW2Output:
        """Both through one feature encoder (Eq. 1), then Eq. 2 and 3.

        Args:
            noisy: X_n. (B, T) float32 at 16 kHz.
            clean: X_c, sample for sample the same speech. (B, T)
            lengths: valid samples. (B,)
            step: sets the Gumbel temperature.
        """
        latents, frames = self.encoder.latents(torch.cat((noisy, clean)), torch.cat((lengths, lengths)))
        noisy_latents, targets = latents.chunk(2)  # F_n and F_c
        if self.config.clean_detach:
            targets = targets.detach()
        return EW2Output(self.masked_contrast(noisy_latents, targets, frames[: len(noisy)], step), targets)

    def pair_feature_penalty(self, output: EW2Output) -> Tensor:
        """L_f over both branches: the mean of the two. ()"""
        squares = output.clean.float().square().mean(dim=-1)  # (B, F)
        clean = masked_mean(squares, valid_mask(output.contrast.frames, squares.size(1)))
        return (self.feature_penalty(output.contrast) + clean) / 2

    def consistency_loss(self, output: EW2Output) -> Tensor:
        """L_c, Eq. 6: squared distance between noisy and clean latents, mean over valid frames. ()"""
        noisy, clean = output.contrast.latents, output.clean
        if self.config.consistency_after_norm:
            noisy, clean = self.encoder.norm(noisy), self.encoder.norm(clean)
        distances = (noisy.float() - clean.float()).square()
        each = distances.sum(dim=-1) if self.config.consistency_reduction == "sum" else distances.mean(dim=-1)
        return masked_mean(each, valid_mask(output.contrast.frames, each.size(1)))
