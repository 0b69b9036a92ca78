"""The lecture's encoder: frame rate, positions, size, log-mel or MFCC."""

from dataclasses import replace

import pytest
import torch

from noisewise.audio.features import MFCC, LogMel
from noisewise.errors import ConfigError
from noisewise.models.logmel_transformer import LogMelTransformer, LogMelTransformerConfig, small, tiny


def test_hop_is_the_frame_rate() -> None:
    for strides, hop in (((2, 2), 640), ((2, 1), 320)):
        config = LogMelTransformerConfig(dim=16, layers=1, heads=2, feed_forward=16, strides=strides)
        encoder = LogMelTransformer(config)
        assert encoder.hop == hop
        output = encoder(torch.randn(1, 32_000), torch.tensor([32_000]))
        assert abs(output.features.size(1) - 32_000 / hop) <= 1


def test_masks_act_in_training_only() -> None:
    torch.manual_seed(0)
    encoder = LogMelTransformer(tiny()).eval()
    waveform, lengths = torch.randn(1, 32_000) * 0.1, torch.tensor([32_000])
    assert torch.equal(encoder(waveform, lengths).features, encoder(waveform, lengths).features)
    encoder.train()
    assert not torch.equal(encoder(waveform, lengths).features, encoder(waveform, lengths).features)


def test_level_does_not_matter() -> None:
    torch.manual_seed(0)
    encoder = LogMelTransformer(tiny()).eval()
    waveform, lengths = torch.randn(1, 16_000) * 0.3, torch.tensor([16_000])
    loud, soft = encoder(waveform, lengths).features, encoder(waveform * 0.01, lengths).features
    torch.testing.assert_close(loud, soft, atol=1e-3, rtol=1e-3)


def test_size_of_the_box() -> None:
    count = sum(parameter.numel() for parameter in LogMelTransformer(small()).parameters())
    assert 4.4e6 < count < 4.9e6


def test_mfcc_and_log_mel_differ_in_the_front_end_alone() -> None:
    mel = LogMelTransformer(tiny())
    mfcc = LogMelTransformer(replace(tiny(), features="mfcc", coefficients=20))
    assert type(mel.features) is LogMel and isinstance(mfcc.features, MFCC)
    assert (mel.features.dim, mfcc.features.dim) == (80, 20)
    shapes = [{name: tensor.shape for name, tensor in each.state_dict().items()} for each in (mel, mfcc)]
    assert {name for name in shapes[0] if shapes[0][name] != shapes[1].get(name)} == {
        "subsampling.convolutions.0.weight"
    }
    assert shapes[0].keys() == shapes[1].keys()
    waveform, lengths = torch.randn(2, 16_000) * 0.1, torch.tensor([16_000, 9_000])
    outputs = [each.eval()(waveform, lengths) for each in (mel, mfcc)]
    assert outputs[0].features.shape == outputs[1].features.shape
    assert outputs[0].lengths.tolist() == outputs[1].lengths.tolist()


@torch.inference_mode()
def test_padding_does_not_change_what_mfcc_become() -> None:
    torch.manual_seed(0)
    encoder = LogMelTransformer(replace(tiny(), features="mfcc")).eval()
    waveforms = [torch.randn(length) * 0.1 for length in (4_000, 16_000, 9_999)]
    lengths = torch.tensor([len(each) for each in waveforms])
    padded = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    together = encoder(padded, lengths)
    for row, waveform in enumerate(waveforms):
        alone = encoder(waveform[None], lengths[row : row + 1])
        count = int(alone.lengths)
        assert int(together.lengths[row]) == count
        torch.testing.assert_close(together.features[row, :count], alone.features[0], atol=1e-4, rtol=0)


def test_bands_of_mfcc_are_not_hidden() -> None:
    mel = LogMelTransformer(tiny()).spec_augment
    mfcc = LogMelTransformer(replace(tiny(), features="mfcc")).spec_augment
    assert mel is not None and mfcc is not None
    assert (mel.frequency_masks, mfcc.frequency_masks) == (2, 0)
    assert (mel.time_masks, mel.time_width) == (mfcc.time_masks, mfcc.time_width)
    hidden = mfcc.train()(torch.ones(1, 200, 13), torch.tensor([200]))[0]
    assert set(hidden.sum(dim=1).tolist()) == {0.0, 13.0}


def test_more_coefficients_than_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match="`coefficients` must be 1 to `bins`"):
        LogMelTransformer(replace(tiny(), features="mfcc", coefficients=81))
