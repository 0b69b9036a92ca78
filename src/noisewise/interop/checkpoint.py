"""A model from elsewhere in our names: what every reader of foreign files gives, and how it becomes a model of ours.

Legend: V symbols, D width of the encoder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noisewise.interop.huggingface import InteropError, fit, matched
from noisewise.models.ctc import CTC, CTCConfig
from noisewise.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Encoder
from noisewise.text.tokenizer import CharacterTokenizer


@dataclass(frozen=True)
class Head:
    """A linear layer over the encoder, and what its outputs mean."""

    weight: Tensor
    """(V, D), the blank's row first."""
    bias: Tensor
    """(V,)."""
    tokenizer: CharacterTokenizer
    dropout: float = 0.0
    """Dropout before the layer."""


@dataclass(frozen=True)
class Checkpoint:
    """An encoder from elsewhere, with its CTC head if it has one."""

    source: Path
    config: Wav2Vec2Config
    weights: Mapping[str, Tensor]
    """The encoder's, under our names."""
    head: Head | None = None
    left_out: tuple[str, ...] = ()
    """Parts of the source that have no place in our model."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Plain values of the source that are needed to write it back as it was."""

    def encoder(self) -> Wav2Vec2Encoder:
        """The encoder, filled.

        Raises:
            InteropError: the weights are not those that the configuration describes.
        """
        if self.config.layers > len(self.weights) or len(self.config.kernels) > len(self.weights):
            raise InteropError(
                f"`{self.source}` must hold the {self.config.layers} layers that its configuration describes, but "
                "does not; download it again"
            )
        try:
            with torch.device("meta"):
                matched(Wav2Vec2Encoder(self.config), self.weights)  # shapes alone, before any memory is taken
            encoder = Wav2Vec2Encoder(self.config)
        except InteropError:
            raise
        except (ValueError, RuntimeError, ZeroDivisionError) as error:
            reason = " ".join(str(error).split())
            raise InteropError(f"`{self.source}` must describe an encoder, but does not: {reason}") from error
        fit(encoder, self.weights)
        return encoder

    def ctc(self) -> tuple[CTC, CTCConfig]:
        """The whole recogniser and its configuration.

        Raises:
            InteropError: there is no CTC head, or the weights do not fit.
        """
        if self.head is None:
            raise InteropError(
                f"`{self.source}` must hold a CTC head, but holds an encoder alone; fine-tune it first: "
                "`start_from` in a recipe takes it as it is"
            )
        config = CTCConfig(encoder=self.config, vocabulary=len(self.head.tokenizer), dropout=self.head.dropout)
        encoder = self.encoder()
        shapes = (tuple(self.head.weight.shape), tuple(self.head.bias.shape))
        wanted = ((config.vocabulary, self.config.dim), (config.vocabulary,))
        if shapes != wanted:
            raise InteropError(f"the CTC head of `{self.source}` must be {wanted}, but is {shapes} instead")
        model = CTC(config, encoder)
        model.head.load_state_dict({"weight": self.head.weight, "bias": self.head.bias})
        return model.eval(), config
