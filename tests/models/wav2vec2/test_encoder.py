from dataclasses import replace

import pytest
import torch
from torch import Tensor

from noisewise.checkpoints.foreign import huggingface
from noisewise.models.wav2vec2.encoder import Wav2Vec2Config, Wav2Vec2Encoder, base, large, tiny
from noisewise.models.wav2vec2.front_end import LogMelFrontEnd, WaveformFrontEnd

STILL = {"dropout": 0.0, "input_dropout": 0.0, "attention_dropout": 0.0, "layer_drop": 0.0}
LAYER_NORM = {"front_end": WaveformFrontEnd(channels=32, norm="layer", bias=True, normalise=True), "norm_first": True}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def an_encoder(**changes: object) -> Wav2Vec2Encoder:
    encoder = Wav2Vec2Encoder(replace(tiny(), **changes)).eval()  # type: ignore[arg-type]
    with torch.no_grad():  # weights of 0.02 would hide an error in attention
        for value in encoder.transformer.parameters():
            value.mul_(4 if value.dim() == 2 else 1)
    return encoder


def size(config: Wav2Vec2Config) -> int:
    with torch.device("meta"):
        return sum(value.numel() for value in Wav2Vec2Encoder(config).parameters())


def test_sizes_of_the_paper() -> None:
    assert size(base()) == 94_371_712
    assert size(large()) == 315_438_720


def test_linear_maps_begin_as_berts_or_keep_the_variance_of_their_inputs() -> None:
    wide = replace(tiny(), dim=256, feed_forward=1024)
    for std, maps in (
        (0.02, {"inner": 0.02, "outer": 0.02}),
        (None, {"inner": 1 / 16, "outer": 1 / 32}),
    ):
        layer = Wav2Vec2Encoder(replace(wide, initial_std=std)).transformer.layers[0]
        for name, expected in maps.items():
            found = getattr(layer.feed_forward, name)
            assert float(found.weight.detach().std()) == pytest.approx(expected, rel=0.02) and not found.bias.any()


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"hidden_size": 48, "num_attention_heads": 6, "conv_dim": [24] * 7, "num_conv_pos_embeddings": 15},
        {"conv_dim": [40] * 3, "conv_kernel": [10, 4, 3], "conv_stride": [5, 4, 2], "num_hidden_layers": 3},
        {"conv_bias": True},
        {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True},
        {"feat_extract_norm": "layer"},
        {"do_stable_layer_norm": True},
    ],
    ids=str,
)
def test_agrees_with_transformers_on_random_weights(shape: dict[str, object]) -> None:
    transformers = pytest.importorskip("transformers")
    small: dict[str, object] = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 96,
    }
    small |= {"conv_dim": [32] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    theirs_config = transformers.Wav2Vec2Config(**{**small, **shape})
    if "conv_kernel" in shape:
        theirs_config.num_feat_extract_layers = 3
    theirs = transformers.Wav2Vec2Model(theirs_config).eval()
    with torch.no_grad():
        for value in theirs.parameters():
            value.add_(torch.randn_like(value) * 0.1)
    config = huggingface.config_from_huggingface(theirs_config.to_dict())
    assert isinstance(config.front_end, WaveformFrontEnd)
    ours = Wav2Vec2Encoder(replace(config, front_end=replace(config.front_end, normalise=False))).eval()
    huggingface.load(ours, theirs.state_dict())
    waveform, lengths = torch.randn(2, 9_000), torch.tensor([9_000, 9_000])
    with torch.no_grad():
        expected = theirs(waveform).last_hidden_state
        torch.testing.assert_close(ours(waveform, lengths).features, expected, atol=1e-4, rtol=0)
    with torch.enable_grad():  # the other path through the convolutions
        torch.testing.assert_close(ours(waveform, lengths).features, expected, atol=1e-4, rtol=0)


def test_the_base_size_agrees_with_transformers_even_padded() -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config()).eval()
    ours = Wav2Vec2Encoder(base()).eval()
    huggingface.load(ours, theirs.state_dict())
    waveform, lengths = torch.randn(2, 20_000), torch.tensor([20_000, 9_000])
    waveform[1, 9_000:] = 0
    with torch.inference_mode():
        output = ours(waveform, lengths)
        for row, (samples, frames) in enumerate(zip(lengths.tolist(), output.lengths.tolist(), strict=True)):
            alone = theirs(waveform[row : row + 1, :samples]).last_hidden_state[0]
            assert alone.shape == (frames, 768)
            torch.testing.assert_close(output.features[row, :frames], alone, atol=1e-4, rtol=0)
        mask = torch.arange(20_000) < lengths[:, None]
        padded = theirs(waveform, attention_mask=mask.long()).last_hidden_state
        assert (padded - output.features)[1, : output.lengths[1]].abs().max() > 1e-2  # theirs sees the padding


