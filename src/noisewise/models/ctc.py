"""Connectionist temporal classification: an encoder, a linear layer, and the sum over alignments.

Graves et al. 2006; Jurafsky & Martin, Speech and Language Processing, 3rd ed. draft, ch. 15.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.config import config
from noisewise.models.any_encoder import EncoderConfig, build_encoder
from noisewise.models.encoder import Encoder
from noisewise.models.logmel_transformer import LogMelTransformerConfig
from noisewise.models.model import AcousticModel, outputs


@config
class CTCConfig:
    """A CTC head over an encoder."""

    kind: Literal["ctc"] = "ctc"
    encoder: EncoderConfig = LogMelTransformerConfig()
    """Encoder of the waveform."""
    vocabulary: int | None = 30
    """Tokens (null: those of the recipe's tokenizer), the blank (id 0) included (V): 26 letters and 4
    special ones (Wav2code, Sec. III-B)."""
    dropout: float = 0.1
    """Dropout before the linear layer."""

    def build(self) -> "CTC":
        """The model, randomly initialised."""
        return CTC(self)


class CTC(AcousticModel):
    """Speech to a distribution over tokens for every frame."""

    def __init__(self, config: CTCConfig, encoder: Encoder | None = None):
        """Build the layers; `encoder` is one that was built before, for instance from a checkpoint."""
        super().__init__()
        self.encoder = build_encoder(config.encoder) if encoder is None else encoder
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.encoder.dim, outputs(config.vocabulary))

    def log_probs(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens.

        Args:
            waveform: (B, T) float32 at 16 kHz.
            lengths: valid samples. (B,)

        Returns:
            (B, F, V) float32 and the valid frames (B,).
        """
        output = self.encoder(waveform, lengths)
        return self.head(self.dropout(output.features)).float().log_softmax(dim=-1), output.lengths

    def forward(self, waveform: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
        """Negative log-probability of each transcript, in nats. (B,)"""
        return ctc_loss(*self.log_probs(waveform, lengths), tokens, token_lengths)


def ctc_loss(log_probs: Tensor, frames: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
    """-log P(Y|X), P summed over every alignment that collapses to Y (J&M, Fig. 15.12 and 15.13).

    A transcript that does not fit its frames (frames < tokens + repeats) counts 0 and gives no gradient. cuDNN
    is kept out: its CTC ignores that rule and is not deterministic.

    Args:
        log_probs: (B, F, V) float32.
        frames: (B,). tokens: (B, L) int64. token_lengths: (B,).

    Returns:
        (B,) in nats.
    """
    with torch.backends.cudnn.flags(enabled=False):
        return F.ctc_loss(
            log_probs.transpose(0, 1), tokens, frames, token_lengths, blank=0, reduction="none", zero_infinity=True
        )
