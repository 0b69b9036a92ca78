"""CAT's encoder: sizes, patches, what is seen and what is not, padding."""

import pytest
import torch
from torch import Tensor

from noisewise.models.cat.decoder import PatchDecoder
from noisewise.models.cat.encoder import CAT, CATConfig, base, base_patch, large, small, statistics, tiny
from noisewise.models.cat.views import Patches, Views

SMALLEST = CATConfig(
    strides=(4, 8, 16), channels=(8, 12, 32), blocks=1, bins=32, dim=32, layers=2, heads=2, feed_forward=48
)


@pytest.fixture(params=["multi_resolution", "patch"])
def model(request: pytest.FixtureRequest) -> CAT:
    torch.manual_seed(0)
    values = {**vars(SMALLEST), "stem": request.param}
    return CAT(CATConfig(**values)).eval()


def clips(*frames: int) -> tuple[Tensor, Tensor]:
    """Noise of so many log-mel frames, padded with loud rubbish."""
    lengths = torch.tensor([240 + 160 * each for each in frames])
    waveform = torch.randn(len(frames), int(lengths.max()) + 4000)
    valid = torch.arange(waveform.size(1)) < lengths[:, None]
    return torch.where(valid, waveform * 0.05, waveform), lengths


def counted(config: CATConfig) -> tuple[int, int]:
    """Parameters of the encoder and of the decoder."""
    with torch.device("meta"):
        encoder = CAT(config)
        decoder = PatchDecoder(config.dim, config.decoder_layers, config.decoder_kernel, config.decoder_groups)
    encoder_count, decoder_count = (sum(each.numel() for each in part.parameters()) for part in (encoder, decoder))
    return encoder_count, encoder_count + decoder_count


def test_sizes() -> None:
    assert counted(base()) == (88_774_784, 91_360_640)
    assert counted(base_patch()) == (85_254_144, 87_840_000)
    assert counted(large()) == (315_413_632, 321_381_504)
    assert counted(small()) == (22_236_224, 22_884_032)
    assert counted(tiny()) == (3_356_000, 3_455_840)


def test_features_are_normalised_by_the_corpus() -> None:
    torch.manual_seed(0)
    config = CATConfig(**{**vars(SMALLEST), "mean": 0.0, "deviation": 0.5})
    waveform, lengths = clips(50, 20)
    raw, frames = CAT(config).log_mel(waveform, lengths)
    mean, deviation = statistics([row[:count] for row, count in zip(waveform, lengths, strict=True)], config)
    values = torch.cat([raw[0, :50], raw[1, :20]]).flatten()
    assert mean == pytest.approx(float(values.mean()), rel=1e-4)
    assert deviation == pytest.approx(float(values.std()), rel=1e-3)
    ours, _ = CAT(CATConfig(**{**vars(SMALLEST), "mean": mean, "deviation": deviation})).log_mel(waveform, lengths)
    assert frames.tolist() == [50, 20]
    normal = torch.cat([ours[0, :50], ours[1, :20]]).flatten()
    assert float(normal.mean()) == pytest.approx(0.0, abs=1e-4)
    assert float(normal.std()) == pytest.approx(0.5, abs=1e-3)
    assert not ours[1, 20:].any()


def test_levels_are_those_of_samples_in_one() -> None:
    """The paper's statistics are of samples in -1..1: noise of deviation 0.05 reads -4 to 1, not 17 to 22."""
    torch.manual_seed(0)
    mean, _ = statistics([torch.randn(32_000) * 0.05], base())
    assert -6 < mean < 2
    with pytest.raises(ValueError, match="25 ms"):
        statistics([torch.zeros(10)], base())


def test_patches_fill_up_the_last_and_stop_at_the_end(model: CAT) -> None:
    torch.manual_seed(0)
    patches = model.patches(*model.log_mel(*clips(40, 16, 1)))
    assert patches.times.tolist() == [3, 1, 1]
    assert patches.bands == 2
    assert patches.lengths.tolist() == [6, 2, 2]
    assert patches.every().sum(dim=1).tolist() == [6, 2, 2]
    assert patches.values[0, 4, :8].any() and not patches.values[0, 4, 8:].any()
    assert not patches.values[1, 2:].any()


