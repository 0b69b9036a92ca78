"""Views: the places of chosen patches, by loops over the grid."""

import torch

from noisewise.models.cat.views import Patches, Views, mean_of_clips

PATCHES = Patches(torch.arange(2 * 12.0).view(2, 12, 1, 1), torch.tensor([6, 4]), 2)
WHERE = torch.rand(6, 12, generator=torch.Generator().manual_seed(0)) < 0.4
"""Three views of each of two clips, 6 times and 2 bands."""


def test_every_chosen_patch_has_its_clip_time_and_band() -> None:
    views = Views.of(PATCHES, WHERE)
    expected = [
        (view // 3, time, band)
        for view in range(6)
        for time in range(6)
        for band in range(2)
        if WHERE[view, 2 * time + band]
    ]
    assert list(zip(views.clip.tolist(), views.time.tolist(), views.band.tolist(), strict=True)) == expected
    assert views.clip_of_view.tolist() == [0, 0, 0, 1, 1, 1] and views.grid == (6, 6, 2)
    values = [12 * clip + 2 * time + band for clip, time, band in expected]
    assert views.of_patches(PATCHES.values).flatten().tolist() == values


def test_tokens_lie_on_the_grid_and_what_is_elsewhere_stays() -> None:
    views = Views.of(PATCHES, WHERE)
    tokens = torch.randn(int(WHERE.sum()), 3)
    grid = views.on_grid(tokens, torch.full((72, 3), 9.0))
    assert torch.equal(grid.flatten(1, 2)[WHERE], tokens)
    assert (grid.flatten(1, 2)[~WHERE] == 9).all()


def test_the_mean_of_a_clip_without_losses_is_zero() -> None:
    losses, clip = torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 2])
    assert mean_of_clips(losses, clip, 4).tolist() == [2.0, 0.0, 5.0, 0.0]
