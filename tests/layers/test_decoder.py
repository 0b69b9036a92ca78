"""The Transformer decoder: PyTorch as oracle, causality, padding, the cache."""

import pytest
import torch
from torch import Tensor, nn

from noisewise.layers.decoder import CrossAttention, DecoderLayer, TransformerDecoder
from noisewise.layers.masking import valid_mask


def stack(layers: int = 2, encoder_dim: int = 12) -> TransformerDecoder:
    torch.manual_seed(0)
    return TransformerDecoder([DecoderLayer(8, encoder_dim, 2, 16) for _ in range(layers)], 8).eval()


@pytest.fixture
def frames() -> tuple[Tensor, Tensor]:
    """Three utterances of 9, 4 and 1 frames, with noise in the padding."""
    torch.manual_seed(1)
    return torch.randn(3, 9, 12), valid_mask(torch.tensor([9, 4, 1]), 9)


def test_a_layer_agrees_with_pytorch() -> None:
    torch.manual_seed(0)
    ours = DecoderLayer(8, 8, 2, 16).eval()
    theirs = nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    copy_weights(ours, theirs)
    features, memory = torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    valid = valid_mask(torch.tensor([7, 3]), 7)
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    expected = theirs(features, memory, tgt_mask=causal, tgt_is_causal=True, memory_key_padding_mask=~valid)
    torch.testing.assert_close(ours(features, memory, valid), expected)


def copy_weights(ours: DecoderLayer, theirs: nn.TransformerDecoderLayer) -> None:
    pairs = ((ours.attention, theirs.self_attn), (ours.cross_attention, theirs.multihead_attn))
    with torch.no_grad():
        for own, other in pairs:
            parts = (own.query, own.key, own.value)
            other.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
            other.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
            other.out_proj.load_state_dict(own.output.state_dict())
        ours.attention_norm.weight.uniform_(0.5, 2)  # norms that do something, so that their places matter
        ours.cross_attention_norm.weight.uniform_(0.5, 2)
        ours.feed_forward_norm.bias.uniform_(-1, 1)
    theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
    theirs.norm1.load_state_dict(ours.attention_norm.state_dict())
    theirs.norm2.load_state_dict(ours.cross_attention_norm.state_dict())
    theirs.norm3.load_state_dict(ours.feed_forward_norm.state_dict())


def test_a_token_does_not_see_what_comes_after_it(frames: tuple[Tensor, Tensor]) -> None:
    decoder, features = stack(), torch.randn(3, 6, 8)
    changed = features.clone()
    changed[:, 4:] += torch.randn(2, 8)
    before, after = decoder(features, *frames), decoder(changed, *frames)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().amax(dim=2).min() > 1e-3
    changed = features.clone()
    changed[:, 0] += torch.randn(8)
    assert (before - decoder(changed, *frames)).abs().amax(dim=2).min() > 1e-4  # all see the first


def test_padding_of_frames_and_tokens_changes_nothing(frames: tuple[Tensor, Tensor]) -> None:
    decoder, features = stack(), torch.randn(3, 6, 8)
    memory, valid = frames
    together = decoder(features, memory, valid)
    for row, (count, tokens) in enumerate(((9, 6), (4, 3), (1, 1))):
        alone = decoder(features[row : row + 1, :tokens], memory[row : row + 1, :count], valid[row : row + 1, :count])
        torch.testing.assert_close(together[row, :tokens], alone[0], atol=1e-5, rtol=1e-5)
    moved = memory.clone()
    moved[0, 8] += 1.0
    assert (decoder(features, moved, valid)[0] - together[0]).abs().amax() > 1e-3  # a valid frame matters


def test_one_token_after_the_other_equals_all_at_once(frames: tuple[Tensor, Tensor]) -> None:
    decoder, features = stack(), torch.randn(3, 6, 8)
    cache = decoder.start(*frames)
    steps = torch.stack([decoder.step(features[:, at], cache) for at in range(6)], dim=1)
    torch.testing.assert_close(steps, decoder(features, *frames), atol=1e-5, rtol=1e-5)
    assert cache.length == 6


def test_hypotheses_of_an_utterance_go_on_from_one_another(frames: tuple[Tensor, Tensor]) -> None:
    decoder, features = stack(), torch.randn(6, 4, 8)  # two hypotheses of each of three utterances
    cache = decoder.start(*frames)
    for at in range(3):
        decoder.step(features[:, at], cache)
    rows = torch.tensor([1, 1, 3, 2, 4, 4])
    cache.reorder(rows)
    step = decoder.step(features[:, 3], cache)
    histories = torch.cat((features[rows, :3], features[:, 3:]), dim=1)
    memory, valid = (each.repeat_interleave(2, dim=0) for each in frames)
    torch.testing.assert_close(step, decoder(histories, memory, valid)[:, -1], atol=1e-5, rtol=1e-5)


def test_dropout_acts_in_training_only(frames: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    layer = DecoderLayer(8, 12, 2, 16, dropout=0.5, attention_dropout=0.5)
    features = torch.randn(3, 6, 8)
    assert not torch.equal(layer.train()(features, *frames), layer(features, *frames))
    assert torch.equal(layer.eval()(features, *frames), layer(features, *frames))


def test_width_must_hold_whole_heads() -> None:
    with pytest.raises(ValueError, match="`dim` must be a multiple of `heads`"):
        CrossAttention(10, 12, 4)
