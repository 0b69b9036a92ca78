"""Stage 2 of Wav2code: a codebook of clean speech (Hu et al. 2023, Sec. II-B, Eq. 7 to 10)."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from noisewise.config import config
from noisewise.layers.codebook import Codebook
from noisewise.layers.masking import masked_mean, valid_mask
from noisewise.models.any_encoder import EncoderConfig, build_encoder
from noisewise.models.encoder import Encoder
from noisewise.models.model import Model
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config

Reduction = Literal["mean", "sum"]


@config
class CodebookLearningConfig:
    """Stage 2: a codebook of clean speech representations."""

    kind: Literal["codebook_learning"] = "codebook_learning"
    encoder: EncoderConfig = Wav2Vec2Config()
    """The encoder of stage 1, or any other."""
    codes: int = 1024
    """Entries of the codebook (N)."""

    def build(self) -> "CodebookLearning":
        """The model, randomly initialised."""
        return CodebookLearning(self)


@dataclass(frozen=True)
class CodebookOutput:
    """Clean speech as the encoder and as the codebook represent it."""

    representations: Tensor
    """Z_c of Eq. 7. (B, F, D)"""
    quantized: Tensor
    """Z_c^q of Eq. 8, with gradient to the codebook. (B, F, D)"""
    ids: Tensor
    """E of Eq. 9. (B, F) int64"""
    lengths: Tensor
    """Valid frames. (B,)"""


class CodebookLearning(Model):
    """An encoder and the codebook of its clean representations."""

    encoder: Encoder

    def __init__(self, config: CodebookLearningConfig):
        super().__init__()
        self.encoder = build_encoder(config.encoder)
        self.codebook = Codebook(config.codes, self.encoder.dim)

    def forward(self, waveform: Tensor, lengths: Tensor) -> CodebookOutput:
        """Eq. 7 to 9. (B, T), (B,) -> representations and their codes."""
        output = self.encoder(waveform, lengths)
        ids = self.codebook.nearest(output.features)
        return CodebookOutput(output.features, self.codebook.lookup(ids), ids, output.lengths)

    def inference_pass(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Representations and the search for their codes. (B, T), (B,) -> valid frames (B,)"""
        frames: Tensor = self(waveform, lengths).lengths
        return frames

    def codebook_loss(self, output: CodebookOutput, reduction: Reduction = "mean") -> Tensor:
        """First term of Eq. 10, ||sg(Z_c) - Z_c^q||^2: moves the codes; mean over valid frames. ()"""
        distances = squared_distance(output.representations.detach(), output.quantized, output.lengths, reduction)
        return masked_mean(distances, valid_mask(output.lengths, distances.size(1)))

    def commitment_loss(self, output: CodebookOutput, reduction: Reduction = "mean") -> Tensor:
        """Second term of Eq. 10 without its beta, ||Z_c - sg(Z_c^q)||^2: moves the encoder. ()"""
        distances = squared_distance(output.representations, output.quantized.detach(), output.lengths, reduction)
        return masked_mean(distances, valid_mask(output.lengths, distances.size(1)))


def squared_distance(first: Tensor, second: Tensor, lengths: Tensor, reduction: Reduction) -> Tensor:
    """Squared distance of each frame; 0 in padding.

    Args:
        first: one side. (B, F, D)
        second: the other side. (B, F, D)
        lengths: valid frames. (B,)
        reduction: over the width D.

    Returns:
        (B, F) float32.
    """
    distances = (first.float() - second.float()).square()
    each = distances.sum(dim=-1) if reduction == "sum" else distances.mean(dim=-1)
    return each * valid_mask(lengths, each.size(1))
