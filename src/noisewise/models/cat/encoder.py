"""CAT, a convolutional audio transformer: several resolutions of a spectrogram in one sequence of tokens.

Han, Zhou, Yang, Wang, Li, Zhang, Qian 2026, "Representation-Regularized Convolutional Audio Transformer for Audio
Understanding", as its code has it. The pre-training objective is in `objective.py`, the head for labels in `tagger.py`.

Legend, against that of the project: B clips, S samples, T times and M bands of the grid of patches, P = T * M, W views
(one or several of each clip), V visible patches of a view, N of all views, p frames and bins of a patch.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.audio.features import FULL_SCALE, LogMel, frame_count
from noisewise.config import TRAINING_ONLY, config
from noisewise.layers.masking import masked_mean, valid_mask, zero_padding
from noisewise.models.cat.multi_resolution import MultiResolutionBlock
from noisewise.models.cat.patch import PatchEmbedding, cut
from noisewise.models.cat.positions_2d import sinusoids_2d
from noisewise.models.cat.post_norm import PostNormLayer
from noisewise.models.cat.views import Patches, Views


@config
class CATConfig:
    """The CAT encoder; the defaults are the base size."""

    kind: Literal["cat"] = "cat"
    stem: Literal["multi_resolution", "patch"] = "multi_resolution"
    """"multi_resolution": convolutions at several strides; "patch": one linear map of each patch."""
    strides: tuple[int, ...] = (4, 8, 16)
    """Strides of the stages in frames and bins; the last is the size of a patch, with either stem."""
    channels: tuple[int, ...] = (256, 384, 768)
    """Channels of the stages; the last is `dim`."""
    blocks: int = 2
    """Masked depth-wise blocks in every stage but the last."""
    bins: int = 128
    """Mel channels, a multiple of the patch."""
    mean: Annotated[float, TRAINING_ONLY] = -4.268
    """Mean of the log-mel values of the corpus (see `statistics`); the default is the paper's for AudioSet. A trained
    model carries its own among its weights."""
    deviation: Annotated[float, TRAINING_ONLY] = 4.569
    """Standard deviation of the log-mel values of the corpus; features are (x - mean) / (2 deviation)."""
    frames: Annotated[int, TRAINING_ONLY] = 0
    """Log-mel frames to which every clip is cut or padded, padding encoded like sound (the paper: 1024 for AudioSet,
    512 for ESC-50, 128 for Speech Commands); 0 keeps the length of each clip and never looks at padding."""
    dim: int = 768
    """Width of the Transformer."""
    layers: int = 11
    """Transformer layers."""
    heads: int = 12
    """Attention heads."""
    feed_forward: int = 3072
    """Inner width of the feed-forward layers."""
    dropout: Annotated[float, TRAINING_ONLY] = 0.0
    """Dropout on attention weights and in the feed-forward layers."""
    drop_path: Annotated[float, TRAINING_ONLY] = 0.0
    """Chance that the last layer's residual branches are dropped in training; it rises evenly from 0 at the first."""
    decoder_layers: Annotated[int, TRAINING_ONLY] = 6
    """Convolutions of the pre-training decoder."""
    decoder_kernel: Annotated[int, TRAINING_ONLY] = 3
    """Taps along a side of the decoder's convolutions."""
    decoder_groups: Annotated[int, TRAINING_ONLY] = 16
    """Groups of the decoder's convolutions."""


@dataclass(frozen=True)
class CATOutput:
    """Features of W views."""

    views: Views
    """Which patches are visible, and where they lie."""

    clip: Tensor
    """The CLS token after the last layer: one vector a view. (W, D)."""
    tokens: Tensor
    """The visible patches in the order of the grid, then padding. (W, V, D)."""
    valid: Tensor | None
    """Which tokens are none of padding; None when all are. (W, V) bool."""
    feed_forwards: dict[int, Tensor]
    """Feed-forward outputs of the layers asked for, counted from 1; CLS first. (W, 1 + V, D) each."""

    def visible(self, tokens: Tensor) -> Tensor:
        """Tokens of every view without padding, in the order of `views`. (W, V, D) -> (N, D)"""
        return tokens.flatten(0, 1) if self.valid is None else tokens[self.valid]

    def pooled(self) -> Tensor:
        """The mean of the valid tokens. (W, D)"""
        if self.valid is None:
            return self.tokens.mean(dim=1)
        return masked_mean(self.tokens, self.valid.unsqueeze(2), dim=1)


