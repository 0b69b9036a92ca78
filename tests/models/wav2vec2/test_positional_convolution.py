import pytest
import torch
import torch.nn.functional as F

from noisewise.models.wav2vec2.positional_convolution import PositionalConvolution


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_weight_norm_is_taken_for_each_tap() -> None:
    position = PositionalConvolution(8, kernel=6, groups=2)
    weights = position.convolution.parametrizations.weight
    gain, direction = weights.original0, weights.original1
    assert gain.shape == (1, 1, 6)
    with torch.no_grad():
        gain.uniform_(0.5, 2.0)
    length = direction.square().sum(dim=(0, 1), keepdim=True).sqrt()
    torch.testing.assert_close(position.convolution.weight, gain * direction / length)


@pytest.mark.parametrize("kernel", [4, 5])
def test_a_frame_sees_half_a_kernel_to_each_side(kernel: int) -> None:
    """As many frames as came in; an even kernel looks one frame further back than ahead."""
    position = PositionalConvolution(2, kernel=kernel, groups=1)
    features = torch.zeros(1, 20, 2)
    rest = position(features)
    features[0, 10, 0] = 1.0
    moved = (position(features) - rest).abs().sum(dim=2)[0].nonzero().flatten().tolist()
    ahead = (kernel - 1) // 2
    assert moved == list(range(10 - ahead, 10 + kernel // 2 + 1))


def test_agrees_with_a_sum_over_taps() -> None:
    position = PositionalConvolution(4, kernel=4, groups=2)
    features = torch.randn(1, 9, 4)
    padded = F.pad(features[0], (0, 0, 2, 2))
    weight = position.convolution.weight  # (4, 2, 4): each half of the outputs sees its half of the inputs
    expected = torch.zeros(9, 4)
    for frame in range(9):
        for channel in range(4):
            seen = padded[frame : frame + 4, channel // 2 * 2 : channel // 2 * 2 + 2]  # (taps, 2)
            expected[frame, channel] = (seen.T * weight[channel]).sum() + position.convolution.bias[channel]
    torch.testing.assert_close(position(features)[0], F.gelu(expected))


def test_padding_counts_as_zero() -> None:
    position = PositionalConvolution(8, kernel=6, groups=2)
    features = torch.randn(2, 12, 8)
    valid = torch.arange(12) < torch.tensor([[12], [7]])
    output = position(features, valid)
    torch.testing.assert_close(output[0], position(features[:1])[0])
    torch.testing.assert_close(output[1, :7], position(features[1:, :7])[0])
    assert (position(features) - output)[1, :7].abs().max() > 1e-3  # and would matter if it did not


def test_init_is_that_of_fairseq() -> None:
    position = PositionalConvolution(64, kernel=32, groups=4)
    assert position.convolution.weight.std().item() == pytest.approx((4 / (32 * 64)) ** 0.5, rel=0.05)
    assert position.convolution.bias is not None
    assert position.convolution.bias.abs().max() == 0


@pytest.mark.parametrize(("dim", "kernel", "groups"), [(192, 64, 16), (96, 16, 16), (64, 128, 8), (256, 128, 16)])
@pytest.mark.parametrize("whole", [False, True])
def test_bfloat16_is_float32_but_for_rounding(dim: int, kernel: int, groups: int, whole: bool) -> None:
    """On processors with AMX the convolution itself is not, where groups are narrow."""
    position = PositionalConvolution(dim, kernel, groups)
    features = torch.randn(2, 60, dim)
    expected = position(features)
    with torch.autocast("cpu", torch.bfloat16):
        found = position.bfloat16()(features.bfloat16()) if whole else position(features)
    assert (found.float() - expected).norm() < 0.02 * expected.norm()
