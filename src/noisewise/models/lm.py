"""A Transformer language model: P(token | tokens before) over words or characters of text.

Decoder-only, with the norms first and the embeddings tied to the output (Press and Wolf 2017). The one that the tables
of CHiME-4 stand for has 65,000 words, 16 layers of width 512 and feed-forward 2048 (docs/guides/language_models.md).

Legend: B sentences, L tokens, V vocabulary, D width, N layers, H heads.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.config import config
from noisewise.errors import ConfigError
from noisewise.layers.causal import CausalLayer, CausalTransformer
from noisewise.layers.positions import sinusoids

END = 0
"""Stands before the first token and behind the last."""
UNKNOWN = 1
"""Any token out of the vocabulary."""
IGNORED = -100
"""Targets of padding."""


@config
class TransformerLMConfig:
    """A Transformer language model."""

    kind: Literal["lm"] = "lm"
    unit: Literal["words", "characters"] = "words"
    """Unit of a token."""
    vocabulary: int = 65_000
    """Tokens at most, the end and `<unk>` included: the most frequent words; characters are 30."""
    dim: int = 512
    """Width."""
    layers: int = 6
    """Layers."""
    heads: int = 8
    """Attention heads."""
    feed_forward: int = 2048
    """Inner width of the feed-forward layers."""
    dropout: float = 0.1
    """Dropout on embeddings and residual branches."""
    attention_dropout: float = 0.1
    """Dropout on attention weights."""
    context: int = 512
    """Tokens of context at most; a sentence that grows longer goes on from the newer half."""

    def __post_init__(self) -> None:
        if self.vocabulary < 3:
            raise ConfigError(f"`vocabulary` must be 3 or more, but is {self.vocabulary} instead")
        if self.context < 2:
            raise ConfigError(f"`context` must be 2 or more, but is {self.context} instead")
        if self.heads < 1 or self.dim % (2 * self.heads):
            raise ConfigError(f"`dim` must be a multiple of 2 * `heads`, but is {self.dim} with {self.heads} heads")

    def build(self) -> "TransformerLM":
        """The model, randomly initialised."""
        return TransformerLM(self)


class TransformerLM(nn.Module):
    """Tokens in, the logits of the token after each out."""

    def __init__(self, config: TransformerLMConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.dim)
        nn.init.normal_(self.embedding.weight, std=config.dim**-0.5)
        self.dropout = nn.Dropout(config.dropout)
        self.decoder = CausalTransformer(
            [
                CausalLayer(
                    config.dim,
                    config.heads,
                    config.feed_forward,
                    dropout=config.dropout,
                    attention_dropout=config.attention_dropout,
                )
                for _ in range(config.layers)
            ],
            config.dim,
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of what follows each token, given it and those before it. (B, L) -> (B, L, V) float32"""
        positions = torch.arange(tokens.size(1), device=tokens.device)
        return self.logits(self.decoder(self._embedded(tokens, positions)))

    def logits(self, features: Tensor) -> Tensor:
        """By the embeddings once more. (..., D) -> (..., V) float32"""
        return F.linear(features, self.embedding.weight).float()

    def loss(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """-ln P of every token but the first.

        Args:
            tokens: sentences between ends, or pieces of such; padded. (B, L + 1) int64
            lengths: valid tokens, the first included. (B,)

        Returns:
            (B,) in nats, summed over the tokens.
        """
        targets = tokens[:, 1:]
        places = torch.arange(1, tokens.size(1), device=tokens.device)
        targets = targets.masked_fill(places >= lengths[:, None], IGNORED)
        logits = self(tokens[:, :-1]).transpose(1, 2)  # (B, V, L)
        return F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none").sum(dim=1)

    def next(self, tokens: Tensor, positions: Tensor, past: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """One more token of each sentence, from what was computed for those before it.

        Args:
            tokens: the tokens. (B,)
            positions: how many stand before each. (B,)
            past: keys and values of the tokens before, padded. (B, L, N, 2, H, D / H)
            valid: which of them are no padding. (B, L) bool

        Returns:
            What `logits` takes (B, D), and the keys and values of the tokens (B, N, 2, H, D / H).
        """
        return self.decoder.next(self._embedded(tokens, positions), past, valid)

    def _embedded(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Embeddings and positions. (..., L), (..., L) -> (..., L, D)"""
        dim = self.config.dim
        table = sinusoids(int(positions.max()) + 1 if len(positions) else 0, dim).to(self.embedding.weight)
        return self.dropout(self.embedding(tokens) * math.sqrt(dim) + table[positions])


def tiny(vocabulary: int = 30, unit: Literal["words", "characters"] = "characters") -> TransformerLMConfig:
    """A size for tests and first trials."""
    return TransformerLMConfig(unit=unit, vocabulary=vocabulary, dim=32, layers=2, heads=2, feed_forward=64, dropout=0)
