"""Alignment with external encoders: each form by its formula, frames in their times."""

import math

import pytest
import torch

from noisewise.models.cat.alignment import Alignment, AlignmentConfig, External, distance, scaled_square


def test_scaled_square_is_the_sum_through_the_root() -> None:
    predicted, target = torch.randn(3, 16), torch.randn(3, 16)
    expected = [
        sum((a - b) ** 2 for a, b in zip(p, t, strict=True)) / 4 for p, t in zip(predicted, target, strict=True)
    ]
    torch.testing.assert_close(scaled_square(predicted, target), torch.stack(expected))


def test_cosine_looks_at_direction_alone() -> None:
    targets = torch.randn(2, 8)
    which = torch.tensor([1, 0, 1])
    same = distance("cosine", targets[which] * 7, targets, which)
    opposite = distance("cosine", -targets[which], targets, which)
    torch.testing.assert_close(same, torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(opposite, torch.full((3,), 2.0))


def test_contrast_is_the_cross_entropy_over_the_batch() -> None:
    torch.manual_seed(0)
    predicted, targets, which = torch.randn(4, 8), torch.randn(3, 8), torch.tensor([0, 2, 1, 2])
    found = distance("contrastive", predicted, targets, which, 0.5)
    for row, right in enumerate(which.tolist()):
        scores = [float(torch.cosine_similarity(predicted[row], each, dim=0)) / 0.5 for each in targets]
        expected = math.log(sum(math.exp(score) for score in scores)) - scores[right]
        assert float(found[row]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("form", ["mse", "cosine", "contrastive"])
def test_gradients_pull_towards_the_target(form: str) -> None:
    torch.manual_seed(0)
    targets = torch.randn(3, 8)
    predicted = torch.randn(3, 8, requires_grad=True)
    which = torch.tensor([2, 0, 1])
    before = distance(form, predicted, targets, which)  # type: ignore[arg-type]
    (slope,) = torch.autograd.grad(before.sum(), predicted)
    after = distance(form, predicted - 0.01 * slope, targets, which)  # type: ignore[arg-type]
    assert (after < before).all()


def test_frames_are_averaged_in_their_times() -> None:
    features = torch.arange(12.0).view(1, 12, 1).expand(2, 12, 1)
    external = External(features, torch.tensor([12, 6]))
    pooled = external.times(torch.tensor([4, 3]))
    assert pooled[0, :, 0].tolist() == [1.0, 4.0, 7.0, 10.0]
    assert pooled[1, :, 0].tolist() == [0.5, 2.5, 4.5, 0.0]
    assert external.clip()[:, 0].tolist() == [5.5, 2.5]


def test_fewer_frames_than_times_are_repeated() -> None:
    external = External(torch.tensor([[[1.0], [2.0]]]))
    assert external.times(torch.tensor([4]))[0, :, 0].tolist() == [1.0, 1.0, 2.0, 2.0]


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match="level 'clip'"):
        External(torch.randn(2, 8)).times(torch.tensor([1, 1]))
    alignment = Alignment(AlignmentConfig(encoder="clap", dim=4), 8)
    with pytest.raises(ValueError, match="must have 4 dimensions, but have 5"):
        alignment(torch.randn(2, 8), torch.randn(2, 5), torch.arange(2))


def test_the_target_gets_no_gradient() -> None:
    targets = torch.randn(2, 4, requires_grad=True)
    Alignment(AlignmentConfig(encoder="clap", dim=4), 8)(torch.randn(2, 8), targets, torch.arange(2)).sum().backward()
    assert targets.grad is None