@pytest.mark.parametrize("batch", [1, 4, 16])
@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("changes", [{}, LAYER_NORM], ids=["base", "large"])
def test_padding_and_batch_change_nothing(batch: int, gradient: bool, changes: dict[str, object]) -> None:
    encoder = an_encoder(**changes)
    lengths = torch.randint(16_000, 40_000, (batch,))
    lengths[0] = 40_000
    waveform = torch.randn(batch, 41_000)
    for row, samples in enumerate(lengths.tolist()):
        waveform[row, samples:] = 7.0
    with torch.set_grad_enabled(gradient):
        output = encoder(waveform, lengths)
        for row, (samples, frames) in enumerate(zip(lengths.tolist(), output.lengths.tolist(), strict=True)):
            alone = encoder(waveform[row : row + 1, :samples], lengths[row : row + 1])
            assert alone.lengths.tolist() == [frames]
            torch.testing.assert_close(output.features[row, :frames], alone.features[0], atol=1e-4, rtol=0)
            assert output.features[row, frames:].abs().sum() == 0


def test_an_utterance_without_a_frame_is_zero_and_harms_none() -> None:
    encoder = an_encoder()
    waveform = torch.randn(2, 5_000)
    output = encoder(waveform, torch.tensor([5_000, 200]))
    assert output.lengths.tolist() == [15, 0]
    assert output.features.isfinite().all()
    output.features.sum().backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in encoder.parameters())


def test_every_weight_but_the_mask_embedding_is_used() -> None:
    encoder = an_encoder()
    encoder(torch.randn(2, 9_000), torch.tensor([9_000, 5_000])).features.square().sum().backward()
    unused = [name for name, value in encoder.named_parameters() if value.grad is None]
    assert unused == ["mask_embedding"]


def cnn_gradient(feature_grad_mult: float) -> Tensor | None:
    torch.manual_seed(1)
    encoder = an_encoder(feature_grad_mult=feature_grad_mult)
    encoder(torch.randn(1, 6_000), torch.tensor([6_000])).features.square().sum().backward()
    return next(encoder.cnn.parameters()).grad


def test_the_gradient_of_the_convolutions_is_scaled() -> None:
    full, tenth = cnn_gradient(1.0), cnn_gradient(0.1)
    assert full is not None and tenth is not None
    torch.testing.assert_close(tenth, full * 0.1)
    assert cnn_gradient(0.0) is None


def test_masks_belong_to_training() -> None:
    encoder = an_encoder(time_mask_probability=0.65, channel_mask_probability=0.5, channel_mask_span=8)
    features, frames = torch.randn(2, 100, 64), torch.tensor([100, 60])
    assert encoder.mask(features, frames) is features
    masked = encoder.train().mask(features, frames)
    hidden = (masked == encoder.mask_embedding).float().mean(dim=2) > 0.3  # what channel masks leave of it
    silent = (masked == 0).all(dim=1)  # (B, D)
    assert 0.3 < hidden[0].float().mean() < 0.7
    assert not hidden[1, 60:].any()
    assert silent.any(dim=1).all() and not silent.all()
    untouched = ~hidden.unsqueeze(2) & ~silent.unsqueeze(1)
    assert masked[untouched].equal(features[untouched])
    masked.sum().backward()
    assert encoder.mask_embedding.grad is not None


def test_normalise_forgets_scale_and_offset_but_not_padding() -> None:
    encoder = an_encoder(**LAYER_NORM)
    waveform = torch.randn(1, 8_000)
    plain = encoder(waveform, torch.tensor([8_000])).features
    louder = torch.cat((waveform * 30 + 4, torch.full((1, 500), -9.0)), dim=1)
    moved = encoder(louder, torch.tensor([8_000]))
    torch.testing.assert_close(moved.features[:, : plain.size(1)], plain, atol=1e-4, rtol=0)


