"""Whisper: an encoder, a decoder that writes text with case and punctuation, and a CTC head over letters beside it.

Radford et al. 2022, Sec. 2.2; the head on the shared encoder after Watanabe, Hori, Kim, Hershey, Hayashi 2017, "Hybrid
CTC/Attention Architecture for End-to-End Speech Recognition". The decoder has the tokens of Whisper, the head has the
letters of the project: by it words have times, and hypotheses a second score. A public checkpoint has no head.

Legend, beside that of the project: K hypotheses of an utterance, V tokens of the decoder, C letters of the head.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.config import config, within
from noisewise.errors import ConfigError, ModelError
from noisewise.layers.masking import valid_mask
from noisewise.models.ctc import ctc_loss
from noisewise.models.encoder import EncoderOutput
from noisewise.models.encoder_decoder import IGNORED
from noisewise.models.model import AcousticModel, outputs
from noisewise.models.whisper import weights
from noisewise.models.whisper.decoder import WhisperDecoder, WhisperDecoderConfig
from noisewise.models.whisper.encoder import WhisperEncoder, WhisperEncoderConfig


@config
class WhisperConfig:
    """A whole Whisper; the defaults are the size of tiny.en."""

    kind: Literal["whisper"] = "whisper"
    encoder: WhisperEncoderConfig = WhisperEncoderConfig()
    """Encoder of the waveform; its `source` gives the decoder too, sizes and weights."""
    decoder: WhisperDecoderConfig = WhisperDecoderConfig()
    """Decoder from frames to text."""
    vocabulary: int | None = None
    """Letters of the CTC head, the blank (id 0) included (C): null for those of the recipe's tokenizer, 0 for no head,
    as in a public checkpoint."""
    dropout: float = 0.1
    """Dropout before the linear layer of CTC."""
    pad_seconds: float = 0.0
    """An utterance is filled with silence to so many seconds at least: 30 for what has learned that way."""
    trail_seconds: float = 0.0
    """So much silence is put behind an utterance, as far as positions go."""

    def __post_init__(self) -> None:
        within(0, 1, dropout=self.dropout)
        within(0, float("inf"), pad_seconds=self.pad_seconds, trail_seconds=self.trail_seconds)

    def build(self) -> "Whisper":
        """The model, with the weights of the encoder's source, or randomly initialised without one."""
        return Whisper(self)