class CAT(nn.Module):
    """Log-mel patches, a stem, fixed positions, CLS, post-norm Transformer."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: CATConfig):
        super().__init__()
        self.config = config
        self.dim = config.dim
        self.size = config.strides[-1]
        if config.bins % self.size or config.frames % self.size:
            raise ValueError(
                f"`bins` and `frames` must be multiples of the patch, {self.size}, but are {config.bins} and "
                f"{config.frames} instead"
            )
        self.features = LogMel(bins=config.bins, fft_size=1024)
        self.register_buffer("mean", torch.tensor(config.mean))
        self.register_buffer("deviation", torch.tensor(config.deviation))
        self.hop = self.size * self.features.hop
        self.stem = _stem(config)
        self.cls = nn.Parameter(torch.randn(config.dim))
        self.norm = nn.LayerNorm(config.dim)
        chances = [config.drop_path * layer / max(1, config.layers - 1) for layer in range(config.layers)]
        self.layers = nn.ModuleList(
            PostNormLayer(config.dim, config.heads, config.feed_forward, dropout=config.dropout, drop_path=chance)
            for chance in chances
        )
        self.layers.apply(_initialise)

    def forward(self, waveform: Tensor, lengths: Tensor) -> CATOutput:
        """Encode whole clips. (B, S) float32 at 16 kHz, (B,) -> B views with every patch visible."""
        patches = self.patches(*self.log_mel(waveform, lengths))
        return self.encode(patches, patches.every())

    def log_mel(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised log-mel features, 0 past the end of a clip. (B, S), (B,) -> (B, F, bins), (B,)

        They are those of samples in -1..1, as the paper's statistics are, with a transform of 1024 points, because
        with 512 one of 128 bands holds no frequency.
        """
        features, frames = self.features(waveform / FULL_SCALE, lengths)
        features = (features - self.mean) / (2 * self.deviation)
        return zero_padding(features, frames), frames

    def normalise_by(self, mean: float, deviation: float) -> None:
        """Take the statistics of another corpus."""
        self.mean.fill_(mean)
        self.deviation.fill_(deviation)

    def settled(self) -> CATConfig:
        """The configuration with the statistics that the model has."""
        return replace(self.config, mean=float(self.mean), deviation=float(self.deviation))

    def patches(self, features: Tensor, frames: Tensor) -> Patches:
        """Cut features (B, F, bins) with valid frames (B,) into patches; the last of a clip is filled up with 0."""
        size = self.size
        if self.config.frames:
            features = features[:, : self.config.frames]
            frames = torch.full_like(frames, self.config.frames)
            missing = self.config.frames - features.size(1)
        else:
            missing = -features.size(1) % size if features.size(1) else size
        grid = cut(F.pad(features, (0, 0, 0, missing)), size)  # (B, T, M, p, p)
        times = torch.div(frames + size - 1, size, rounding_mode="floor").clamp(min=1)
        return Patches(grid.flatten(1, 2), times, grid.size(2))

    def encode(self, patches: Patches, where: Tensor, keep: Iterable[int] = ()) -> CATOutput:
        """Encode visible patches, as if there were no others.

        Args:
            patches: of B clips.
            where: patches that are visible in each view; see `Views`. (W, P) bool
            keep: layers, counted from 1, whose feed-forward outputs are kept.
        """
        views = Views.of(patches, where)
        tokens, valid = self.embed(patches, views)  # (W, V, D)
        features = torch.cat((self.cls.expand(len(tokens), 1, -1), tokens), dim=1)
        features = self.norm(features)
        attended = None if valid is None else F.pad(valid, (1, 0), value=True)
        kept, feed_forwards = set(keep), dict[int, Tensor]()
        for number, layer in enumerate(self.layers, start=1):
            features, fed = layer(features, attended)
            if number in kept:
                feed_forwards[number] = fed
        return CATOutput(views, features[:, 0], features[:, 1:], valid, feed_forwards)

    def embed(self, patches: Patches, views: Views) -> tuple[Tensor, Tensor | None]:
        """The stem's tokens of visible patches, with their positions: (W, V, D), and which are valid, (W, V)."""
        tokens = self.stem(views.of_patches(patches.values), views.index, views.grid)  # (N, D)
        positions = sinusoids_2d(*views.grid[1:], self.dim).to(tokens)  # (T, M, D)
        return _packed(tokens + positions[views.time, views.band], views.counts())


