"""The decoder of Whisper: tokens that look back at tokens, and at the frames of the encoder.

Radford et al. 2022, Sec. 2.2: learned positions, norms that stand first, and the embedding of the tokens again as the
layer that scores the next one. The layers are those of `noisewise.layers.decoder`.

Legend: B utterances, K hypotheses of each, L tokens, F frames, D width, V tokens of the vocabulary.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from noisewise.config import TRAINING_ONLY, config
from noisewise.layers.decoder import DecoderCache, DecoderLayer, TransformerDecoder


@config
class WhisperDecoderConfig:
    """The decoder; its width is that of the encoder."""

    layers: int = 4
    """Layers."""
    heads: int = 6
    """Attention heads."""
    feed_forward: int = 1536
    """Inner width of the feed-forward layers."""
    tokens: int = 51864
    """Tokens of the vocabulary (V): 51864 of English alone, 51865 and more of many languages."""
    positions: int = 448
    """Most tokens, the prompt included."""
    dropout: Annotated[float, TRAINING_ONLY] = 0.0
    """Dropout on embeddings and residual branches."""
    attention_dropout: Annotated[float, TRAINING_ONLY] = 0.0
    """Dropout on attention weights."""
    alignment_heads: tuple[tuple[int, int], ...] = ()
    """Layer and head, both from 0, of each head whose attention follows the speech: other programs find the times of
    words by them. Empty where a checkpoint names none."""


class WhisperDecoder(nn.Module):
    """Frames and the tokens so far, to a score for each token that may follow."""

    def __init__(self, config: WhisperDecoderConfig, dim: int):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.tokens, dim)
        self.positions = nn.Parameter(torch.randn(config.positions, dim) * 0.02)
        self.dropout = nn.Dropout(config.dropout)
        layers = [
            DecoderLayer(
                dim,
                dim,
                config.heads,
                config.feed_forward,
                dropout=config.dropout,
                attention_dropout=config.attention_dropout,
            )
            for _ in range(config.layers)
        ]
        self.transformer = TransformerDecoder(layers, dim)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, tokens: Tensor, frames: Tensor, valid: Tensor) -> Tensor:
        """Logits of what follows each token, all tokens at once, as in training.

        Args:
            tokens: the prompt and the text; what stands behind the end of a text does not matter. (B, L)
            frames: of the encoder. (B, F, D)
            valid: frames that may be looked at, at least one of each utterance. (B, F) bool

        Returns:
            (B, L, V) float32.
        """
        return self.logits(self.decoded(tokens, frames, valid))

    def decoded(self, tokens: Tensor, frames: Tensor, valid: Tensor) -> Tensor:
        """The same before `logits`, for losses that need the scores of some tokens only. -> (B, L, D)"""
        embedded = self.dropout(self.embedding(tokens) + self.positions[: tokens.size(1)])
        return self.transformer(embedded, frames, valid)

    def start(self, frames: Tensor, valid: Tensor) -> DecoderCache:
        """The memory of hypotheses without a token. (B, F, D), (B, F) bool"""
        return self.transformer.start(frames, valid)

    def step(self, tokens: Tensor, cache: DecoderCache) -> Tensor:
        """One more token behind each hypothesis; equal to the last one of `forward` over all of them, before `logits`.

        Args:
            tokens: hypotheses of an utterance side by side. (B * K,)
            cache: of the tokens before; it is changed.

        Returns:
            (B * K, D).
        """
        return self.transformer.step(self.embedding(tokens) + self.positions[cache.length], cache)

    def logits(self, decoded: Tensor) -> Tensor:
        """Scores of the tokens that may follow. (..., D) -> (..., V) float32"""
        return nn.functional.linear(decoded, self.embedding.weight).float()