class Whisper(AcousticModel):
    """Speech to text, token by token; and, with a head, to a distribution over letters for every frame."""

    encoder: WhisperEncoder

    def __init__(self, config: WhisperConfig):
        super().__init__()
        found = weights.read(config.encoder.source) if config.encoder.source else None
        self.config = config if found is None else _settled(config, found)
        """The sizes of the source are written out, so that it is needed no more."""
        self.encoder = WhisperEncoder(self.config.encoder)
        self.decoder = WhisperDecoder(self.config.decoder, self.encoder.dim)
        self.dropout = nn.Dropout(config.dropout)
        if outputs(config.vocabulary):
            self.head = nn.Linear(self.encoder.dim, outputs(config.vocabulary))
        if found is not None:
            self.fill(found.weights, config.encoder.source)

    @property
    def has_head(self) -> bool:
        """Whether there is a CTC head."""
        return bool(self.config.vocabulary)

    @property
    def longest(self) -> int:
        """Samples of an utterance at most."""
        return self.encoder.longest - round(self.config.trail_seconds * SAMPLE_RATE)

    def fill(self, state: Mapping[str, Tensor], source: object) -> None:
        """Put the weights of a Whisper into encoder and decoder, and leave the head.

        Raises:
            ModelError: they do not fit.
        """
        for name, part in (("encoder.", self.encoder), ("decoder.", self.decoder)):
            own = {key.removeprefix(name): value for key, value in state.items() if key.startswith(name)}
            weights.fill(part, own, source)

    def encode(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """Features that decoder and head attend to, silence behind the utterance included.

        (B, T), (B,) -> features (B, F, D) and lengths
        """
        return self.encoder(*self.padded(waveform, lengths))

    def recognise(self, output: EncoderOutput) -> Tensor:
        """Log-probabilities of the letters for every frame, by the CTC head. -> (B, F, C) float32

        Raises:
            ModelError: there is no head.
        """
        if not self.has_head:
            raise ModelError(
                "a Whisper must have a CTC head for letters in time (alignment, posteriors, joint scores), but this "
                "one has none; train one: `noisewise train recipes/whisper/robust.yaml`"
            )
        return self.head(self.dropout(output.features)).float().log_softmax(dim=-1)

    def log_probs(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the letters (B, F, C) float32 and the valid frames (B,), without the silence behind.

        Raises:
            ModelError: there is no head.
        """
        return self.spoken(self.recognise(self.encode(waveform, lengths)), lengths)

    def spoken(self, log_probs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames without the silence that was put behind the utterances. (B, F, C), (B,) samples -> (B, F', C), (B,)"""
        frames = (lengths + self.hop - 1).div(self.hop, rounding_mode="floor")
        return log_probs[:, : int(frames.max())], frames

    def next_token_logits(self, output: EncoderOutput, tokens: Tensor) -> Tensor:
        """Logits of what follows each token.

        Args:
            output: of `encode`.
            tokens: prompt and text; what stands behind the end does not matter. (B, L)

        Returns:
            (B, L, V) float32.
        """
        return self.decoder(tokens, output.features, _visible(output.lengths, output.features))

    def attention_loss(
        self, output: EncoderOutput, inputs: Tensor, targets: Tensor, label_smoothing: float = 0.0
    ) -> Tensor:
        """L_att = -ln P_att(text, end | prompt, X); scores of the V tokens are computed for what is learned alone.

        Args:
            output: of `encode`.
            inputs: prompt and text. (B, L)
            targets: what follows each token, -100 where that is not learned: in the prompt, and behind the end. (B, L)
            label_smoothing: share of the target that is spread evenly over all tokens.

        Returns:
            (B,) in nats, summed over the tokens and the end.
        """
        decoded = self.decoder.decoded(inputs, output.features, _visible(output.lengths, output.features))
        rows, columns = (targets != IGNORED).nonzero(as_tuple=True)
        each = F.cross_entropy(
            self.decoder.logits(decoded[rows, columns]),
            targets[rows, columns],
            label_smoothing=label_smoothing,
            reduction="none",
        )
        return each.new_zeros(len(targets)).index_add(0, rows, each)

    def ctc_loss(self, output: EncoderOutput, tokens: Tensor, token_lengths: Tensor) -> Tensor:
        """L_ctc = -ln P_ctc(letters | X). (B,)"""
        return ctc_loss(self.recognise(output), output.lengths, tokens, token_lengths)

    def steps(self, frames: Tensor, lengths: Tensor) -> "WhisperSteps":
        """The decoder as a function from one token to the next. (B, F, D), (B,)"""
        return WhisperSteps(self.decoder, frames, lengths)

    def inference_pass(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Encoder and head; what the decoder costs depends on the text. (B, T), (B,) -> (B,)"""
        output = self.encode(waveform, lengths)
        if self.has_head:
            self.recognise(output)
        return output.lengths

    def padded(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms with the silence that the encoder expects behind them. (B, T), (B,)"""
        least, trail = (round(each * SAMPLE_RATE) for each in (self.config.pad_seconds, self.config.trail_seconds))
        if not (least or trail):
            return waveform, lengths
        kept = waveform * valid_mask(lengths, waveform.size(1))
        wanted = (lengths + trail).clamp(min=least).minimum(torch.as_tensor(self.encoder.longest)).maximum(lengths)
        return F.pad(kept, (0, max(0, int(wanted.max()) - kept.size(1)))), wanted


class WhisperSteps:
    """Hypotheses that grow side by side, as many for each utterance; see `decoding.attention.search.Steps`."""

    def __init__(self, decoder: WhisperDecoder, frames: Tensor, lengths: Tensor):
        self.decoder = decoder
        self.cache = decoder.start(frames, _visible(lengths, frames))

    def push(self, tokens: Tensor) -> Tensor:
        """Put one more token behind each hypothesis. (B * K,) -> (B * K, D)"""
        return self.decoder.step(tokens.to(self.cache.valid.device), self.cache)

    def step(self, tokens: Tensor) -> Tensor:
        """The same. -> ln P(next token) (B * K, V) float32"""
        return self.decoder.logits(self.push(tokens)).log_softmax(dim=-1)

    def reorder(self, rows: Tensor) -> None:
        """Go on from other hypotheses of the same utterances, perhaps of another number of them. (B * K',)"""
        self.cache.reorder(rows.to(self.cache.valid.device))

    def keep(self, utterances: Tensor) -> None:
        """Go on with some utterances alone; `reorder` has left their hypotheses. (B',)"""
        self.cache.keep(utterances.to(self.cache.valid.device))


def tiny() -> WhisperConfig:
    """A size for tests: 2 layers of 16 channels, 40 tokens."""
    return WhisperConfig(
        encoder=WhisperEncoderConfig(dim=16, layers=2, heads=2, feed_forward=32),
        decoder=WhisperDecoderConfig(layers=2, heads=2, feed_forward=32, tokens=40, positions=32),
        vocabulary=30,
    )


def _settled(config: WhisperConfig, found: weights.WhisperWeights) -> WhisperConfig:
    """The configuration with the sizes that a source has, and without the source.

    Raises:
        ConfigError: a size was given, and is another. ModelError: the source is an encoder alone.
    """
    if not found.decoder:
        raise ModelError(f"`{config.encoder.source}` must hold a decoder, but holds an encoder alone")
    sizes: dict[str, dict[str, Any]] = {"encoder": found.encoder, "decoder": found.decoder}
    defaults = WhisperConfig()
    for part, values in sizes.items():
        for name, size in values.items():
            given = getattr(getattr(config, part), name)
            if given not in (size, getattr(getattr(defaults, part), name)):
                raise ConfigError(
                    f"`{part}.{name}` must be {size}, as in `{config.encoder.source}`, but is {given} instead; "
                    "leave it out"
                )
    return replace(
        config,
        encoder=replace(config.encoder, **found.encoder, source=""),  # type: ignore[arg-type]
        decoder=replace(config.decoder, **found.decoder),
    )


def _visible(lengths: Tensor, frames: Tensor) -> Tensor:
    """Frames that the decoder looks at; one, which is silent, where there is none. (B,), (B, F, D) -> (B, F) bool"""
    return valid_mask(lengths.clamp(min=1), frames.size(1))
