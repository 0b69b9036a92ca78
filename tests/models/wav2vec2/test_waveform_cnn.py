import pytest
import torch
from torch import nn

from noisewise.models.wav2vec2.waveform_cnn import ChannelNorm, MaskedGroupNorm, WaveformCNN


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def scrambled(norm: MaskedGroupNorm) -> MaskedGroupNorm:
    """Weights that would show a swapped channel."""
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2.0)
        norm.bias.uniform_(-1.0, 1.0)
    return norm


@pytest.mark.parametrize(("samples", "frames"), [(16_000, 49), (400, 1), (719, 1), (720, 2), (399, 0), (0, 0)])
def test_frames_of_a_waveform(samples: int, frames: int) -> None:
    cnn = WaveformCNN(channels=2)
    assert cnn.frames(torch.tensor([samples])).tolist() == [frames]
    assert (cnn.hop, cnn.receptive_field) == (320, 400)


@pytest.mark.parametrize("samples", [400, 401, 1_111, 4_242, 7_999])
def test_frames_agree_with_what_the_convolutions_give(samples: int) -> None:
    cnn = WaveformCNN(channels=3)
    features, frames = cnn(torch.randn(1, samples), torch.tensor([samples]))
    assert features.shape == (1, int(frames), 3)


def test_masked_group_norm_is_group_norm_where_nothing_is_padding() -> None:
    norm, oracle = scrambled(MaskedGroupNorm(5)), nn.GroupNorm(5, 5)
    oracle.load_state_dict(norm.state_dict())
    features = torch.randn(3, 5, 40) * 3 + 7
    torch.testing.assert_close(norm(features, torch.tensor([40, 40, 40])), oracle(features))


def test_masked_group_norm_of_a_padded_batch_is_group_norm_of_each_utterance() -> None:
    norm, oracle = scrambled(MaskedGroupNorm(5)), nn.GroupNorm(5, 5)
    oracle.load_state_dict(norm.state_dict())
    features = torch.randn(3, 5, 40) * 3 + 7
    lengths = [40, 17, 3]
    for row, length in enumerate(lengths):
        features[row, :, length:] = 1e3  # what follows an utterance must not matter, zeros or not
    output = norm(features, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone = oracle(features[row : row + 1, :, :length])[0]
        torch.testing.assert_close(output[row, :, :length], alone, atol=1e-5, rtol=1e-5)


def test_plain_group_norm_would_see_the_padding() -> None:
    features = torch.zeros(1, 4, 40)
    features[:, :, :20] = torch.randn(1, 4, 20) + 1
    ours = MaskedGroupNorm(4)(features, torch.tensor([20]))
    assert (ours - nn.GroupNorm(4, 4)(features))[:, :, :20].abs().max() > 0.1


def test_group_norm_stands_after_the_first_layer_only() -> None:
    group, layer = WaveformCNN(2), WaveformCNN(2, norm="layer", bias=True)
    assert [type(each.norm) for each in group.layers] == [MaskedGroupNorm] + [type(None)] * 6
    assert [type(each.norm) for each in layer.layers] == [ChannelNorm] * 7
    assert not any(name.endswith("convolution.bias") for name, _ in group.named_parameters())
    assert sum(name.endswith("convolution.bias") for name, _ in layer.named_parameters()) == 7


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_padding_changes_nothing_and_gets_no_gradient(norm: str) -> None:
    cnn = WaveformCNN(channels=8, norm=norm)  # type: ignore[arg-type]
    waveform = torch.randn(2, 4_000)
    lengths = torch.tensor([4_000, 2_345])
    waveform[1, 2_345:] = 50.0
    waveform.requires_grad_()
    features, frames = cnn(waveform, lengths)
    assert frames.tolist() == [12, 7]
    alone, _ = cnn(waveform[1:, :2_345], lengths[1:])
    torch.testing.assert_close(features[1:, :7], alone, atol=1e-5, rtol=1e-5)
    features[1, :7].square().sum().backward()
    assert waveform.grad is not None
    assert waveform.grad[1, :2_300].abs().max() > 0
    assert waveform.grad[1, 2_345:].abs().max() == 0
    assert waveform.grad[0].abs().max() == 0


def test_kaiming_keeps_the_scale_of_the_signal() -> None:
    weights = [value for value in WaveformCNN(channels=64).parameters() if value.dim() == 3]
    deviation = [weight.std().item() for weight in weights]
    expected = [(2 / (inputs * kernel)) ** 0.5 for inputs, kernel in [(1, 10), *[(64, 3)] * 4, *[(64, 2)] * 2]]
    assert deviation == pytest.approx(expected, rel=0.15)


def test_a_waveform_shorter_than_a_frame_gives_no_valid_frame() -> None:
    features, frames = WaveformCNN(channels=4)(torch.randn(2, 120), torch.tensor([120, 0]))
    assert features.shape == (2, 1, 4)
    assert frames.tolist() == [0, 0]
    assert features.isfinite().all()


def test_gelu_in_place_is_kept_from_what_autograd_needs() -> None:
    cnn = WaveformCNN(channels=4)
    waveform, lengths = torch.randn(1, 900), torch.tensor([900])
    with torch.no_grad():
        silent, _ = cnn(waveform, lengths)
    torch.testing.assert_close(silent, cnn(waveform, lengths)[0])


def test_kernels_and_strides_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="`strides` must be as many as `kernels`, 2, but are 1 instead"):
        WaveformCNN(4, (3, 2), (2,))
