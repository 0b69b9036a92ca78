"""Attention against PyTorch's own module, and its mask."""

import pytest
import torch
from torch import nn

from noisewise.layers.attention import MultiHeadAttention, attend


def twin(ours: MultiHeadAttention, dim: int, heads: int) -> nn.MultiheadAttention:
    theirs = nn.MultiheadAttention(dim, heads, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    return theirs


def test_agrees_with_pytorch() -> None:
    torch.manual_seed(0)
    ours = MultiHeadAttention(12, 3)
    features = torch.randn(2, 5, 12)
    valid = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    expected, _ = twin(ours, 12, 3)(features, features, features, key_padding_mask=~valid)
    torch.testing.assert_close(ours(features, valid), expected)


def test_padding_is_not_looked_at() -> None:
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2)
    features = torch.randn(1, 4, 8)
    valid = torch.tensor([[True, True, True, False]])
    disturbed = features.clone()
    disturbed[:, 3] = 100.0
    torch.testing.assert_close(attention(features, valid)[:, :3], attention(disturbed, valid)[:, :3])
    assert not torch.allclose(attention(features)[:, :3], attention(disturbed)[:, :3])


def test_bfloat16_that_learns_is_the_same_attention() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 9, 8).bfloat16().requires_grad_() for _ in range(3))
    mask = (torch.arange(9) < torch.tensor([[9], [6]]))[:, None, None, :]
    for where, is_causal in ((None, False), (mask, False), (None, True)):
        exact = torch.nn.functional.scaled_dot_product_attention(
            query.double(), key.double(), value.double(), where, is_causal=is_causal
        )
        found = attend(query, key, value, where, is_causal=is_causal)
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.double(), exact, rtol=0.02, atol=0.02)
        expected = torch.autograd.grad(exact.square().sum(), (query, key, value))
        gradients = torch.autograd.grad(found.double().square().sum(), (query, key, value))
        torch.testing.assert_close(gradients, expected, rtol=0.1, atol=0.1)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="multiple of `heads`"):
        MultiHeadAttention(10, 3)
