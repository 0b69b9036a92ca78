"""IFF-Net: each equation against a few lines of plain code, padding, gates, gradients, sizes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisewise.config import config, dump, parse
from noisewise.errors import ConfigError
from noisewise.models.wav2code.iff_net import (
    ConcatFusion,
    ConcatFusionConfig,
    Frames,
    FusionConfig,
    IFFNet,
    IFFNetConfig,
    Interaction,
    InteractiveBlock,
    Merge,
    NoFusion,
    NoFusionConfig,
    ResNetBlock,
    SeparableSelfAttention,
    TimeConvolution,
    TimeNorm,
    build_fusion,
    embedding_attention,
    temporal_attention,
)

SMALL = IFFNetConfig(bottleneck=8, repeats=2, merge_heads=2)
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "layer norm": {"norm": "layer", "norm_attention": False},
    "no norm, gelu": {"norm": "none", "activation": "gelu"},
    "last": {"embedding_softmax": "last"},
    "kernels": {"bottleneck_kernel": 5, "merge_kernel": 3},
    "shared": {"share_branches": True, "share_interaction": True},
    "no merge attention": {"merge_attention": "none"},
    "projected": {"merge_attention": "projected", "merge_residual": False},
    "not residual": {"merge_residual": False},
    "skip": {"skip": True, "merge_bias": 2.0},
}
DIM = 12


def small(**changes: Any) -> IFFNet:
    """A small network as after some training: decoders that begin at zero have left it."""
    torch.manual_seed(0)
    net = IFFNet(replace(SMALL, **changes), DIM)
    if net.skip:
        for weight in net.decoder.parameters():
            nn.init.normal_(weight, std=0.3)
    return net


def whole(*lengths: int) -> Frames:
    return Frames(torch.tensor(lengths), max(lengths))


# Equations


def test_temporal_attention_is_equation_15() -> None:
    torch.manual_seed(0)
    features, lengths = torch.randn(2, 6, 8), (6, 4)
    ours = temporal_attention(features, whole(*lengths))
    alone = temporal_attention(features, whole(*lengths), residual=False)
    for row, length in enumerate(lengths):
        for frame in range(length):
            scores = [float(features[row, frame] @ features[row, other]) / 8**0.5 for other in range(length)]
            weights = torch.tensor(scores).softmax(dim=0)
            found = sum((weights[other] * features[row, other] for other in range(length)), torch.zeros(8))
            torch.testing.assert_close(alone[row, frame], found)
            torch.testing.assert_close(ours[row, frame], features[row, frame] + found)


@pytest.mark.parametrize("axis", [-2, -1])
def test_embedding_attention_is_equation_16(axis: int) -> None:
    torch.manual_seed(0)
    features, lengths = torch.randn(2, 9, 4), (9, 5)
    ours = embedding_attention(features, whole(*lengths), axis)
    for row, length in enumerate(lengths):
        valid = features[row, :length]
        scores = torch.empty(4, 4)
        for one in range(4):
            for other in range(4):
                scores[one, other] = (valid[:, one] * valid[:, other]).sum() / length**0.5
        weights = scores.exp() / scores.exp().sum(dim=axis, keepdim=True)
        for channel in range(4):
            found = sum((valid[:, one] * weights[one, channel] for one in range(4)), torch.zeros(length))
            torch.testing.assert_close(ours[row, :length, channel], valid[:, channel] + found)


def test_scores_far_below_the_largest_lose_nothing() -> None:
    torch.manual_seed(0)
    features = 6 * torch.randn(1, 30, 8)
    scores = features[0].double().T @ features[0].double() / 30**0.5
    assert scores.max() - scores.min() > 150
    exact = features[0].double() + features[0].double() @ scores.softmax(dim=0)
    torch.testing.assert_close(embedding_attention(features, whole(30))[0].double(), exact, atol=1e-4, rtol=1e-5)


def test_self_attention_joins_the_three_as_in_equation_17() -> None:
    torch.manual_seed(0)
    module, features = SeparableSelfAttention(replace(SMALL, norm_attention=False)), torch.randn(1, 5, 8)
    weight, bias = module.convolution.weight, module.convolution.bias
    assert isinstance(weight, Tensor) and isinstance(bias, Tensor) and weight.shape == (8, 24, 1)
    parts = features, temporal_attention(features, whole(5)), embedding_attention(features, whole(5))
    mapped = [part @ weight[:, 8 * place : 8 * (place + 1), 0].T for place, part in enumerate(parts)]
    torch.testing.assert_close(module(features, whole(5)), sum(mapped, bias))


def test_interaction_is_equations_18_and_19() -> None:
    torch.manual_seed(0)
    module, noisy, restored = Interaction(SMALL), torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    weight, bias = module.convolution.weight[:, :, 0], module.convolution.bias
    assert bias is not None
    joined = torch.cat((noisy, restored), dim=-1)
    from_noisy, from_restored = module(noisy, restored, whole(5, 5))
    torch.testing.assert_close(from_noisy, noisy + torch.sigmoid(joined @ weight[:8].T + bias[:8]) * restored)
    torch.testing.assert_close(from_restored, restored + torch.sigmoid(joined @ weight[8:].T + bias[8:]) * noisy)


def test_a_shared_interaction_has_one_mask() -> None:
    torch.manual_seed(0)
    module = Interaction(replace(SMALL, share_interaction=True))
    noisy, restored = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    from_noisy, from_restored = module(noisy, restored, whole(5, 5))
    torch.testing.assert_close(
        (from_noisy - noisy) / restored, (from_restored - restored) / noisy, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("residual", [True, False])
def test_merge_is_equations_20_and_21(residual: bool) -> None:
    torch.manual_seed(0)
    module = Merge(replace(SMALL, merge_residual=residual, merge_bias=0.7), DIM)
    noisy, restored = torch.randn(1, 6, DIM), torch.randn(1, 6, DIM)
    weight, bias = module.convolution.weight[:, :, 0], module.convolution.bias
    assert bias is not None
    joined = torch.cat((noisy, restored), dim=-1)[0] @ weight.T + bias
    attended = torch.softmax(joined @ joined.T / DIM**0.5, dim=-1) @ joined
    mask = torch.sigmoid(attended + residual * joined + 0.7)
    torch.testing.assert_close(module.gate(noisy, restored, whole(6))[0], mask)
    fused = module(noisy, restored, whole(6))[0]
    torch.testing.assert_close(fused, noisy[0] * mask + restored[0] * (1 - mask))


def test_the_resnet_block_has_one_convolution_of_kernel_3_and_a_residual() -> None:
    torch.manual_seed(0)
    module, features = ResNetBlock(replace(SMALL, norm="none", activation="gelu")), torch.randn(1, 4, 8)
    weight, bias = module.convolution.convolution.weight, module.convolution.convolution.bias
    assert bias is not None
    padded = F.pad(features[0], (0, 0, 1, 1))
    mixed = [sum((weight[:, :, k] @ padded[t + k] for k in range(3)), bias) for t in range(4)]
    torch.testing.assert_close(module(features, whole(4))[0], features[0] + F.gelu(torch.stack(mixed)))


def test_the_network_is_encoder_blocks_decoder_merge() -> None:
    net, frames = small(), whole(5, 5)
    noisy, restored = torch.randn(2, 5, DIM), torch.randn(2, 5, DIM)
    from_noisy, from_restored = net.encoder[0](noisy, frames), net.encoder[1](restored, frames)
    for block in net.blocks:
        assert isinstance(block, InteractiveBlock)
        from_noisy = block.attention[0](block.resnet[0](from_noisy, frames), frames)
        from_restored = block.attention[1](block.resnet[1](from_restored, frames), frames)
        from_noisy, from_restored = block.interaction(from_noisy, from_restored, frames)
    from_noisy, from_restored = net.decoder[0](from_noisy, frames), net.decoder[1](from_restored, frames)
    fused = net(noisy, restored, torch.tensor([5, 5]))
    torch.testing.assert_close(fused, net.merge(from_noisy, from_restored, frames))
    net.skip = True
    skipped = net(noisy, restored, torch.tensor([5, 5]))
    torch.testing.assert_close(skipped, net.merge(noisy + from_noisy, restored + from_restored, frames))


# Convolution and norm


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_convolution_is_that_of_pytorch_on_the_valid_frames(kernel: int) -> None:
    torch.manual_seed(0)
    ours, theirs = TimeConvolution(4, 6, kernel), nn.Conv1d(4, 6, kernel, padding=kernel // 2)
    theirs.load_state_dict(ours.state_dict())
    features = torch.randn(2, 7, 4)
    found = ours(features, whole(7, 3))
    for row, length in enumerate((7, 3)):
        alone = theirs(features[row : row + 1, :length].transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(found[row : row + 1, :length], alone)


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="`kernel` must be odd, but is 4 instead; take 5"):
        small(merge_kernel=4)


def test_time_norm_is_batch_norm_on_one_utterance() -> None:
    torch.manual_seed(0)
    ours, theirs = TimeNorm(4), nn.BatchNorm1d(4).train()
    with torch.no_grad():
        ours.weight.uniform_(0.5, 2)
        ours.bias.uniform_(-1, 1)
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias)
    features = 5 + 3 * torch.randn(2, 9, 4)
    found = ours(features, whole(9, 4))
    for row, length in enumerate((9, 4)):
        alone = theirs(features[row : row + 1, :length].transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(found[row, :length], alone[0])


# Padding and batches


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_batch_of_eight_equals_single_utterances(changes: dict[str, Any]) -> None:
    net, lengths = small(**changes), torch.tensor([11, 4, 1, 7, 11, 10, 2, 5])
    noisy, restored = torch.randn(8, 11, DIM), torch.randn(8, 11, DIM)
    together = net(noisy, restored, lengths)
    for row, length in enumerate(lengths.tolist()):
        one = slice(row, row + 1)
        alone = net(noisy[one, :length], restored[one, :length], lengths[one])
        torch.testing.assert_close(together[one, :length], alone, atol=1e-5, rtol=1e-4)
        assert torch.equal(together[row, length:], torch.zeros(11 - length, DIM))


@pytest.mark.parametrize("fill", [1e4, float("nan")])
@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_padding_never_reaches_a_valid_frame(changes: dict[str, Any], fill: float) -> None:
    net, lengths = small(**changes), torch.tensor([6, 4])
    noisy, restored = torch.randn(2, 6, DIM), torch.randn(2, 6, DIM)
    before = net(noisy, restored, lengths)
    noisy[1, 4:], restored[1, 4:] = fill, fill
    assert torch.equal(net(noisy, restored, lengths), before)
    gradients(net, noisy, restored, lengths)
    assert all(bool(weight.grad.isfinite().all()) for weight in net.parameters() if weight.grad is not None)


@pytest.mark.parametrize("kind", ["temporal", "embedding", "norm", "convolution"])
def test_each_mask_does_something(kind: str) -> None:
    torch.manual_seed(0)
    features, masked, unmasked = torch.randn(1, 6, 8), Frames(torch.tensor([4]), 6), whole(6)
    layers: dict[str, Callable[..., Tensor]] = {
        "temporal": temporal_attention,
        "embedding": embedding_attention,
        "norm": TimeNorm(8),
        "convolution": TimeConvolution(8, 8, 3),
    }
    layer = layers[kind]
    assert not torch.allclose(layer(features, masked)[0, :4], layer(features, unmasked)[0, :4], atol=1e-3)
    torch.testing.assert_close(layer(features, masked)[:, :4], layer(features[:, :4], whole(4)))


def test_an_utterance_without_frames_gives_zeros_and_harms_no_other() -> None:
    net = small()
    noisy, restored = torch.randn(2, 6, DIM), torch.randn(2, 6, DIM)
    fused = net(noisy, restored, torch.tensor([6, 0]))
    assert torch.equal(fused[1], torch.zeros(6, DIM))
    torch.testing.assert_close(fused[:1], net(noisy[:1], restored[:1], torch.tensor([6])))


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_bfloat16_regions_change_little(changes: dict[str, Any]) -> None:
    net, lengths = small(**changes), torch.tensor([9, 5])
    noisy, restored = torch.randn(2, 9, DIM), torch.randn(2, 9, DIM)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fused = net(noisy, restored, lengths)
    torch.testing.assert_close(fused.float(), net(noisy, restored, lengths), atol=0.1, rtol=0.1)


# Learning


def gradients(net: nn.Module, noisy: Tensor, restored: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of a random projection of the output towards both inputs, each (B, F, D)."""
    leaves = noisy.clone().requires_grad_(), restored.clone().requires_grad_()
    fused = net(*leaves, lengths)
    torch.manual_seed(1)
    (fused * torch.randn_like(fused)).sum().backward()
    found = tuple(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves)
    return found[0], found[1]


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_gradient_reaches_both_branches_and_every_weight_but_no_padding(changes: dict[str, Any]) -> None:
    net, lengths = small(**changes), torch.tensor([9, 5])
    for found in gradients(net, torch.randn(2, 9, DIM), torch.randn(2, 9, DIM), lengths):
        assert bool((found[0].abs().sum(dim=-1) > 0).all()) and bool((found[1, :5].abs().sum(dim=-1) > 0).all())
        assert not found[1, 5:].any()
    assert [name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_the_gate_begins_where_its_bias_says() -> None:
    noisy, restored, lengths = torch.randn(2, 9, DIM), torch.randn(2, 9, DIM), torch.tensor([9, 5])
    frames = Frames(lengths, 9)
    gates = [small(merge_bias=bias).merge.gate(noisy, restored, frames) for bias in (-3.0, 0.0, 3.0)]
    shares = [gate.mean().item() for gate in gates]
    assert shares[0] < 0.1 and 0.4 < shares[1] < 0.6 and shares[2] > 0.9


def test_with_added_inputs_training_begins_with_the_inputs_alone() -> None:
    noisy, restored, lengths = torch.randn(2, 9, DIM), torch.randn(2, 9, DIM), torch.tensor([9, 5])
    for bias, expected in ((40.0, noisy), (-40.0, restored)):
        net = IFFNet(replace(SMALL, skip=True, merge_bias=bias), DIM)
        torch.testing.assert_close(net(noisy, restored, lengths), Frames(lengths, 9).zeroed(expected))
    gradients(net, noisy, restored, lengths)
    assert all(bool(weight.grad is not None and weight.grad.any()) for weight in net.decoder[1].parameters())


def test_depth_leaves_the_frames_apart() -> None:
    """Frames of an utterance must not grow alike from block to block: their part of the energy stays."""
    torch.manual_seed(0)
    net = IFFNet(IFFNetConfig(bottleneck=32, repeats=6), 64)
    noisy = F.layer_norm(torch.randn(2, 80, 64), (64,))
    fused = net(noisy, noisy + 0.1 * torch.randn_like(noisy), torch.tensor([80, 80]))
    assert (fused - fused.mean(dim=1, keepdim=True)).square().mean() > 0.4 * fused.square().mean()


# Sizes


def size(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_the_paper_size_counts_as_the_equations_say() -> None:
    """By hand at D 768, D' 128, N_rep 4: what Wav2code's total of about 104 M leaves for IFF-Net."""
    net = IFFNet(IFFNetConfig(norm="none", activation="gelu"), 768)
    bottleneck = 2 * (768 * 128 + 128) + 2 * (128 * 768 + 768)
    block = 2 * (3 * 128 * 128 + 128) + 2 * (3 * 128 * 128 + 128) + 2 * (2 * 128 * 128 + 128)
    assert size(net) - size(net.merge) == bottleneck + 4 * block == 1_446_656
    assert size(net.merge) == 1536 * 768 + 768 + 768  # the last is the bias of the gate


@pytest.mark.parametrize(
    ("changes", "bottleneck", "merge"),
    [
        ({}, 1.45, 1.18),
        ({"norm_attention": False}, 1.45, 1.18),
        ({"norm": "layer"}, 1.45, 1.18),
        ({"merge_attention": "none"}, 1.45, 1.18),
        ({"bottleneck_kernel": 3}, 2.24, 1.18),
        ({"merge_kernel": 3}, 1.45, 3.54),
        ({"merge_attention": "projected"}, 1.45, 1.18 + 2.36),
    ],
)
def test_sizes_in_millions(changes: dict[str, Any], bottleneck: float, merge: float) -> None:
    net = IFFNet(IFFNetConfig(**changes), 768)
    assert (size(net) - size(net.merge)) / 1e6 == pytest.approx(bottleneck, abs=0.005)
    assert size(net.merge) / 1e6 == pytest.approx(merge, abs=0.006)


def test_the_defaults_make_wav2code_103_and_a_half_million() -> None:
    """Backbone, CTC layer, codebook, predictor (M 4, D_p 256, feed-forward 2048) and this network."""
    layer = nn.TransformerEncoderLayer(256, 8, 2048)
    predictor = 768 * 256 + 256 + 4 * size(layer) + 256 * 1024 + 1024
    total = 94_371_712 + 768 * 30 + 30 + 1024 * 768 + predictor + size(IFFNet(IFFNetConfig(), 768))
    assert total / 1e6 == pytest.approx(103.53, abs=0.01)


def test_shared_weights_are_kept_once() -> None:
    apart, shared = small(), small(share_branches=True)
    assert size(shared.encoder) * 2 == size(apart.encoder) and len(shared.encoder) == 1
    assert len(shared.state_dict()) == len({value.data_ptr() for value in shared.state_dict().values()})


# The other fusions, and the choice


def test_concatenation_is_one_linear_map() -> None:
    torch.manual_seed(0)
    net, noisy, restored = ConcatFusion(ConcatFusionConfig(), 4), torch.randn(2, 6, 4), torch.randn(2, 6, 4)
    restored[1, 3:] = torch.nan
    fused = net(noisy, restored, torch.tensor([6, 3]))
    weight, bias = net.convolution.weight[:, :, 0], net.convolution.bias
    assert bias is not None
    torch.testing.assert_close(fused[0], noisy[0] @ weight[:, :4].T + restored[0] @ weight[:, 4:].T + bias)
    assert torch.equal(fused[1, 3:], torch.zeros(3, 4)) and bool(fused.isfinite().all())


def test_no_fusion_is_what_was_restored() -> None:
    noisy, restored, lengths = torch.randn(2, 6, 4), torch.randn(2, 6, 4), torch.tensor([6, 3])
    fused = NoFusion()(noisy, restored, lengths)
    assert torch.equal(fused[0], restored[0]) and torch.equal(fused[1, :3], restored[1, :3])
    assert not fused[1, 3:].any()
    found = gradients(NoFusion(), noisy, restored, lengths)
    assert not found[0].any() and bool(found[1][1, :3].all())


@config
class Holder:
    """Something with a fusion in it."""

    fusion: FusionConfig = IFFNetConfig()


@pytest.mark.parametrize(("kind", "made"), [("iff", IFFNet), ("concat", ConcatFusion), ("none", NoFusion)])
def test_the_kind_chooses_the_fusion(kind: str, made: type[nn.Module]) -> None:
    holder = parse(Holder, {"fusion": {"kind": kind}})
    assert parse(Holder, dump(holder)) == holder
    net = build_fusion(holder.fusion, 64)
    assert type(net) is made
    assert net(torch.randn(2, 5, 64), torch.randn(2, 5, 64), torch.tensor([5, 2])).shape == (2, 5, 64)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be one of"):
        parse(Holder, {"fusion": {"kind": "sum"}})
    assert isinstance(NoFusionConfig().kind, str)
