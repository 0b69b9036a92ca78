"""The Transformer decoder: tokens that look back at tokens, and at the frames of an encoder.

Vaswani et al. 2017, Sec. 3.1 and 3.2.3; the norms stand first, as in the encoder beside it.

A batch decodes several hypotheses of each utterance side by side. They share the frames of their utterance, so keys
and values of the frames are computed once for each utterance, and each hypothesis is one more query.

Legend: B utterances, K hypotheses of each, L tokens, F frames, D width, E width of the encoder, H heads.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.layers.attention import MultiHeadAttention, attend
from noisewise.layers.transformer import FeedForward


@dataclass
class LayerCache:
    """Keys and values that one layer has computed, for the next token to look at."""

    frames: tuple[Tensor, Tensor]
    """Keys and values of the encoder's frames. (B, H, F, D / H) each"""
    tokens: tuple[Tensor, Tensor] | None = None
    """Keys and values of the tokens so far. (B * K, H, L, D / H) each"""

    def reorder(self, rows: Tensor) -> None:
        """Go on from other hypotheses of the same utterances. (B * K,)"""
        if self.tokens is not None:
            self.tokens = (self.tokens[0][rows], self.tokens[1][rows])

    def keep(self, utterances: Tensor) -> None:
        """Go on with the frames of some utterances. (B',)"""
        self.frames = (self.frames[0][utterances], self.frames[1][utterances])


@dataclass
class DecoderCache:
    """What a stack of layers remembers of hypotheses that grow token by token."""

    valid: Tensor
    """Frames that may be looked at. (B, F) bool"""
    layers: list[LayerCache] = field(default_factory=list)
    length: int = 0
    """Tokens so far."""

    def reorder(self, rows: Tensor) -> None:
        """Go on from other hypotheses of the same utterances. (B * K,)"""
        for layer in self.layers:
            layer.reorder(rows)

    def keep(self, utterances: Tensor) -> None:
        """Go on with some utterances alone; `reorder` has left their hypotheses. (B',)"""
        self.valid = self.valid[utterances]
        for layer in self.layers:
            layer.keep(utterances)


class CausalAttention(MultiHeadAttention):
    """Self-attention in which a token looks at itself and at what is before it."""

    def forward(self, features: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, L, D) -> (B, L, D). Padding stands behind what is valid, so `valid` is not needed."""
        query, key, value = (self._split(project(features)) for project in (self.query, self.key, self.value))
        dropout = self.dropout if self.training else 0.0
        return self._joined(attend(query, key, value, None, dropout, is_causal=True))

    def step(self, features: Tensor, cache: LayerCache) -> Tensor:
        """The same for the next token alone. (B * K, 1, D) -> (B * K, 1, D)"""
        key, value = self._split(self.key(features)), self._split(self.value(features))
        if cache.tokens is not None:
            key, value = torch.cat((cache.tokens[0], key), dim=2), torch.cat((cache.tokens[1], value), dim=2)
        cache.tokens = (key, value)
        return self._joined(F.scaled_dot_product_attention(self._split(self.query(features)), key, value))

    def _split(self, features: Tensor) -> Tensor:
        return _split(features, self.heads)

    def _joined(self, attended: Tensor) -> Tensor:
        return self.output(attended.transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Attention of tokens to frames; queries come from the decoder, keys and values from the encoder."""

    def __init__(self, dim: int, encoder_dim: int, heads: int, dropout: float = 0.0):
        super().__init__()
        if dim % heads:
            raise ValueError(f"`dim` must be a multiple of `heads`, but is {dim} with {heads} heads instead")
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(encoder_dim, dim)
        self.value = nn.Linear(encoder_dim, dim)
        self.output = nn.Linear(dim, dim)

    def keys(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of frames. (B, F, E) -> (B, H, F, D / H) each"""
        return _split(self.key(frames), self.heads), _split(self.value(frames), self.heads)

    def forward(self, features: Tensor, keys: tuple[Tensor, Tensor], valid: Tensor) -> Tensor:
        """Let every token look at every valid frame.

        Args:
            features: tokens. (B, L, D)
            keys: of the frames; see `keys`.
            valid: frames that may be looked at, at least one of each utterance. (B, F) bool

        Returns:
            (B, L, D).
        """
        query, dropout = _split(self.query(features), self.heads), self.dropout if self.training else 0.0
        attended = attend(query, *keys, valid[:, None, None, :], dropout)
        return self.output(attended.transpose(1, 2).flatten(2))


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the frames, feed-forward, each with a norm before and a residual."""

    def __init__(
        self,
        dim: int,
        encoder_dim: int,
        heads: int,
        feed_forward: int,
        *,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ):
        super().__init__()
        self.attention = CausalAttention(dim, heads, attention_dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.cross_attention = CrossAttention(dim, encoder_dim, heads, attention_dropout)
        self.cross_attention_norm = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(dim, feed_forward, dropout)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, frames: Tensor, valid: Tensor) -> Tensor:
        """All tokens at once. (B, L, D), (B, F, E), (B, F) bool -> (B, L, D)"""
        features = features + self.dropout(self.attention(self.attention_norm(features)))
        keys = self.cross_attention.keys(frames)
        looked = self.cross_attention(self.cross_attention_norm(features), keys, valid)
        features = features + self.dropout(looked)
        return features + self.feed_forward(self.feed_forward_norm(features))

    def step(self, features: Tensor, cache: LayerCache, valid: Tensor) -> Tensor:
        """The next token alone. (B * K, 1, D), ..., (B, F) bool -> (B * K, 1, D)"""
        features = features + self.attention.step(self.attention_norm(features), cache)
        queries = self.cross_attention_norm(features).view(len(valid), -1, features.size(2))  # (B, K, D)
        features = features + self.cross_attention(queries, cache.frames, valid).view_as(features)
        return features + self.feed_forward(self.feed_forward_norm(features))


class TransformerDecoder(nn.Module):
    """A stack of layers, closed by a LayerNorm."""

    def __init__(self, layers: list[DecoderLayer], dim: int):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.final_norm = nn.LayerNorm(dim)

    def forward(self, features: Tensor, frames: Tensor, valid: Tensor) -> Tensor:
        """All tokens at once, as in training.

        Args:
            features: embedded tokens. (B, L, D)
            frames: of the encoder. (B, F, E)
            valid: frames that may be looked at. (B, F) bool

        Returns:
            (B, L, D).
        """
        for layer in self.layers:
            features = layer(features, frames, valid)
        return self.final_norm(features)

    def start(self, frames: Tensor, valid: Tensor) -> DecoderCache:
        """The memory of hypotheses without a token. (B, F, E), (B, F) bool"""
        keys = [layer.cross_attention.keys(frames) for layer in self.layers]  # type: ignore[union-attr, operator]
        return DecoderCache(valid, [LayerCache(each) for each in keys])

    def step(self, features: Tensor, cache: DecoderCache) -> Tensor:
        """The next token of every hypothesis; equal to the last one of `forward` over all of them.

        Args:
            features: embedded tokens, hypotheses of an utterance side by side. (B * K, D)
            cache: of the tokens before; it is changed.

        Returns:
            (B * K, D).
        """
        features = features[:, None]
        for layer, remembered in zip(self.layers, cache.layers, strict=True):
            features = layer.step(features, remembered, cache.valid)  # type: ignore[operator]
        cache.length += 1
        return self.final_norm(features[:, 0])


def _split(features: Tensor, heads: int) -> Tensor:
    """(B, L, D) -> (B, H, L, D / H)"""
    batch, count, _ = features.shape
    return features.view(batch, count, heads, -1).transpose(1, 2)
