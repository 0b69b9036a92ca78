"""Representation Regularisation of CAT: pull what the student makes of a clip towards frozen external encoders.

The paper's code regresses one pooled vector a clip from the CLS token. Beyond it: several encoders, their frames as
well as their clip vectors, cosine and contrastive forms.

Legend: B clips, W views, N predictions, G frames of an external encoder, E its width, D of the student, T times of
the grid.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.config import config

Form = Literal["mse", "cosine", "contrastive"]


@config
class AlignmentConfig:
    """Alignment with one external encoder; the defaults are CLAP's in the paper's code."""

    encoder: str
    """Name under which the encoder's features come with a batch."""
    dim: int = 512
    """Width of the encoder's features."""
    weight: float = 384.0
    """Weight of the mean loss (lambda); the code's lambda times its views a processor, 384 (docs/papers/cat.md)."""
    level: Literal["clip", "frames"] = "clip"
    """"clip": the CLS token against one vector a clip; "frames": each visible token against the encoder's features of
    its time."""
    form: Form = "mse"
    """"mse": squared error summed over dimensions, through the root of their number; "cosine": 1 - cosine;
    "contrastive": which of the batch is it (its value depends on the batch)."""
    layer: int = 0
    """Student layer, counted from 1, whose feed-forward output is aligned; 0 for the final output."""
    temperature: float = 0.1
    """Temperature of the contrastive form."""


@dataclass(frozen=True)
class External:
    """What a frozen encoder made of the clips of a batch."""

    features: Tensor
    """One vector a clip (B, E), or its frames (B, G, E)."""
    lengths: Tensor | None = None
    """Valid frames of each clip, None when all are or there is one vector. (B,) int64."""

    def clip(self) -> Tensor:
        """One vector a clip, the mean over valid frames. (B, E)"""
        if self.features.ndim == 2:
            return self.features
        return torch.stack([frames.mean(dim=0) for frames in self._each()])

    def times(self, times: Tensor) -> Tensor:
        """Frames averaged over each time of CAT's grid; both span the clip evenly. (B,) -> (B, T, E)"""
        if self.features.ndim != 3:
            raise ValueError("`features` must be frames, (B, G, E), but are one vector a clip; align at level 'clip'")
        pooled = self.features.new_zeros(len(times), int(times.max()), self.features.size(2))
        for row, (frames, count) in enumerate(zip(self._each(), times.tolist(), strict=True)):
            pooled[row, :count] = F.adaptive_avg_pool1d(frames.T[None], count)[0].T
        return pooled

    def _each(self) -> list[Tensor]:
        """Valid frames of each clip, (G, E) each."""
        if self.lengths is None:
            return list(self.features)
        return [frames[:count] for frames, count in zip(self.features, self.lengths.tolist(), strict=True)]


class Alignment(nn.Module):
    """A linear head on the student and the distance of what it gives from an external encoder's features."""

    def __init__(self, config: AlignmentConfig, dim: int):
        super().__init__()
        self.config = config
        self.head = nn.Linear(dim, config.dim)

    @property
    def name(self) -> str:
        """Name of the loss term."""
        return self.config.encoder if self.config.level == "clip" else f"{self.config.encoder}_frames"

    def forward(self, features: Tensor, targets: Tensor, which: Tensor) -> Tensor:
        """Distance of each prediction.

        Args:
            features: the student's. (N, D)
            targets: every target of the batch. (M, E)
            which: the target that belongs to each prediction. (N,) int64.

        Returns:
            (N,) float32.
        """
        predicted, targets = self.head(features).float(), targets.detach().float()
        if predicted.size(1) != targets.size(1):
            raise ValueError(
                f"features of `{self.config.encoder}` must have {predicted.size(1)} dimensions, but have "
                f"{targets.size(1)} instead; set `dim` of the alignment"
            )
        return distance(self.config.form, predicted, targets, which, self.config.temperature)


def distance(form: Form, predicted: Tensor, targets: Tensor, which: Tensor, temperature: float = 0.1) -> Tensor:
    """(N, E), (M, E), (N,) -> (N,)"""
    match form:
        case "mse":
            return scaled_square(predicted, targets[which])
        case "cosine":
            return 1 - F.cosine_similarity(predicted, targets[which], dim=1)
        case "contrastive":
            likeness = F.normalize(predicted, dim=1) @ F.normalize(targets, dim=1).T  # (N, M)
            return F.cross_entropy(likeness / temperature, which, reduction="none")


def scaled_square(predicted: Tensor, target: Tensor) -> Tensor:
    """|p - y|^2 / sqrt(D), the squared error of data2vec 2.0, EAT and CAT. (N, D), (N, D) -> (N,)"""
    return (predicted - target).square().sum(dim=-1) / math.sqrt(predicted.size(-1))
