"""The Transformer decoder without an encoder: a stack of layers in which tokens look back at tokens alone.

Vaswani et al. 2017, Sec. 3; the norms stand first (Baevski and Auli 2019, "Adaptive Input Representations for Neural
Language Modeling", Sec. 4.1).

Legend: B sequences, L tokens so far, N layers, D width, H heads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.layers.decoder import CausalAttention
from noisewise.layers.transformer import FeedForward


class RememberingAttention(CausalAttention):
    """Causal self-attention whose keys and values can be kept for the next token."""

    def next(self, features: Tensor, past: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """The same as `forward` for one more token of each sequence.

        Args:
            features: of that token. (B, D)
            past: keys and values of the tokens before, padded. (B, L, 2, H, D / H)
            valid: which of them are no padding, then the token itself. (B, L + 1) bool

        Returns:
            (B, D), and the keys and values of the token (B, 2, H, D / H).
        """
        query, key, value = (self._split(project(features[:, None])) for project in (self.query, self.key, self.value))
        own = torch.stack((key, value), dim=2).transpose(1, 3)  # (B, 1, 2, H, D / H)
        keys, values = torch.cat((past, own), dim=1).permute(2, 0, 3, 1, 4)  # (B, H, L + 1, D / H) each
        attended = F.scaled_dot_product_attention(query, keys, values, attn_mask=valid[:, None, None])
        return self._joined(attended)[:, 0], own[:, 0]


class CausalLayer(nn.Module):
    """Causal self-attention and feed-forward, each with a norm before and a residual."""

    def __init__(
        self, dim: int, heads: int, feed_forward: int, *, dropout: float = 0.0, attention_dropout: float = 0.0
    ):
        super().__init__()
        self.attention = RememberingAttention(dim, heads, attention_dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(dim, feed_forward, dropout)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """All tokens at once. (B, L, D) -> (B, L, D)"""
        features = features + self.dropout(self.attention(self.attention_norm(features)))
        return features + self.feed_forward(self.feed_forward_norm(features))

    def next(self, features: Tensor, past: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """One more token of each sequence; see `RememberingAttention.next`."""
        looked, own = self.attention.next(self.attention_norm(features), past, valid)
        features = features + looked
        return features + self.feed_forward(self.feed_forward_norm(features)), own


class CausalTransformer(nn.Module):
    """A stack of such layers, closed by a LayerNorm."""

    def __init__(self, layers: list[CausalLayer], dim: int):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.final_norm = nn.LayerNorm(dim)

    def forward(self, features: Tensor) -> Tensor:
        """All tokens at once; padding stands behind what is valid, where nothing looks. (B, L, D) -> (B, L, D)"""
        for layer in self.layers:
            features = layer(features)
        return self.final_norm(features)

    def next(self, features: Tensor, past: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """One more token of each sequence; equal to the last one of `forward` over all of them.

        Args:
            features: of that token. (B, D)
            past: keys and values of the tokens before, padded. (B, L, N, 2, H, D / H)
            valid: which of them are no padding. (B, L) bool

        Returns:
            (B, D), and the keys and values of the token (B, N, 2, H, D / H).
        """
        valid, kept = F.pad(valid, (0, 1), value=True), []
        for layer, before in zip(self.layers, past.unbind(dim=2), strict=True):
            features, own = layer.next(features, before, valid)  # type: ignore[operator]
            kept.append(own)
        return self.final_norm(features), torch.stack(kept, dim=1)
