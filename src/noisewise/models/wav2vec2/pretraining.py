"""wav2vec 2.0 pre-training: tell the quantized latent of a masked frame from those of other masked frames.

Baevski, Zhou, Mohamed, Auli 2020, Sec. 3, as fairseq trains it. Legend: M masked frames of an utterance, n of the
batch, Q width of the contrast, K negatives, G groups of the quantizer with V entries each.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.config import config
from noisewise.layers.masking import masked_mean, valid_mask
from noisewise.layers.quantizer import GumbelQuantizer, Quantized, entry_perplexity
from noisewise.layers.span_masking import span_where
from noisewise.models.model import Model
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config, Wav2Vec2Encoder


@config
class ContrastConfig:
    """Masking, quantizer and contrast; the defaults are BASE as fairseq trains it."""

    mask_probability: float = 0.65
    """Frames masked, before overlaps: p = 0.065 starts a frame, times the span."""
    mask_span: int = 10
    """Frames masked from each start (M of the paper)."""
    groups: int = 2
    """Groups of the quantizer."""
    entries: int = 320
    """Entries of a group."""
    quantized_dim: int = 256
    """Width of the quantized frames, all groups together."""
    contrast_dim: int = 256
    """Width of the space in which frames are compared."""
    feature_dropout: float = 0.1
    """Dropout before the quantizer."""
    negatives: int = 100
    """Negatives (K), the paper's distractors, sampled from the other masked frames of the utterance."""
    contrast_temperature: float = 0.1
    """Temperature of the cosine similarities (kappa)."""
    gumbel_start: float = 2.0
    """Temperature of the Gumbel softmax at step 0."""
    gumbel_end: float = 0.5
    """Lowest temperature of the Gumbel softmax."""
    gumbel_decay: float = 0.999995
    """Factor on the temperature per step; for a run of 400,000 steps, so a short run needs a smaller one."""


@config
class Wav2Vec2PretrainingConfig:
    """wav2vec 2.0 before fine-tuning."""

    kind: Literal["wav2vec2_pretraining"] = "wav2vec2_pretraining"
    encoder: Wav2Vec2Config = Wav2Vec2Config()
    """Feature encoder and Transformer."""
    contrast: ContrastConfig = ContrastConfig()
    """Masking, quantizer and contrast."""

    def build(self) -> "Wav2Vec2Pretraining":
        """The model, randomly initialised."""
        return Wav2Vec2Pretraining(self)


@dataclass(frozen=True)
class ContrastOutput:
    """What the losses and their monitors need."""

    similarities: Tensor
    """Cosine of each masked frame's context with its own quantized latent (first) and K others, over kappa;
    -inf for a negative with the same entries. (n, 1 + K)"""
    quantized: Quantized
    """The quantized latents of the n masked frames."""
    latents: Tensor
    """f(X) before any norm. (B, F, C)"""
    frames: Tensor
    """Valid frames. (B,)"""
    where: Tensor
    """Masked frames. (B, F) bool"""


