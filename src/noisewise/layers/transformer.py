"""Transformer layers, post-norm as in wav2vec 2.0 or pre-norm, with an optional convolution module."""

import torch
from torch import Tensor, nn

from noisewise.layers.attention import MultiHeadAttention
from noisewise.layers.convolution import ConvolutionModule
from noisewise.layers.masking import valid_mask


class FeedForward(nn.Module):
    """Two linear maps with GELU between."""

    def __init__(self, dim: int, inner: int, dropout: float = 0.0, activation_dropout: float = 0.0):
        super().__init__()
        self.inner = nn.Linear(dim, inner)
        self.activation = nn.GELU()
        self.activation_dropout = nn.Dropout(activation_dropout)
        self.outer = nn.Linear(inner, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, D) -> (B, F, D)"""
        inner = self.activation_dropout(self.activation(self.inner(features)))
        return self.dropout(self.outer(inner))


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward with residuals.

    With `convolution_kernel` > 0 a gated depth-wise convolution stands between the two, as in the Conformer
    (Gulati et al. 2020), with one feed-forward instead of two halves.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        feed_forward: int,
        *,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
        norm_first: bool = False,
        convolution_kernel: int = 0,
    ):
        super().__init__()
        self.norm_first = norm_first
        self.attention = MultiHeadAttention(dim, heads, attention_dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.convolution = ConvolutionModule(dim, convolution_kernel, dropout) if convolution_kernel else None
        self.convolution_norm = nn.LayerNorm(dim) if convolution_kernel else None
        self.feed_forward = FeedForward(dim, feed_forward, dropout, activation_dropout)
        self.feed_forward_norm = nn.LayerNorm(dim)

    def forward(self, features: Tensor, valid: Tensor | None = None) -> Tensor:
        """One layer.

        Args:
            features: (B, F, D).
            valid: (B, F) bool, None when nothing is padding.
        """
        if self.norm_first:
            features = features + self.dropout(self.attention(self.attention_norm(features), valid))
            if self.convolution is not None and self.convolution_norm is not None:
                features = features + self.convolution(self.convolution_norm(features), valid)
            return features + self.feed_forward(self.feed_forward_norm(features))
        features = self.attention_norm(features + self.dropout(self.attention(features, valid)))
        if self.convolution is not None and self.convolution_norm is not None:
            features = self.convolution_norm(features + self.convolution(features, valid))
        return self.feed_forward_norm(features + self.feed_forward(features))


class TransformerEncoder(nn.Module):
    """A stack of layers with layer drop; a final LayerNorm closes a pre-norm stack."""

    def __init__(self, layers: list[TransformerLayer], *, layer_drop: float = 0.0, final_norm: int = 0):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.layer_drop = layer_drop
        self.final_norm = nn.LayerNorm(final_norm) if final_norm else nn.Identity()

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Contextualise frames.

        Args:
            features: (B, F, D).
            lengths: valid frames. (B,)
        """
        frames = features.size(1)
        valid = None if bool((lengths >= frames).all()) else valid_mask(lengths, frames)
        for layer in self.layers:
            if self.training and self.layer_drop > 0 and torch.rand(()).item() <= self.layer_drop:
                continue
            features = layer(features, valid)
        return self.final_norm(features)
