"""Wav2code: restore clean speech representations by looking them up in a codebook.

Hu, Chen, Zhu, Chng 2023, Sec. II-B (codebook learning, Eq. 7 to 10) and II-C (code prediction, Eq. 11 to 14); the
fusion of Sec. II-D is in `iff_net.py`. Legend, beside that of the project: D_p width of the code predictor.
"""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.config import config
from noisewise.layers.codebook import Codebook
from noisewise.layers.masking import masked_mean, masked_sum, valid_mask, zero_padding
from noisewise.models.any_encoder import EncoderConfig, build_encoder
from noisewise.models.encoder import Encoder
from noisewise.models.model import AcousticModel, outputs
from noisewise.models.wav2code.codebook_learning import Reduction, squared_distance
from noisewise.models.wav2code.iff_net import FusionConfig, IFFNetConfig, build_fusion
from noisewise.models.wav2code.predictor import PredictorConfig, TransformerPredictorConfig, build_predictor
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config


@config
class Wav2CodeConfig:
    """Stage 3: predict clean codes from noisy speech, fuse, recognise."""

    kind: Literal["wav2code"] = "wav2code"
    encoder: EncoderConfig = Wav2Vec2Config()
    """The encoder of stage 1, or any other."""
    codes: int = 1024
    """Entries of the codebook (N); as in stage 2."""
    predictor: PredictorConfig = TransformerPredictorConfig()
    """How codes are found."""
    fusion: FusionConfig = IFFNetConfig()
    """How noisy and restored representations are joined."""
    gumbel_temperature: float = 1.0
    """Temperature of the Gumbel softmax. Not specified by the paper; 1 leaves the logits as they are."""
    gumbel_noise: bool = True
    """Whether codes are drawn in training or the most probable is taken, gradients passing straight through either
    way. The paper names Gumbel softmax; without the draw, short training is steadier."""
    look_up: Literal["hard", "soft"] = "hard"
    """Whether one entry of the codebook is looked up, or the mean of all by their probability is taken. The paper has
    IDs, so one; the mean is what a soft Gumbel softmax gives, and is kinder while many codes are wrong."""
    vocabulary: int | None = 30
    """Tokens (null: those of the recipe's tokenizer), the blank (id 0) included (V; Sec. III-B)."""
    dropout: float = 0.1
    """Dropout before the linear layer."""

    def build(self) -> "Wav2Code":
        """The model, randomly initialised."""
        return Wav2Code(self)


@dataclass(frozen=True)
class Restoration:
    """What stage 3 makes of noisy speech."""

    noisy: Tensor
    """Z_n. (B, F, D)"""
    restored: Tensor
    """Z_n^q: the entries of the chosen codes. (B, F, D)"""
    fused: Tensor
    """Z_f of Eq. 21. (B, F, D)"""
    ids: Tensor
    """The chosen codes. (B, F) int64"""
    logits: Tensor | None
    """Logits of the code predictor, None for nearest-neighbour matching. (B, F, N)"""
    lengths: Tensor
    """Valid frames. (B,)"""


class Wav2Code(AcousticModel):
    """Encoder, code predictor, codebook, fusion and a CTC head."""

    def __init__(self, config: Wav2CodeConfig, encoder: Encoder | None = None):
        """Build the layers; `encoder` is one that was built before, for instance from a checkpoint."""
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder) if encoder is None else encoder
        self.codebook = Codebook(config.codes, self.encoder.dim)
        self.predictor = build_predictor(config.predictor, self.encoder.dim, config.codes)
        self.fusion = build_fusion(config.fusion, self.encoder.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.encoder.dim, outputs(config.vocabulary))

    def restore(self, waveform: Tensor, lengths: Tensor) -> Restoration:
        """Encode, choose a code for every frame, look it up, fuse. (B, T), (B,) -> representations"""
        output = self.encoder(waveform, lengths)
        noisy, frames = output.features, output.lengths
        logits = None if self.predictor is None else self.predictor(noisy, frames)
        if logits is None:  # straight through, as in a VQ-VAE
            ids = self.codebook.nearest(noisy)
            restored = noisy + (self.codebook.lookup(ids) - noisy).detach()
        else:
            weights = self._code_weights(logits)
            ids, restored = weights.argmax(dim=-1), self.codebook.select(weights)
        restored = zero_padding(restored, frames)
        return Restoration(noisy, restored, self.fusion(noisy, restored, frames), ids, logits, frames)

    def _code_weights(self, logits: Tensor) -> Tensor:
        """Weights of the entries of the codebook; what Z_n^q is a sum by.

        | look_up | training, with noise | training, without | evaluation |
        | --- | --- | --- | --- |
        | soft | Gumbel softmax | softmax | softmax |
        | hard | one drawn entry | the most probable entry | the most probable entry |

        A hard choice in training passes gradients straight through, to the softmax.

        Args:
            logits: (B, F, N).

        Returns:
            (B, F, N) float32, summing to 1 over the N entries.
        """
        logits, temperature = logits.float(), self.config.gumbel_temperature
        soft_look_up = self.config.look_up == "soft"
        if self.training and self.config.gumbel_noise:
            return F.gumbel_softmax(logits, tau=temperature, hard=not soft_look_up)
        if soft_look_up:
            return (logits / temperature).softmax(dim=-1)
        hard = F.one_hot(logits.argmax(dim=-1), logits.size(-1)).to(logits.dtype)
        if not self.training:
            return hard
        soft = (logits / temperature).softmax(dim=-1)
        return hard + (soft - soft.detach())

    def recognise(self, restoration: Restoration) -> Tensor:
        """Log-probabilities of the tokens from Z_f. -> (B, F, V) float32"""
        return self.head(self.dropout(restoration.fused)).float().log_softmax(dim=-1)

    def log_probs(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens (B, F, V) float32 and the valid frames (B,)."""
        restoration = self.restore(waveform, lengths)
        return self.recognise(restoration), restoration.lengths

    def prediction_loss(self, output: Restoration, ids: Tensor, reduction: Reduction = "mean") -> Tensor:
        """L_pred of Eq. 13, read as the cross-entropy of the predicted distribution and the clean code.

        Args:
            output: of `restore`.
            ids: E, the codes of the clean speech. (B, F)
            reduction: over the valid frames of an utterance; the paper's expectation is "mean".

        Returns:
            (B,); zeros when nothing is predicted.
        """
        if output.logits is None:
            return output.noisy.new_zeros(len(output.noisy))
        each = F.cross_entropy(output.logits.float().transpose(1, 2), ids, reduction="none")  # (B, F)
        return _over_frames(each, output.lengths, reduction)

    def restoration_loss(self, output: Restoration, clean: Tensor, reduction: Reduction = "mean") -> Tensor:
        """L_res of Eq. 13, ||Z_n^q - sg(Z_c)||^2, mean over the width.

        Args:
            output: of `restore`.
            clean: Z_c. (B, F, D)
            reduction: over the valid frames of an utterance.

        Returns:
            (B,).
        """
        each = squared_distance(output.restored, clean.detach(), output.lengths, "mean")
        return _over_frames(each, output.lengths, reduction)


def _over_frames(values: Tensor, lengths: Tensor, reduction: Reduction) -> Tensor:
    """Sum or mean over the valid frames of each utterance. (B, F), (B,) -> (B,)"""
    reduce = masked_sum if reduction == "sum" else masked_mean
    return reduce(values, valid_mask(lengths, values.size(1)), dim=1)
