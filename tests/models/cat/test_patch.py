"""Patches: cutting, numbering, embedding."""

import pytest
import torch
import torch.nn.functional as F

from noisewise.models.cat.patch import PatchConvolution, PatchEmbedding, cell_index, cut, merge


def test_cut_is_time_major_with_frames_before_bins() -> None:
    features = torch.arange(2 * 6 * 4).view(2, 6, 4)
    patches = cut(features, 2)
    assert patches.shape == (2, 3, 2, 2, 2)
    for clip, time, band in ((0, 0, 0), (0, 0, 1), (1, 2, 0), (1, 1, 1)):
        expected = features[clip, 2 * time : 2 * time + 2, 2 * band : 2 * band + 2]
        assert torch.equal(patches[clip, time, band], expected)


def test_cut_refuses_half_patches() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        cut(torch.zeros(1, 6, 4), 4)


def test_cell_index_points_to_the_cells_of_a_patch() -> None:
    grid, side = (2, 3, 2), 2
    image = torch.arange(2 * 6 * 4).view(2, 6, 4)
    index = torch.tensor([0, 3, 7, 10])
    found = image.flatten()[cell_index(index, grid, side)].view(4, side, side)
    assert torch.equal(found, cut(image, side).flatten(0, 2)[index])


def test_merge_is_what_a_strided_convolution_sees() -> None:
    torch.manual_seed(0)
    layer = PatchConvolution(3, 5, 2)
    cells = torch.randn(7, 4, 4, 3)
    weight = layer.weight.view(5, 2, 2, 3).permute(0, 3, 1, 2)
    expected = F.conv2d(cells.permute(0, 3, 1, 2), weight, layer.bias, stride=2).permute(0, 2, 3, 1)
    torch.testing.assert_close(layer(cells), expected)
    assert merge(cells, 4).shape == (7, 1, 1, 48)


def test_embedding_is_a_strided_convolution() -> None:
    torch.manual_seed(0)
    stem = PatchEmbedding(4, 6)
    image = torch.randn(2, 12, 8)
    tokens = stem(cut(image, 4).flatten(0, 2), torch.arange(12), (2, 3, 2))
    expected = F.conv2d(image[:, None], stem.projection.weight.view(6, 1, 4, 4), stem.projection.bias, stride=4)
    torch.testing.assert_close(tokens.view(2, 3, 2, 6), expected.permute(0, 2, 3, 1))
