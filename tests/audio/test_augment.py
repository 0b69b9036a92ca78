"""Augmentation: what it changes, and what it must leave alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from noisewise.audio import waveform
from noisewise.audio.augment import Mixup, SpecAugment, gain, reverberate, roll, speed

Array = NDArray[np.float32]


def noise(seed: int, samples: int) -> Array:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


@given(factor=st.floats(0.5, 2.0), samples=st.integers(0, 20_000))
@settings(max_examples=40, deadline=None)
def test_speed_changes_the_length_by_its_factor(factor: float, samples: int) -> None:
    changed = speed(noise(0, samples), factor)
    assert changed.dtype == np.float32
    assert abs(len(changed) - samples / factor) <= 1 + samples * 1e-3


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_faster_is_higher(factor: float) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(speed(tone, factor)[:14_000]))
    assert spectrum.argmax() * 16_000 / 14_000 == pytest.approx(1000 * factor, abs=2)


def test_speed_1_is_the_same() -> None:
    np.testing.assert_array_equal(speed(noise(0, 500), 1.0), noise(0, 500))
    with pytest.raises(ValueError, match="between"):
        speed(noise(0, 500), 0.0)


@given(db=st.floats(-40, 40))
def test_gain_is_in_decibels_of_amplitude(db: float) -> None:
    louder = gain(noise(1, 100), db)
    measured = 10 * np.log10(np.sum(louder.astype(np.float64) ** 2) / np.sum(noise(1, 100).astype(np.float64) ** 2))
    assert measured == pytest.approx(db, abs=1e-3) and louder.dtype == np.float32


def test_gain_must_be_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        gain(noise(1, 10), float("nan"))


def convolved(dry: Array, response: Array) -> NDArray[np.float64]:
    """The oracle: direct convolution in double precision, aligned at the strongest tap, with the energy of `dry`."""
    wet = np.convolve(dry.astype(np.float64), response.astype(np.float64))
    wet = wet[np.abs(response).argmax() :][: len(dry)]
    return np.asarray(wet * np.sqrt(np.sum(dry.astype(np.float64) ** 2) / np.sum(wet**2)))


@given(samples=st.integers(2, 3000), taps=st.integers(1, 2000), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_reverberation_is_convolution(samples: int, taps: int, seed: int) -> None:
    dry, response = noise(seed, samples), noise(seed + 1, taps)
    response[taps // 3] = 2.0
    wet = reverberate(dry, response)
    assert wet.dtype == np.float32 and wet.shape == dry.shape
    np.testing.assert_allclose(wet, convolved(dry, response), atol=1e-5)


def test_reverberation_keeps_time_and_energy() -> None:
    dry = np.zeros(16_000, np.float32)
    dry[5000:5200] = noise(3, 200)
    response = np.zeros(8000, np.float32)
    response[700] = -0.9  # the direct path, late and upside down as some recordings have it
    response[701:] = noise(4, 7299) * np.exp(-np.arange(7299) / 1500)
    wet = reverberate(dry, response)
    assert not np.abs(wet[:4900]).max() > 1e-6 and np.abs(wet[5200:9000]).max() > 1e-4
    assert np.sum(wet.astype(np.float64) ** 2) == pytest.approx(np.sum(dry.astype(np.float64) ** 2), rel=1e-4)
    assert np.argmax(np.abs(np.correlate(wet, dry[5000:5200], "valid"))) == 5000


def test_a_delta_changes_nothing() -> None:
    dry = noise(0, 1000)
    np.testing.assert_allclose(reverberate(dry, np.array([0, 0, 0.3, 0], np.float32)), dry, atol=1e-6)


def test_silence_and_nothing_stay() -> None:
    response = noise(0, 10)
    assert not reverberate(np.zeros(100, np.float32), response).any()
    assert len(reverberate(np.zeros(0, np.float32), response)) == 0


@pytest.mark.parametrize("response", [np.zeros(10), np.zeros(0), np.array([1.0, np.nan]), np.ones((3, 2))])
def test_impulse_responses_that_are_none(response: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"must|take one channel"):
        reverberate(noise(0, 100), response.astype(np.float32))


def test_real_rooms(data_dir: Path) -> None:
    dry = noise(0, 16_000)
    for path in sorted((data_dir / "rir").rglob("*.flac"))[:4]:
        np.testing.assert_allclose(
            reverberate(dry, waveform.load(path)), convolved(dry, waveform.load(path)), atol=1e-5
        )


def masked(module: SpecAugment, lengths: list[int], frames: int = 120, bins: int = 40, seed: int = 0) -> Tensor:
    """What is hidden of features that are 1 everywhere. (B, F, D) bool"""
    torch.manual_seed(seed)
    features: Tensor = module(torch.ones(len(lengths), frames, bins), torch.tensor(lengths))
    return features == 0


def runs(line: Tensor) -> int:
    """Stretches of True in a row of bools."""
    padded = torch.cat([torch.zeros(1, dtype=torch.bool), line])
    return int((padded[1:] & ~padded[:-1]).sum())


@given(
    lengths=st.lists(st.integers(0, 120), min_size=1, max_size=4),
    masks=st.integers(0, 3),
    width=st.integers(0, 30),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_masks_keep_within_their_bounds(lengths: list[int], masks: int, width: int, seed: int) -> None:
    hidden = masked(SpecAugment(masks, width, masks, width, 0.2), lengths, seed=seed)
    for row, length in enumerate(lengths):
        in_time, in_frequency = hidden[row].all(dim=1), hidden[row].all(dim=0)
        if in_time.all() or in_frequency.all():
            continue
        assert torch.equal(hidden[row], in_time[:, None] | in_frequency[None, :])
        assert runs(in_time) <= masks and runs(in_frequency) <= masks
        assert in_time.sum() <= masks * min(width, int(0.2 * length))
        assert in_frequency.sum() <= masks * width
        assert not in_time[length:].any()


def test_every_place_and_width_is_drawn() -> None:
    module = SpecAugment(1, 3, 1, 4, 1.0)
    times, bins = set(), set()
    for seed in range(400):
        hidden = masked(module, [8], frames=8, bins=6, seed=seed)[0]
        times.add(tuple(hidden.all(dim=1).tolist()))
        bins.add(tuple(hidden.all(dim=0).tolist()))
    assert len(times) == 1 + 8 + 7 + 6 + 5 and len(bins) == 1 + 6 + 5 + 4


def test_utterances_are_masked_apart() -> None:
    hidden = masked(SpecAugment(), [120] * 8)
    assert len({tuple(row.flatten().tolist()) for row in hidden}) == 8


def test_draws_come_from_the_default_generator() -> None:
    module = SpecAugment()
    assert torch.equal(masked(module, [100, 120], seed=1), masked(module, [100, 120], seed=1))
    assert not torch.equal(masked(module, [100, 120], seed=1), masked(module, [100, 120], seed=2))


def test_evaluation_hides_nothing() -> None:
    features = torch.ones(2, 10, 4)
    assert SpecAugment().eval()(features, torch.tensor([10, 5])) is features


def test_bounds_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        SpecAugment(time_fraction=1.5)
    with pytest.raises(ValueError, match="0 or more"):
        SpecAugment(frequency_masks=-1)


def test_roll_comes_round() -> None:
    waveform = np.arange(5, dtype=np.float32)
    assert roll(waveform, 2).tolist() == [3, 4, 0, 1, 2]
    assert roll(waveform, -1).tolist() == [1, 2, 3, 4, 0]


def test_mixup_mixes_features_and_labels_alike() -> None:
    torch.manual_seed(0)
    features = torch.eye(3)[:, None].expand(3, 4, 3)
    mixed, lengths, labels = Mixup(0.8)(features, torch.tensor([1, 4, 2]), torch.eye(3))
    torch.testing.assert_close(mixed[:, 0], labels)
    share = float(labels[0, 0])
    assert 0 < share < 1
    torch.testing.assert_close(labels[0], torch.tensor([share, 0.0, 1 - share]))
    torch.testing.assert_close(labels[2], torch.tensor([1 - share, 0.0, share]))
    assert labels[1].tolist() == [0, 1, 0]
    assert lengths.tolist() == [2, 4, 2]


def test_mixup_has_its_chance_and_its_distribution() -> None:
    torch.manual_seed(0)
    shares = [float(Mixup(0.8, 0.5)(torch.zeros(2, 1, 1), torch.ones(2), torch.eye(2))[2][0, 0]) for _ in range(2000)]
    drawn = torch.tensor([share for share in shares if share != 1])
    assert 0.45 < len(drawn) / 2000 < 0.55
    assert abs(float(drawn.mean()) - 0.5) < 0.03
    assert abs(float(drawn.var()) - 0.25 / 2.6) < 0.01  # of Beta(a, a): 1 / (4 (2 a + 1))


def test_mixup_rests_in_evaluation_and_at_zero() -> None:
    given = (torch.randn(2, 3, 4), torch.tensor([3, 2]), torch.eye(2))
    for module in (Mixup().eval(), Mixup(0.0), Mixup(chance=0.0)):
        assert all(before is after for before, after in zip(given, module(*given), strict=True))
    with pytest.raises(ValueError, match="alpha"):
        Mixup(-1.0)