class Wav2Vec2Pretraining(Model):
    """Feature encoder, Transformer, quantizer and the two projections into the contrast."""

    encoder: Wav2Vec2Encoder

    def __init__(self, config: Wav2Vec2PretrainingConfig):
        super().__init__()
        contrast = config.contrast
        self.contrast = contrast
        self.encoder = Wav2Vec2Encoder(config.encoder)
        self.feature_dropout = nn.Dropout(contrast.feature_dropout)
        self.quantizer = GumbelQuantizer(
            config.encoder.front_end.channels, contrast.groups, contrast.entries, contrast.quantized_dim
        )
        self.target_projection = nn.Linear(contrast.quantized_dim, contrast.contrast_dim)
        self.context_projection = nn.Linear(config.encoder.dim, contrast.contrast_dim)

    def gumbel_temperature(self, step: int) -> float:
        """Temperature of the quantizer after so many steps."""
        contrast = self.contrast
        return max(contrast.gumbel_start * contrast.gumbel_decay**step, contrast.gumbel_end)

    def forward(self, waveform: Tensor, lengths: Tensor, step: int = 0) -> ContrastOutput:
        """Mask frames, contextualise all, and compare; targets are latents of the same waveform.

        Args:
            waveform: (B, T) float32 at 16 kHz.
            lengths: valid samples. (B,)
            step: how far training is; sets the Gumbel temperature.
        """
        latents, frames = self.encoder.latents(waveform, lengths)
        return self.masked_contrast(latents, latents, frames, step)

    def masked_contrast(self, latents: Tensor, targets: Tensor, frames: Tensor, step: int) -> ContrastOutput:
        """Mask frames of the latents, quantize the same frames of the targets, and compare.

        Args:
            latents: Z, what the Transformer sees. (B, F, C)
            targets: latents that the quantizer sees, Z again or those of clean speech. (B, F, C)
            frames: valid frames. (B,)
            step: sets the Gumbel temperature.
        """
        encoder, contrast = self.encoder, self.contrast
        where = span_where(frames, latents.size(1), contrast.mask_probability, contrast.mask_span, least=2)
        where = where & (where.sum(dim=1, keepdim=True) >= 2)  # a lone masked frame has no negative
        features = torch.where(where.unsqueeze(-1), encoder.mask_embedding.to(latents.dtype), encoder.project(latents))
        context = encoder.contextualise(features, frames)
        quantized = self.quantizer(
            self.feature_dropout(encoder.norm(targets[where])), self.gumbel_temperature(step)
        )  # fmt: skip
        similarities = contrastive_logits(
            self.context_projection(context[where]),
            self.target_projection(quantized.vectors),
            quantized.ids,
            where.sum(dim=1),
            contrast.negatives,
        )
        return ContrastOutput(similarities / contrast.contrast_temperature, quantized, latents, frames, where)

    def contrastive_loss(self, output: ContrastOutput) -> Tensor:
        """L_m, Eq. 3 of wav2vec 2.0 and Eq. 5 of Wav2code: mean over masked frames, 0 if there are none. ()"""
        losses = output.similarities.logsumexp(dim=-1) - output.similarities[:, 0]
        return losses.sum() / max(len(losses), 1)

    def diversity_loss(self, output: ContrastOutput) -> Tensor:
        """L_d: the share of entries that is not used, (GV - perplexity) / GV. ()"""
        total = self.quantizer.groups * self.quantizer.size
        return 1 - entry_perplexity(output.quantized.probabilities) / total

    def feature_penalty(self, output: ContrastOutput) -> Tensor:
        """L_f: mean square of the latents of valid frames, before their norm. ()"""
        squares = output.latents.float().square().mean(dim=-1)  # (B, F)
        return masked_mean(squares, valid_mask(output.frames, squares.size(1)))


def contrastive_logits(context: Tensor, targets: Tensor, ids: Tensor, counts: Tensor, negatives: int) -> Tensor:
    """Cosine of each context with its own target and with drawn targets of the same utterance.

    All pairs of an utterance are compared at once and the drawn ones picked out: the vectors of 100 negatives
    for each frame are never written to memory.

    Args:
        context: (n, Q), utterance after utterance.
        targets: (n, Q), likewise.
        ids: what the quantizer chose; the same ids are the same target. (n, G)
        counts: masked frames of each utterance, which sum to n. (B,)
        negatives: negatives for each frame (K).

    Returns:
        (n, 1 + K) float32; -inf where a negative is the frame's own target under another name.
    """
    context = F.normalize(context.float(), dim=-1)
    targets = F.normalize(targets.float(), dim=-1)
    sizes = counts.tolist()
    parts = zip(torch.split(context, sizes), torch.split(targets, sizes), torch.split(ids, sizes), strict=True)
    with torch.autocast(context.device.type, enabled=False):
        rows = [_utterance_logits(own, other, codes, negatives) for own, other, codes in parts if len(own)]
    return torch.cat(rows) if rows else context.new_zeros(0, 1 + negatives)


def _utterance_logits(own: Tensor, other: Tensor, codes: Tensor, negatives: int) -> Tensor:
    """One utterance's part of `contrastive_logits`. (M, Q), (M, Q), (M, G) -> (M, 1 + K)"""
    drawn = sample_negatives(len(own), negatives, own.device)  # (M, K)
    pairs = own @ other.T  # (M, M)
    same = (codes[:, None, :] == codes[None, :, :]).all(dim=-1)
    sampled = pairs.gather(1, drawn).masked_fill(same.gather(1, drawn), float("-inf"))
    return torch.cat((pairs.diagonal()[:, None], sampled), dim=1)


def sample_negatives(frames: int, negatives: int, device: torch.device) -> Tensor:
    """For each of `frames`, `negatives` frames drawn uniformly from the others, with replacement. (M, K)"""
    drawn = torch.randint(frames - 1, (frames, negatives)).to(device)
    return drawn + (drawn >= torch.arange(frames, device=device)[:, None]).long()
