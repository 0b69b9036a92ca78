"""The post-norm layer is the house's Transformer layer, and gives the feed-forward's part besides."""

import torch

from noisewise.layers.transformer import TransformerLayer
from noisewise.models.cat.post_norm import PostNormLayer


def test_it_is_the_post_norm_transformer_layer() -> None:
    torch.manual_seed(0)
    ours, theirs = PostNormLayer(16, 4, 32), TransformerLayer(16, 4, 32)
    theirs.load_state_dict(ours.state_dict())
    features = torch.randn(2, 7, 16)
    valid = torch.arange(7) < torch.tensor([[7], [4]])
    output, fed = ours(features, valid)
    torch.testing.assert_close(output, theirs(features, valid))
    attended = ours.attention_norm(features + ours.attention(features, valid))
    torch.testing.assert_close(fed, ours.feed_forward(attended))
    torch.testing.assert_close(output, ours.feed_forward_norm(attended + fed))


def test_a_dropped_path_leaves_the_residual() -> None:
    torch.manual_seed(0)
    layer = PostNormLayer(8, 2, 16, drop_path=0.999)
    features = torch.randn(3, 4, 8)
    output, _ = layer(features)
    torch.testing.assert_close(output, layer.feed_forward_norm(layer.attention_norm(features)))
