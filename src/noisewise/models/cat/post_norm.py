"""The Transformer layer of CAT and data2vec 2.0: norms after the residuals, and the feed-forward's output beside."""

from torch import Tensor, nn

from noisewise.layers.attention import MultiHeadAttention
from noisewise.layers.transformer import FeedForward
from noisewise.models.cat.drop_path import DropPath


class PostNormLayer(nn.Module):
    """a = LN(x + attention(x)); t = feed_forward(a); LN(a + t). `t` is what a teacher's targets are made of."""

    def __init__(self, dim: int, heads: int, feed_forward: int, *, dropout: float = 0.0, drop_path: float = 0.0):
        super().__init__()
        self.attention = MultiHeadAttention(dim, heads, dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(dim, feed_forward, dropout)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, features: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One layer.

        Args:
            features: (B, F, D).
            valid: (B, F) bool, None when nothing is padding.

        Returns:
            the output and the feed-forward's part of it, (B, F, D) each.
        """
        attended = self.attention_norm(features + self.drop_path(self.attention(features, valid)))
        fed = self.feed_forward(attended)
        return self.feed_forward_norm(attended + self.drop_path(fed)), fed
