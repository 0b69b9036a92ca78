"""A foreign checkpoint under the names of noisewise: what every reader returns, and how it becomes a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noisewise.checkpoints import shapes
from noisewise.checkpoints.foreign import families, pretraining
from noisewise.checkpoints.foreign.huggingface import fit, matched
from noisewise.config import architecture
from noisewise.errors import InteropError
from noisewise.models import AcousticModel, AnyModel
from noisewise.models.ctc import CTC, CTCConfig
from noisewise.models.pretrained import PretrainedConfig, PretrainedEncoder
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config, Wav2Vec2Encoder
from noisewise.models.wav2vec2.pretraining import Wav2Vec2Pretraining
from noisewise.models.whisper.decoder import WhisperDecoderConfig
from noisewise.models.whisper.encoder import WhisperEncoder, WhisperEncoderConfig
from noisewise.models.whisper.state import WhisperWeights
from noisewise.models.whisper.whisper import Whisper, WhisperConfig
from noisewise.text.tokenizer import CharacterTokenizer, Tokenizer


@dataclass(frozen=True)
class Head:
    """The linear layer of CTC over an encoder, and the tokens of its outputs."""

    weight: Tensor
    """Weight of the layer, the row of the blank first. (V, D)"""
    bias: Tensor
    """Bias of the layer. (V,)"""
    tokenizer: CharacterTokenizer
    """Tokens of the outputs, in their order."""
    dropout: float = 0.0
    """Dropout probability before the layer."""


@dataclass(frozen=True)
class Checkpoint:
    """An encoder of transformers, fairseq or noisewise, with its CTC head if it has one."""

    source: Path
    """Folder or file that was read."""
    config: Wav2Vec2Config | PretrainedConfig | WhisperEncoderConfig
    """Configuration of the encoder."""
    weights: Mapping[str, Tensor]
    """Weights of the encoder, under the names of noisewise."""
    head: Head | None = None
    """CTC head; None for an encoder alone."""
    left_out: tuple[str, ...] = ()
    """Parts of the source that have no place in a model of noisewise."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Plain values of the source that are needed to write it back unchanged."""
    pretraining: Mapping[str, Tensor] = field(default_factory=dict)
    """Quantizer and projections of a model before fine-tuning, under the names of noisewise."""
    whole: WhisperWeights | None = None
    """A Whisper with its decoder; None of other models."""

    def encoder(self) -> Wav2Vec2Encoder | PretrainedEncoder | WhisperEncoder:
        """Build the encoder with its weights.

        Raises:
            InteropError: the weights are not those that the configuration describes.
            ModuleNotFoundError: it runs through transformers, which is not installed.
        """
        matched(shapes.build(lambda: _empty(self.config), self.weights, self.source, InteropError), self.weights)
        encoder = _empty(self.config)
        fit(encoder, self.weights)
        return encoder

    def begin(self, model: AnyModel, tokenizer: Tokenizer) -> tuple[str, ...]:
        """Put the weights into a model that will be trained further.

        Those of the encoder always; those of the head if its tokens are the same; the decoder of a Whisper if the model
        is one; quantizer and projections if the model is one before fine-tuning and their shapes agree.

        Args:
            model: what is filled, in place.
            tokenizer: the tokens of `model`.

        Returns:
            The parts of the model that were filled.

        Raises:
            InteropError: the model's encoder is another one.
        """
        encoder = getattr(model, "encoder", None)
        same = (Wav2Vec2Encoder, Wav2Vec2Config), (WhisperEncoder, WhisperEncoderConfig)
        if any(isinstance(encoder, kind) and isinstance(self.config, config) for kind, config in same):
            given, wanted = architecture(self.config), architecture(getattr(encoder, "config", None))
            differing = [name for name, value in given.items() if wanted.get(name) != value]
            remedy = "set " + ", ".join(f"{name}={given[name]}" for name in differing)
        elif isinstance(encoder, PretrainedEncoder) and isinstance(self.config, PretrainedConfig):
            with torch.device("meta"):
                differing = families.differing(encoder, PretrainedEncoder(self.config))
            remedy = f"set encoder.source to it, whose {' and '.join(differing)} is another"
        else:
            raise InteropError(
                f"`{self.source}` must begin an encoder of kind {self.config.kind}, but the model has another one"
            )
        if differing:
            raise InteropError(f"`{self.source}` must begin an encoder like its own, but differs; {remedy}")
        assert isinstance(encoder, torch.nn.Module)
        if isinstance(model, Whisper) and self.whole is not None and self.whole.decoder:
            model.fill(self.whole.weights, self.source)
            return ("encoder", "decoder")
        fit(encoder, self.weights)
        if isinstance(model, Wav2Vec2Pretraining):
            return ("encoder", *pretraining.begin(model, self.pretraining, self.source))
        if not isinstance(model, AcousticModel) or self.head is None:
            return ("encoder",)
        if self.head.tokenizer.symbols != tokenizer.symbols:
            return ("encoder",)
        model.head.load_state_dict({"weight": self.head.weight, "bias": self.head.bias})
        return ("encoder", "head")

    def whisper_config(self) -> WhisperConfig | None:
        """The configuration of the whole Whisper, which has learned on 30 s and has no CTC head; None of any other
        model, and of an encoder alone."""
        if self.whole is None or not self.whole.decoder:
            return None
        encoder, decoder = WhisperEncoderConfig(**self.whole.encoder), WhisperDecoderConfig(**self.whole.decoder)  # type: ignore[arg-type]
        return WhisperConfig(encoder=encoder, decoder=decoder, vocabulary=0, pad_seconds=30.0)

    def whisper(self) -> Whisper:
        """Build the whole Whisper, as `whisper_config` describes it.

        Raises:
            InteropError: it is none, or an encoder alone.
        """
        config = self.whisper_config()
        if config is None or self.whole is None:
            raise InteropError(f"`{self.source}` must hold a Whisper with its decoder, but does not")
        model = config.build()
        model.fill(self.whole.weights, self.source)
        return model.eval()

    def ctc(self) -> tuple[CTC, CTCConfig]:
        """Build the whole recogniser, and its configuration.

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
        found = (tuple(self.head.weight.shape), tuple(self.head.bias.shape))
        wanted = ((config.vocabulary, encoder.dim), (config.vocabulary,))
        if found != wanted:
            raise InteropError(f"the CTC head of `{self.source}` must be {wanted}, but is {found} instead")
        model = CTC(config, encoder)
        model.head.load_state_dict({"weight": self.head.weight, "bias": self.head.bias})
        return model.eval(), config


def _empty(
    config: Wav2Vec2Config | PretrainedConfig | WhisperEncoderConfig,
) -> Wav2Vec2Encoder | PretrainedEncoder | WhisperEncoder:
    return config.build()
