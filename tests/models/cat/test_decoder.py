"""The decoder: size, its formula, padding."""

import pytest
import torch
import torch.nn.functional as F

from noisewise.models.cat.decoder import PatchDecoder


def test_parameters_of_base_and_large() -> None:
    with torch.device("meta"):
        base, large = PatchDecoder(768), PatchDecoder(1024, layers=3, kernel=5)
    assert sum(each.numel() for each in base.parameters()) == 2_585_856
    assert sum(each.numel() for each in large.parameters()) == 5_967_872


def test_formula() -> None:
    torch.manual_seed(0)
    decoder = PatchDecoder(8, layers=1, groups=4)
    grid = torch.randn(2, 5, 3, 8)
    mixed = decoder.convolutions[0](grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    expected = decoder.projection(grid + F.gelu(F.layer_norm(mixed, (8,))))
    index = torch.tensor([0, 4, 17, 29])
    torch.testing.assert_close(decoder(grid, index), expected.flatten(0, 2)[index])


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    decoder = PatchDecoder(8, layers=3, groups=4)
    short = torch.randn(1, 4, 3, 8)
    padded = torch.cat((short, torch.randn(1, 5, 3, 8) * 100), dim=1)
    valid = (torch.arange(9) < 4)[None, :, None].expand(1, 9, 3)
    index = torch.arange(12)
    torch.testing.assert_close(decoder(padded, index, valid), decoder(short, index))
    assert not torch.allclose(decoder(padded, index), decoder(short, index))


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        PatchDecoder(16, kernel=4)
