"""The Multi-resolution Block: sizes, sparse against dense, and nothing seen behind a mask."""

import pytest
import torch

from benchmarks.cat_step import dense_stem
from noisewise.models.cat.multi_resolution import MultiResolutionBlock
from noisewise.models.cat.patch import cut


@pytest.mark.parametrize(
    ("strides", "channels", "parameters"),
    [
        ((4, 8, 16), (256, 384, 768), 10_805_888),  # CAT
        ((16,), (768,), 789_504),
        ((4, 8), (384, 768), 5_937_792),
        ((4, 16), (384, 768), 13_015_680),
        ((8, 16), (384, 768), 5_956_224),
        ((2, 4, 8, 16), (256, 384, 768, 768), 40_353_920),
        ((4, 8, 16, 32), (256, 384, 768, 768), 40_356_992),
    ],
)
def test_parameters_of_the_ablation(strides: tuple[int, ...], channels: tuple[int, ...], parameters: int) -> None:
    with torch.device("meta"):
        stem = MultiResolutionBlock(strides, channels, 768)
    assert sum(each.numel() for each in stem.parameters()) == parameters


@pytest.mark.parametrize("strides", [(2, 4, 8), (4, 8), (2, 8), (8,)])
def test_visible_patches_alone_equal_the_dense_grid(strides: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    stem = MultiResolutionBlock(strides, (8, 12, 16)[-len(strides) :], 16)
    image = torch.randn(3, 48, 32)
    visible = torch.rand(3, 6, 4) < 0.4
    index = visible.flatten().nonzero().squeeze(1)
    sparse = stem(cut(image, 8).flatten(0, 2)[index], index, (3, 6, 4))
    dense = dense_stem(stem, image[:, None], visible[:, None].float()).permute(0, 2, 3, 1)[visible]
    torch.testing.assert_close(sparse, dense, atol=1e-5, rtol=1e-5)
    slopes = torch.randn_like(sparse)
    ours = torch.autograd.grad((sparse * slopes).sum(), list(stem.parameters()))
    theirs = torch.autograd.grad((dense * slopes).sum(), list(stem.parameters()))
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, atol=1e-4, rtol=1e-4)


def test_an_unmasked_grid_equals_the_dense_one() -> None:
    torch.manual_seed(0)
    stem = MultiResolutionBlock((2, 4, 8), (8, 12, 16), 16)
    image = torch.randn(2, 24, 16)
    whole = stem(cut(image, 8).flatten(0, 2), torch.arange(12), (2, 3, 2))
    torch.testing.assert_close(whole.view(2, 3, 2, 16), dense_stem(stem, image[:, None], None).permute(0, 2, 3, 1))


def test_the_dense_stem_does_not_see_behind_a_mask() -> None:
    """That it can be computed sparsely at all: loud rubbish in masked patches changes no visible token."""
    torch.manual_seed(0)
    stem = MultiResolutionBlock((2, 4, 8), (8, 12, 16), 16)
    visible = torch.rand(2, 4, 3) < 0.5
    image, rubbish = torch.randn(2, 32, 24), torch.randn(2, 32, 24) * 100
    shown = visible.repeat_interleave(8, 1).repeat_interleave(8, 2)
    clean = dense_stem(stem, image[:, None], visible[:, None].float())
    spoilt = dense_stem(stem, torch.where(shown, image, rubbish)[:, None], visible[:, None].float())
    assert torch.equal(clean.permute(0, 2, 3, 1)[visible], spoilt.permute(0, 2, 3, 1)[visible])
    assert not torch.allclose(clean, spoilt)


def test_neighbours_are_seen() -> None:
    torch.manual_seed(0)
    stem = MultiResolutionBlock((2, 8), (8, 16), 16)
    patches = torch.randn(2, 8, 8)
    together = stem(patches, torch.tensor([0, 1]), (1, 2, 2))
    apart = stem(patches, torch.tensor([0, 7]), (1, 4, 2))
    assert not torch.allclose(together, apart)


def test_odd_strides_are_refused() -> None:
    for strides, channels in (((4, 6), (8, 16)), ((4, 8), (16,)), ((8, 4), (8, 16)), ((4, 8), (8, 8))):
        with pytest.raises(ValueError, match="must rise"):
            MultiResolutionBlock(strides, channels, 16)
    with pytest.raises(ValueError, match="odd"):
        MultiResolutionBlock((4, 8), (8, 16), 16, kernel=4)
