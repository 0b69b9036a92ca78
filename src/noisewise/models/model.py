"""What models of sound share, so that loading, tasks, tables of costs and the command line need no list of them."""

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn

from noisewise.errors import ConfigError
from noisewise.models.encoder import Encoder


def outputs(vocabulary: int | None) -> int:
    """The size of a vocabulary.

    Raises:
        ConfigError: it is left to the tokenizer of a recipe, and there is none here.
    """
    if vocabulary is None:
        raise ConfigError(
            "`vocabulary` must be a number where a model is built without a tokenizer, but is null instead"
        )
    return vocabulary


class Model(nn.Module):
    """A model of sound."""

    encoder: Any
    """What the next stage of training starts from."""
    has_static_shapes = True
    """Whether the operations of a pass follow from shapes alone (`noisewise.flops`)."""

    def inference_pass(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """What is computed in use, for counting operations; the encoder alone, unless the model says otherwise.

        Args:
            waveform: (B, T) float32 at 16 kHz.
            lengths: valid samples. (B,)

        Returns:
            Valid frames. (B,)
        """
        frames: Tensor = self.encoder(waveform, lengths).lengths
        return frames


class AcousticModel(Model):
    """A model that gives log-probabilities of tokens for every frame: a recogniser."""

    encoder: Encoder
    head: nn.Linear
    """From features to tokens, for CTC."""

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return int(self.encoder.hop)

    @abstractmethod
    def log_probs(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens.

        Args:
            waveform: (B, T) float32 at 16 kHz.
            lengths: valid samples. (B,)

        Returns:
            (B, F, V) float32 and the valid frames (B,).
        """

    def inference_pass(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Log-probabilities of the tokens; only the valid frames are given back. (B, T), (B,) -> (B,)"""
        return self.log_probs(waveform, lengths)[1]
