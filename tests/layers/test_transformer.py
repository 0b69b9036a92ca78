"""Transformer layers: the place of the norms, padding, layer drop."""

import pytest
import torch
from torch import nn

from noisewise.layers.transformer import TransformerEncoder, TransformerLayer


def test_post_norm_agrees_with_pytorch() -> None:
    torch.manual_seed(0)
    ours = TransformerLayer(8, 2, 16)
    theirs = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation="gelu", batch_first=True)
    copy_weights(ours, theirs)
    features = torch.randn(2, 5, 8)
    torch.testing.assert_close(ours(features), theirs(features))


def test_pre_norm_agrees_with_pytorch() -> None:
    torch.manual_seed(0)
    ours = TransformerLayer(8, 2, 16, norm_first=True)
    theirs = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    copy_weights(ours, theirs)
    features = torch.randn(2, 5, 8)
    torch.testing.assert_close(ours(features), theirs(features))


def copy_weights(ours: TransformerLayer, theirs: nn.TransformerEncoderLayer) -> None:
    attention = ours.attention
    parts = (attention.query, attention.key, attention.value)
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.self_attn.out_proj.load_state_dict(attention.output.state_dict())
    theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
    with torch.no_grad():  # norms that do something, so that their places matter
        ours.attention_norm.weight.uniform_(0.5, 2)
        ours.feed_forward_norm.bias.uniform_(-1, 1)
    theirs.norm1.load_state_dict(ours.attention_norm.state_dict())
    theirs.norm2.load_state_dict(ours.feed_forward_norm.state_dict())


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("kernel", [0, 5])
def test_a_padded_batch_equals_single_utterances(norm_first: bool, kernel: int) -> None:
    torch.manual_seed(0)
    layers = [TransformerLayer(8, 2, 16, norm_first=norm_first, convolution_kernel=kernel) for _ in range(2)]
    encoder = TransformerEncoder(layers, final_norm=8).eval()
    features, lengths = torch.randn(3, 9, 8), torch.tensor([9, 4, 1])
    together = encoder(features, lengths)
    for index, length in enumerate(lengths.tolist()):
        alone = encoder(features[index : index + 1, :length], lengths[index : index + 1])
        torch.testing.assert_close(together[index, :length], alone[0], atol=1e-5, rtol=1e-5)


def test_layer_drop_skips_layers_in_training_only() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder([TransformerLayer(8, 2, 16) for _ in range(3)], layer_drop=1.0)
    features, lengths = torch.randn(1, 4, 8), torch.tensor([4])
    assert torch.equal(encoder.train()(features, lengths), features)
    assert not torch.equal(encoder.eval()(features, lengths), features)