def test_a_fixed_length_cuts_and_pads(model: CAT) -> None:
    torch.manual_seed(0)
    fixed = CAT(CATConfig(**{**vars(SMALLEST), "frames": 64}))
    features, frames = fixed.log_mel(*clips(100, 20))
    patches = fixed.patches(features, frames)
    assert patches.times.tolist() == [4, 4] and patches.values.shape == (2, 8, 16, 16)
    assert torch.equal(patches.values[0, 7], features[0, 48:64, 16:])
    assert not patches.values[1, 4:].any()
    assert fixed.patches(features[:, :10], frames.clamp(max=10)).values.shape == (2, 8, 16, 16)


def test_padding_and_batch_change_nothing(model: CAT) -> None:
    torch.manual_seed(0)
    waveform, lengths = clips(70, 100, 33, 16)
    together = model(waveform, lengths)
    assert together.valid is not None
    for row, length in enumerate(lengths.tolist()):
        alone = model(waveform[row : row + 1, :length], lengths[row : row + 1])
        count = alone.tokens.size(1)
        assert int(together.valid[row].sum()) == count
        torch.testing.assert_close(together.clip[row], alone.clip[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.tokens[row, :count], alone.tokens[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.pooled()[row], alone.pooled()[0], atol=1e-4, rtol=1e-4)


def test_masked_patches_never_reach_visible_tokens(model: CAT) -> None:
    torch.manual_seed(0)
    patches = model.patches(torch.randn(2, 96, 32), torch.tensor([96, 96]))
    where = torch.rand(4, 12) < 0.4
    rubbish = torch.where(where.view(2, 2, 12).any(dim=1)[:, :, None, None], patches.values, 1e3)
    clean, spoilt = model.encode(patches, where), model.encode(Patches(rubbish, patches.times, 2), where)
    assert torch.equal(clean.clip, spoilt.clip) and torch.equal(clean.tokens, spoilt.tokens)
    touched = patches.values.clone()
    touched[0, int(where[0].nonzero()[0])] += 1.0
    assert not torch.allclose(model.encode(Patches(touched, patches.times, 2), where).clip[0], clean.clip[0])


def test_each_view_gets_the_patches_of_its_own_clip(model: CAT) -> None:
    torch.manual_seed(0)
    patches = model.patches(torch.randn(2, 96, 32), torch.tensor([96, 96]))
    where = torch.rand(6, 12) < 0.5
    together = model.encode(patches, where)
    for view in range(6):
        clip = view // 3
        one = Patches(patches.values[clip : clip + 1], patches.times[clip : clip + 1], 2)
        alone = model.encode(one, where[view : view + 1])
        torch.testing.assert_close(together.clip[view], alone.clip[0], atol=1e-5, rtol=1e-5)
        count = alone.tokens.size(1)
        torch.testing.assert_close(together.tokens[view, :count], alone.tokens[0], atol=1e-5, rtol=1e-5)


def test_tokens_have_positions_and_cls_has_none(model: CAT) -> None:
    torch.manual_seed(0)
    values = torch.randn(1, 1, 16, 16).expand(1, 12, 16, 16)
    patches = Patches(values, torch.tensor([6]), 2)
    tokens, _ = model.embed(patches, Views.of(patches, torch.ones(1, 12, dtype=torch.bool)))
    assert len({tuple(token.tolist()) for token in tokens[0]}) == 12
    output = model.encode(patches, torch.ones(1, 12, dtype=torch.bool), keep=(1, 2))
    assert sorted(output.feed_forwards) == [1, 2]
    first = model.norm(torch.cat((model.cls.expand(1, 1, -1), tokens), dim=1))
    features, fed = model.layers[0](first)
    torch.testing.assert_close(output.feed_forwards[1], fed)
    torch.testing.assert_close(output.clip, model.layers[1](features)[0][:, 0])


def test_drop_path_rises_from_the_first_layer_to_the_last() -> None:
    config = CATConfig(**{**vars(SMALLEST), "layers": 3, "drop_path": 0.2})
    assert [layer.drop_path.chance for layer in CAT(config).layers] == [0.0, 0.1, 0.2]


def test_impossible_sizes_are_refused() -> None:
    for change in ({"bins": 40}, {"frames": 100}):
        with pytest.raises(ValueError, match="multiples of the patch"):
            CAT(CATConfig(**{**vars(SMALLEST), **change}))
