"""Fixed positions in time and frequency."""

import torch
from torch import Tensor


def sinusoids_2d(times: int, bands: int, dim: int) -> Tensor:
    """Sines and cosines of the band in the first half of the channels, of the time in the second (MAE; CAT).

    With Q = dim / 4 and rates 10000^(-i / Q), each half holds Q sines, then Q cosines. A time has the same position
    in every recording, however long.

    Returns:
        (T, M, dim).
    """
    if dim % 4:
        raise ValueError(f"`dim` must be a multiple of 4, but is {dim} instead")
    rates = 10_000.0 ** (-torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    halves = []
    for count in (bands, times):
        angles = torch.arange(count, dtype=torch.float64)[:, None] * rates
        halves.append(torch.cat((angles.sin(), angles.cos()), dim=1))
    band, time = halves
    return torch.cat((band.expand(times, -1, -1), time[:, None].expand(-1, bands, -1)), dim=2).float()
