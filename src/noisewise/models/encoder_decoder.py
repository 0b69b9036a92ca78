"""Attention encoder-decoder with a CTC head on the shared encoder.

Jurafsky & Martin, Speech and Language Processing, 3rd ed. draft, ch. 15 (Fig. 15.5), joined with CTC after
Watanabe, Hori, Kim, Hershey, Hayashi 2017, "Hybrid CTC/Attention Architecture for End-to-End Speech Recognition". The
CTC head shares the encoder, so the model is also a CTC recogniser.

The blank (id 0) has no place in a text; to the decoder, id 0 is the start as an input and the end as an output.

Legend, against that of the project: E width of the encoder, D of the decoder, K hypotheses of an utterance.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.config import config
from noisewise.layers.decoder import DecoderLayer, TransformerDecoder
from noisewise.layers.masking import valid_mask
from noisewise.layers.positions import sinusoids
from noisewise.models.any_encoder import EncoderConfig, build_encoder
from noisewise.models.ctc import ctc_loss
from noisewise.models.encoder import Encoder, EncoderOutput
from noisewise.models.logmel_transformer import LogMelTransformerConfig
from noisewise.models.model import AcousticModel, outputs

START = 0
"""Input of the decoder before the first token."""
END = 0
"""Output of the decoder after the last token."""
IGNORED = -100
"""Targets of padding."""


@config
class DecoderConfig:
    """The Transformer decoder."""

    dim: int = 256
    """Width."""
    layers: int = 4
    """Layers."""
    heads: int = 4
    """Attention heads."""
    feed_forward: int = 1024
    """Inner width of the feed-forward layers."""
    dropout: float = 0.1
    """Dropout on embeddings and residual branches."""
    attention_dropout: float = 0.0
    """Dropout on attention weights."""


@config
class EncoderDecoderConfig:
    """An attention encoder-decoder with a CTC head."""

    kind: Literal["encoder_decoder"] = "encoder_decoder"
    encoder: EncoderConfig = LogMelTransformerConfig()
    """Encoder of the waveform."""
    decoder: DecoderConfig = DecoderConfig()
    """Decoder from frames to text."""
    vocabulary: int | None = 30
    """Tokens (null: those of the recipe's tokenizer), the blank (id 0) included (V), whose place the
    end of the text takes in the decoder."""
    dropout: float = 0.1
    """Dropout before the linear layer of CTC."""

    def build(self) -> "EncoderDecoder":
        """The model, randomly initialised."""
        return EncoderDecoder(self)


class EncoderDecoder(AcousticModel):
    """Speech to text, token by token; and to a distribution over tokens for every frame."""

    def __init__(self, config: EncoderDecoderConfig, encoder: Encoder | None = None):
        """Build the layers; `encoder` is one that was built before, for instance from a checkpoint."""
        super().__init__()
        self.encoder = build_encoder(config.encoder) if encoder is None else encoder
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.encoder.dim, outputs(config.vocabulary))
        parts = config.decoder
        self.embedding = nn.Embedding(outputs(config.vocabulary), parts.dim)
        self.embedding_dropout = nn.Dropout(parts.dropout)
        self.decoder = TransformerDecoder(
            [
                DecoderLayer(
                    parts.dim,
                    self.encoder.dim,
                    parts.heads,
                    parts.feed_forward,
                    dropout=parts.dropout,
                    attention_dropout=parts.attention_dropout,
                )
                for _ in range(parts.layers)
            ],
            parts.dim,
        )
        self.output = nn.Linear(parts.dim, outputs(config.vocabulary))

    def encode(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """Features that both heads attend to. (B, T), (B,) -> features (B, F, E) and lengths"""
        return self.encoder(waveform, lengths)

    def recognise(self, output: EncoderOutput) -> Tensor:
        """Log-probabilities of the tokens for every frame, by the CTC head. -> (B, F, V) float32"""
        return self.head(self.dropout(output.features)).float().log_softmax(dim=-1)

    def log_probs(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens (B, F, V) float32 and the valid frames (B,)."""
        output = self.encode(waveform, lengths)
        return self.recognise(output), output.lengths

    def next_token_logits(self, output: EncoderOutput, tokens: Tensor) -> Tensor:
        """Logits of each token, and of the end, given the tokens before it.

        Args:
            output: of `encode`.
            tokens: (B, L), what stands behind the end of a transcript does not matter.

        Returns:
            (B, L + 1, V) float32; column 0 is the end.
        """
        inputs = F.pad(tokens, (1, 0), value=START)
        positions = sinusoids(inputs.size(1), self.embedding.embedding_dim).to(output.features)
        embedded = self.embedding_dropout(self.embedding(inputs) + positions)
        decoded = self.decoder(embedded, output.features, _visible(output.lengths, output.features))
        return self.output(decoded).float()

    def attention_loss(
        self, output: EncoderOutput, tokens: Tensor, token_lengths: Tensor, label_smoothing: float = 0.0
    ) -> Tensor:
        """L_att = -ln P_att(Y, end | X), each target a mixture of one token and all (Szegedy et al. 2016, Sec. 7).

        Args:
            output: of `encode`.
            tokens: (B, L) int64. token_lengths: (B,).
            label_smoothing: share of the target that is spread evenly over all tokens.

        Returns:
            (B,) in nats, summed over the tokens and the end.
        """
        logits = self.next_token_logits(output, tokens)
        targets = targets_of(tokens, token_lengths)
        each = F.cross_entropy(
            logits.transpose(1, 2), targets, ignore_index=IGNORED, label_smoothing=label_smoothing, reduction="none"
        )  # (B, L + 1)
        return each.sum(dim=1)

    def ctc_loss(self, output: EncoderOutput, tokens: Tensor, token_lengths: Tensor) -> Tensor:
        """L_ctc = -ln P_ctc(Y | X). (B,)"""
        return ctc_loss(self.recognise(output), output.lengths, tokens, token_lengths)

    def forward(self, waveform: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
        """-ln P_att of each transcript, in nats. (B,)"""
        return self.attention_loss(self.encode(waveform, lengths), tokens, token_lengths)

    def steps(self, frames: Tensor, lengths: Tensor) -> "Steps":
        """The decoder as a function from one token to the next. (B, F, E), (B,)"""
        return Steps(self, frames, lengths)


class Steps:
    """Hypotheses that grow side by side, as many for each utterance; the step function of `decoding.attention`."""

    def __init__(self, model: EncoderDecoder, frames: Tensor, lengths: Tensor):
        self.model = model
        self.cache = model.decoder.start(frames, _visible(lengths, frames))

    def step(self, tokens: Tensor) -> Tensor:
        """Put one more token behind each hypothesis, `START` at first.

        Args:
            tokens: hypotheses of an utterance side by side. (B * K,)

        Returns:
            ln P(next token), column 0 for the end. (B * K, V) float32
        """
        model = self.model
        position = sinusoids(self.cache.length + 1, model.embedding.embedding_dim)[-1]
        embedded = model.embedding(tokens.to(self.cache.valid.device))
        decoded = model.decoder.step(embedded + position.to(embedded), self.cache)
        return model.output(decoded).float().log_softmax(dim=-1)

    def reorder(self, rows: Tensor) -> None:
        """Go on from other hypotheses of the same utterances, perhaps of another number of them. (B * K',)"""
        self.cache.reorder(rows.to(self.cache.valid.device))

    def keep(self, utterances: Tensor) -> None:
        """Go on with some utterances alone; `reorder` has left their hypotheses. (B',)"""
        self.cache.keep(utterances.to(self.cache.valid.device))


def targets_of(tokens: Tensor, token_lengths: Tensor) -> Tensor:
    """The tokens, the end behind them, and `IGNORED` behind that. (B, L), (B,) -> (B, L + 1)"""
    places = torch.arange(tokens.size(1) + 1, device=tokens.device)
    targets = F.pad(tokens, (0, 1)).masked_fill(places == token_lengths[:, None], END)
    return targets.masked_fill(places > token_lengths[:, None], IGNORED)


def _visible(lengths: Tensor, frames: Tensor) -> Tensor:
    """Frames that the decoder looks at; one, which is silent, where there is none. (B,), (B, F, E) -> (B, F) bool"""
    return valid_mask(lengths.clamp(min=1), frames.size(1))


def tiny() -> DecoderConfig:
    """A size for tests and first trials."""
    return DecoderConfig(dim=64, layers=2, heads=2, feed_forward=128)