def test_training_step_lowers_a_loss() -> None:
    encoder = an_encoder(feature_grad_mult=1.0, time_mask_probability=0.65, **STILL).train()
    waveform, lengths = torch.randn(2, 6_000), torch.tensor([6_000, 4_000])
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        loss = (encoder(waveform, lengths).features - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] * 0.9


def test_dim_and_hop() -> None:
    encoder = an_encoder()
    assert (encoder.dim, encoder.hop) == (64, 320)


LOG_MEL = {"front_end": LogMelFrontEnd(bins=40, channels=32)}


@pytest.mark.parametrize("changes", [LOG_MEL, {**LOG_MEL, "convolution_kernel": 5}, {"convolution_kernel": 5}], ids=str)
@pytest.mark.parametrize("gradient", [False, True])
def test_padding_changes_nothing_for_log_mel_and_convolution_modules(
    gradient: bool, changes: dict[str, object]
) -> None:
    encoder = an_encoder(**changes)
    lengths = torch.tensor([20_000, 19_999, 16_000, 12_345, 9_000, 4_321, 1_000, 401])
    waveform = torch.randn(8, 21_000)
    for row, samples in enumerate(lengths.tolist()):
        waveform[row, samples:] = 7.0
    with torch.set_grad_enabled(gradient):
        output = encoder(waveform, lengths)
        for row, (samples, frames) in enumerate(zip(lengths.tolist(), output.lengths.tolist(), strict=True)):
            alone = encoder(waveform[row : row + 1, :samples], lengths[row : row + 1])
            assert alone.lengths.tolist() == [frames]
            torch.testing.assert_close(output.features[row, :frames], alone.features[0, :frames], atol=1e-4, rtol=0)
            assert output.features[row, frames:].abs().sum() == 0


def test_log_mel_frames_come_every_20_ms() -> None:
    """As many as those of the waveform, give or take one; a moved sound moves one frame for 320 samples."""
    mel, plain = an_encoder(**LOG_MEL), an_encoder()
    assert mel.hop == plain.hop == 320
    for samples in (16_000, 32_000, 16_320, 48_123):
        counts = [each(torch.randn(1, samples), torch.tensor([samples])).lengths.item() for each in (mel, plain)]
        assert abs(counts[0] - counts[1]) <= 1
        assert abs(counts[0] - samples / 320) < 2
    click = torch.randn(1, 16_000) * 1e-3
    click[0, 8_000:8_160] = 1.0
    later = click.roll(3 * 320, dims=1)
    lengths = torch.tensor([16_000])
    peaks = [mel.latents(each, lengths)[0][0].abs().sum(dim=1).argmax().item() for each in (click, later)]
    assert peaks[1] - peaks[0] == 3
    assert abs(peaks[0] - 25) <= 1


def test_log_mel_forgets_the_level() -> None:
    encoder, waveform, lengths = an_encoder(**LOG_MEL), torch.randn(1, 9_000), torch.tensor([9_000])
    with torch.inference_mode():
        plain, louder = (encoder(each, lengths).features for each in (waveform, waveform * 8))
    torch.testing.assert_close(plain, louder, atol=1e-2, rtol=0)


def test_the_gradient_of_the_log_mel_convolutions_is_scaled() -> None:
    found = []
    for factor in (1.0, 0.1, 0.0):
        torch.manual_seed(1)
        encoder = an_encoder(feature_grad_mult=factor, **LOG_MEL)
        encoder(torch.randn(1, 6_000), torch.tensor([6_000])).features.square().sum().backward()
        found.append(next(encoder.cnn.parameters()).grad)
    assert found[0] is not None and found[1] is not None and found[2] is None
    torch.testing.assert_close(found[1], found[0] * 0.1)


def test_a_convolution_kernel_adds_a_module_to_each_layer_and_none_is_the_papers() -> None:
    plain, with_module = (
        {name for name, _ in an_encoder(convolution_kernel=kernel).named_parameters()} for kernel in (0, 5)
    )
    new = with_module - plain
    assert plain < with_module and all(".convolution" in name for name in new)
    assert {name.split(".")[2] for name in new} == {"0", "1"}


def test_every_weight_but_the_mask_embedding_is_used_with_log_mel_and_convolution_modules() -> None:
    encoder = an_encoder(convolution_kernel=5, **LOG_MEL)
    encoder(torch.randn(2, 9_000), torch.tensor([9_000, 5_000])).features.square().sum().backward()
    assert [name for name, value in encoder.named_parameters() if value.grad is None] == ["mask_embedding"]