def _packed(tokens: Tensor, counts: Tensor) -> tuple[Tensor, Tensor | None]:
    """Tokens of all views as rows of the longest. (N, D), (W,) -> (W, V, D), (W, V) or None"""
    longest = int(counts.max())
    if bool((counts == longest).all()):
        return tokens.view(len(counts), longest, -1), None
    valid = valid_mask(counts, longest).to(tokens.device)
    packed = tokens.new_zeros(*valid.shape, tokens.size(1))
    return packed.masked_scatter(valid.unsqueeze(2), tokens), valid


def statistics(clips: Iterable[Tensor], config: CATConfig) -> tuple[float, float]:
    """Mean and standard deviation of the log-mel values of a corpus, for `CATConfig.mean` and `.deviation`.

    Args:
        clips: waveforms, one at a time. (S,) each, at 16 kHz.
        config: of the model to be trained.

    Raises:
        ValueError: no clip has a whole frame.
    """
    log_mel = LogMel(bins=config.bins, fft_size=1024)
    count, total, squares = 0, 0.0, 0.0
    for clip in clips:
        if frame_count(len(clip)) == 0:
            continue
        values = log_mel(clip[None].cpu() / FULL_SCALE, torch.tensor([len(clip)]))[0].double()
        count, total, squares = (
            count + values.numel(),
            total + float(values.sum()),
            squares + float(values.square().sum()),
        )
    if count == 0:
        raise ValueError("`clips` must hold a clip of 25 ms or more, but hold none; check the corpus")
    mean = total / count
    return mean, max(squares / count - mean**2, 0.0) ** 0.5


def tiny() -> CATConfig:
    """A size for two processor cores: 192 wide, 6 layers. Of noisewise; the authors' code defines no tiny."""
    return CATConfig(channels=(64, 96, 192), dim=192, layers=6, heads=3, feed_forward=768, decoder_layers=3)


def small() -> CATConfig:
    """384 wide, 11 layers. Of noisewise; the authors' code defines no small."""
    return CATConfig(channels=(128, 192, 384), dim=384, heads=6, feed_forward=1536)


def base() -> CATConfig:
    """The paper's model: 88,774,784 parameters, and 91,360,640 with the decoder."""
    return CATConfig()


def large() -> CATConfig:
    """The width and depth of the code's large configuration, with the Multi-resolution Block (its own has none)."""
    return CATConfig(
        channels=(256, 384, 1024),
        dim=1024,
        layers=24,
        heads=16,
        feed_forward=4096,
        decoder_layers=3,
        decoder_kernel=5,
    )


def base_patch() -> CATConfig:
    """The base size without convolutions, EAT's architecture: 12 layers, 87,840,000 parameters with the decoder."""
    return CATConfig(stem="patch", layers=12)


def _stem(config: CATConfig) -> nn.Module:
    if config.stem == "patch":
        return PatchEmbedding(config.strides[-1], config.dim)
    stem = MultiResolutionBlock(config.strides, config.channels, config.dim, config.blocks)
    _initialise(stem.projection)
    return stem


def _initialise(module: nn.Module) -> None:
    """The Transformer's linear maps, and the last one of the stem, start as BERT's do."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
