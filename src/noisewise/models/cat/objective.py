"""Pre-training of CAT: masked latent prediction against an EMA teacher, with representation regularisation.

    L_clip = w_frame mean_masked |p - y|^2 / sqrt(D) + w_utterance mean_views |CLS - mean(y)|^2 / sqrt(D)
             + sum_e lambda_e mean_views R_e

Every term is a mean over a clip's masked tokens or views, so nothing changes with batch size, accumulation or
processes; the contrastive form of R alone depends on the batch. How these weights follow from those of the paper's
code is in docs/papers/cat.md. Legend as in
`encoder.py`: B clips, W views, N tokens, P patches.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.config import config
from noisewise.layers.masking import normalised_over, valid_mask
from noisewise.models.cat.alignment import Alignment, AlignmentConfig, External, scaled_square
from noisewise.models.cat.decoder import PatchDecoder
from noisewise.models.cat.encoder import CAT, CATConfig, CATOutput
from noisewise.models.cat.inverse_block import inverse_block_where
from noisewise.models.cat.views import Patches, Views, mean_of_clips
from noisewise.models.model import Model


@config
class CATObjectiveConfig:
    """The pre-training objective; the defaults are the paper's code for its base model, without external encoders."""

    kind: Literal["cat"] = "cat"
    views: int = 4
    """Views of each clip, each with a mask of its own (clones)."""
    mask_probability: float = 0.8
    """Share of patches that is hidden."""
    mask_block: int = 5
    """Patches along a side of the blocks that stay visible."""
    mask_adjust: float = 0.07
    """Share of patches added to the blocks before they are trimmed to the exact count, because blocks overlap."""
    noise: float = 0.01
    """Standard deviation of the noise that stands for hidden patches in the decoder."""
    target_layers: int = 0
    """Last teacher layers whose feed-forward outputs make the target; 0 for all."""
    frame_weight: float = 1.0
    """Weight of the mean frame loss."""
    utterance_weight: float = 384.0
    """Weight of the mean utterance loss; 1 in the code is 1 times its views a processor, 384 (docs/papers/cat.md)."""
    alignments: tuple[AlignmentConfig, ...] = ()
    """External encoders whose features the student is aligned with."""
    decay_start: float = 0.9998
    """EMA decay of the teacher in the beginning."""
    decay_end: float = 0.99999
    """EMA decay of the teacher in the end."""
    decay_updates: int = 100_000
    """Updates over which the decay rises, a quarter of the paper's training."""


@config
class CATPretrainingConfig:
    """CAT with what its pre-training needs."""

    kind: Literal["cat_pretraining"] = "cat_pretraining"
    encoder: CATConfig = CATConfig()
    """Student and teacher."""
    objective: CATObjectiveConfig = CATObjectiveConfig()
    """What the student learns."""

    def build(self) -> "CATPretraining":
        """The model, randomly initialised."""
        return CATPretraining(self.encoder, self.objective)


@dataclass(frozen=True)
class CATLosses:
    """Terms of each clip, not weighted, and what is to be minimised."""

    total: Tensor
    """Weighted sum of the terms. (B,) float32."""
    frame: Tensor
    """Mean over masked tokens of the distance from the teacher. (B,)"""
    utterance: Tensor
    """Mean over views of the distance of CLS from the mean of the target. (B,)"""
    alignments: dict[str, Tensor]
    """Mean distance from each external encoder. (B,) each."""


