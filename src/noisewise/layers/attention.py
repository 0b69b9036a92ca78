"""Multi-head self-attention on PyTorch's fused kernel."""

import torch.nn.functional as F
from torch import Tensor, nn


class MultiHeadAttention(nn.Module):
    """Scaled dot-product self-attention with several heads (Vaswani et al. 2017, Sec. 3.2)."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0):
        super().__init__()
        if dim % heads:
            raise ValueError(f"`dim` must be a multiple of `heads`, but is {dim} with {heads} heads instead")
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.output = nn.Linear(dim, dim)

    def forward(self, features: Tensor, valid: Tensor | None = None) -> Tensor:
        """Let every frame look at every valid frame.

        Args:
            features: (B, F, D).
            valid: frames that may be looked at, None for all. (B, F) bool.

        Returns:
            (B, F, D). Frames of padding hold numbers without meaning.
        """
        batch, frames, dim = features.shape
        query, key, value = (
            project(features).view(batch, frames, self.heads, dim // self.heads).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )  # (B, H, F, D/H)
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if valid is None else valid[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.output(attended.transpose(1, 2).reshape(batch, frames, dim))  # type: ignore[no-any-return]