class CATPretraining(Model):
    """Student, EMA teacher, decoder, and a regularisation head for each external encoder."""

    has_static_shapes = False

    def __init__(self, model: CATConfig, config: CATObjectiveConfig):
        super().__init__()
        self.config = config
        self.student = CAT(model)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False).eval()
        self.decoder = PatchDecoder(model.dim, model.decoder_layers, model.decoder_kernel, model.decoder_groups)
        self.alignments = nn.ModuleList(Alignment(each, model.dim) for each in config.alignments)
        self._check(model.layers)

    @property
    def encoder(self) -> CAT:
        """What the next stage starts from: the student."""
        return self.student

    def normalise_by(self, mean: float, deviation: float) -> None:
        """Take the statistics of a corpus."""
        for each in (self.student, self.teacher):
            each.normalise_by(mean, deviation)

    def forward(self, waveform: Tensor, lengths: Tensor, external: Mapping[str, External] | None = None) -> CATLosses:
        """Losses of clips under masks drawn from torch's default generator.

        Args:
            waveform: (B, S) float32 at 16 kHz.
            lengths: valid samples. (B,)
            external: features of the clips by the name of the encoder; one for every alignment.
        """
        patches = self.student.patches(*self.student.log_mel(waveform, lengths))
        return self.losses(patches, self.visible(patches), external or {})

    def visible(self, patches: Patches) -> Tensor:
        """Draw the visible patches of each view. -> (W, P) bool on the processor, the views of a clip side by side."""
        config = self.config
        return inverse_block_where(
            patches.times.cpu().repeat_interleave(config.views),
            patches.bands,
            patches.values.size(1) // patches.bands,
            config.mask_probability,
            block=config.mask_block,
            adjust=config.mask_adjust,
        )

    def losses(self, patches: Patches, where: Tensor, external: Mapping[str, External]) -> CATLosses:
        """Losses of clips.

        Args:
            patches: of B clips.
            where: patches that are visible in each view. (W, P) bool
            external: features of the clips by the name of the encoder.
        """
        target, mean_target = self.targets(patches)  # (B, V, D), (B, D)
        output = self.student.encode(patches, where, {each.layer for each in self.config.alignments})
        frame = self.frame_loss(patches, output, target)
        utterance = self.utterance_loss(output, mean_target)
        alignments = {
            module.name: self.alignment_loss(module, patches, output, external)
            for module in self.alignments
            if isinstance(module, Alignment)
        }
        total = self.config.frame_weight * frame + self.config.utterance_weight * utterance
        for each, distance in zip(self.config.alignments, alignments.values(), strict=True):
            total = total + each.weight * distance
        return CATLosses(total, frame, utterance, alignments)

    @torch.no_grad()
    def targets(self, patches: Patches) -> tuple[Tensor, Tensor]:
        """Targets: features of the teacher, to which no patch is masked.

        The feed-forward outputs of its last layers, each with mean 0 and variance 1 over the tokens in every channel,
        are averaged and normalised over channels.

        Returns:
            the target of every token (B, V, D), 0 at padding, and its mean over tokens (B, D), in float32.
        """
        layers = len(self.teacher.layers)
        first = layers - self.config.target_layers if self.config.target_layers else 0
        output = self.teacher.encode(patches, patches.every().cpu(), range(first + 1, layers + 1))
        total = torch.zeros_like(output.tokens, dtype=torch.float32)
        for fed in output.feed_forwards.values():
            total += instance_normalised(fed[:, 1:].float(), output.valid)
        target = F.layer_norm(total / len(output.feed_forwards), (self.teacher.dim,))
        if output.valid is not None:
            target = target * output.valid.unsqueeze(2)
        return target, target.sum(dim=1) / patches.lengths.unsqueeze(1)

    def frame_loss(self, patches: Patches, output: CATOutput, target: Tensor) -> Tensor:
        """Distance of the decoder's predictions from the target, over masked tokens.

        Args:
            patches: of B clips.
            output: of the student, for views of them.
            target: the teacher's. (B, P, D)

        Returns:
            (B,) float32.
        """
        every = patches.every().cpu().repeat_interleave(self.config.views, dim=0)  # (W, P)
        masked = Views.of(patches, every & ~output.views.where)
        grid = self.fill(output)
        valid = None if bool(every.all()) else every.view(grid.shape[:3]).to(target.device)
        predicted = self.decoder(grid, masked.index, valid)  # (N, D)
        distances = scaled_square(predicted.float(), masked.of_patches(target))
        return mean_of_clips(distances, masked.clip, len(target))

    def fill(self, output: CATOutput) -> Tensor:
        """The student's tokens on their grid, noise where patches are masked. -> (W, T, M, D)"""
        tokens = output.visible(output.tokens)
        size = (output.views.where.numel(), tokens.size(1))
        noise = torch.randn(size, device=tokens.device, dtype=tokens.dtype)
        return output.views.on_grid(tokens, noise * self.config.noise)

    def utterance_loss(self, output: CATOutput, mean_target: Tensor) -> Tensor:
        """Distance of the CLS token from the mean of the target, over views. -> (B,)"""
        expected = mean_target.repeat_interleave(self.config.views, dim=0)
        return scaled_square(output.clip.float(), expected).view(len(mean_target), -1).mean(dim=1)

    def alignment_loss(
        self, alignment: Alignment, patches: Patches, output: CATOutput, external: Mapping[str, External]
    ) -> Tensor:
        """Distance of the student's CLS, or of its visible tokens, from an external encoder's features.

        Args:
            alignment: the head of that encoder.
            patches: of B clips.
            output: of the student, for views of them.
            external: features of the clips by the name of the encoder.

        Returns:
            (B,) float32.

        Raises:
            ValueError: there are no features of that encoder.
        """
        config, views, clips = alignment.config, output.views, len(patches.times)
        if config.encoder not in external:
            raise ValueError(
                f"`external` must hold features of `{config.encoder}`, but holds {sorted(external)} instead; "
                "embed the corpus with that encoder"
            )
        given = external[config.encoder]
        layer = None if config.layer == 0 else output.feed_forwards[config.layer]  # (W, 1 + V, D)
        if config.level == "clip":
            cls = output.clip if layer is None else layer[:, 0]
            return mean_of_clips(alignment(cls, given.clip(), views.clip_of_view), views.clip_of_view, clips)
        tokens = output.visible(output.tokens if layer is None else layer[:, 1:])  # (N, D)
        targets = given.times(patches.times)  # (B, T, E), of which each clip has its valid times
        first = patches.times.cumsum(0) - patches.times  # (B,), its first among those of all clips
        targets = targets[valid_mask(patches.times, targets.size(1))]
        return mean_of_clips(alignment(tokens, targets, first[views.clip] + views.time), views.clip, clips)

    def decay(self, update: int) -> float:
        """Decay of the teacher at an update: it rises evenly, then stays."""
        passed = min(1.0, update / self.config.decay_updates) if self.config.decay_updates else 1.0
        return self.config.decay_start + passed * (self.config.decay_end - self.config.decay_start)

    @torch.no_grad()
    def update_teacher(self, update: int) -> None:
        """Move the teacher towards the student (EMA); after every step of the optimizer, in float32."""
        share = 1 - self.decay(update)
        for teacher, student in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            teacher.lerp_(student.to(teacher.dtype), share)

    def train(self, mode: bool = True) -> Self:
        """Train the student; the teacher is always in evaluation."""
        super().train(mode)
        self.teacher.eval()
        return self

    def _check(self, layers: int) -> None:
        asked = [self.config.target_layers, *(each.layer for each in self.config.alignments)]
        if not all(0 <= each <= layers for each in asked) or self.config.views < 1:
            raise ValueError(
                f"`target_layers` and `layer` must be between 0 and {layers} and `views` 1 or more, but are {asked} "
                f"and {self.config.views} instead"
            )
        if self.student.config.frames and any(each.level == "frames" for each in self.config.alignments):
            raise ValueError(
                "`frames` must be 0 for alignments of level frames, but is "
                f"{self.student.config.frames} instead: cut or padded clips last longer or shorter than their vectors"
            )
        names = [module.name for module in self.alignments if isinstance(module, Alignment)]
        if len(set(names)) < len(names):
            raise ValueError(f"`alignments` must differ in encoder or level, but are {names}; give each a name")


def instance_normalised(features: Tensor, valid: Tensor | None, eps: float = 1e-5) -> Tensor:
    """Mean 0 and variance 1 over the valid tokens of each channel of each clip. (B, V, D), (B, V) -> (B, V, D)"""
    if valid is None:
        valid = torch.ones((), dtype=torch.bool, device=features.device).expand(features.shape[:2])
    return normalised_over(features, valid.unsqueeze(2), dim=1, eps=eps)


def code_weight(nominal: float, clips: int, views: int) -> float:
    """The weight of a mean loss here that acts as `nominal` does in the paper's code.

    The code multiplies its utterance and regularisation losses by the number of masked tokens, sums them over the
    views of a processor, and divides all by the masked tokens: so they weigh `clips * views` times what is written.

    Args:
        nominal: `cls_loss` or `clap_loss` of the code.
        clips: on one processor, in one micro-batch (the code: 96).
        views: of each clip (the code: 4).
    """
    return nominal * clips * views
