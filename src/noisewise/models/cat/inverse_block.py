"""Inverse block masking of a grid of patches (data2vec 2.0, Sec. 3.3; EAT): blocks are kept, the rest is hidden."""

import torch
from torch import Tensor


def inverse_block_where(
    times: Tensor, bands: int, size: int, probability: float, *, block: int = 5, adjust: float = 0.07
) -> Tensor:
    """Choose the patches that stay visible: blocks around random centres, trimmed or filled to an exact count.

    Of n patches, int(n * (1 - probability)) stay, but one at least; they begin as int(n * (1 - probability + adjust)
    / block^2) squares at centres drawn with replacement, cut at the edges of the clip. What is too much is dropped,
    what is missing is filled, by single patches drawn uniformly.

    Args:
        times: valid times of each clip. (B,)
        bands: bands of the grid (M).
        size: times of the padded grid (T).
        probability: share of patches to be hidden.
        block: patches along a side of a block.
        adjust: share of patches that is added to the blocks, because blocks overlap.

    Returns:
        (B, T * M) bool on the processor, True where visible; drawn from torch's default generator, clip by clip.
    """
    if not 0 < probability < 1:
        raise ValueError(f"`probability` must be between 0 and 1, but is {probability} instead")
    where = torch.zeros(len(times), size * bands, dtype=torch.bool)
    for row, count in enumerate(times.tolist()):
        patches = count * bands
        if patches == 0:
            continue
        kept = max(1, int(patches * (1 - probability) + 1e-9))
        centres = max(1, int(patches * (1 - probability + adjust) / block**2))
        scores = _blocks(count, bands, torch.randint(patches, (centres,)), block) + torch.rand(patches)
        where[row, scores.topk(kept).indices] = True
    return where


def _blocks(times: int, bands: int, centres: Tensor, block: int) -> Tensor:
    """1 inside the squares around the centres, 0 elsewhere. -> (T * M,) float"""
    inside = []
    for size, centre in ((times, centres // bands), (bands, centres % bands)):
        start = (centre - block // 2)[:, None]
        places = torch.arange(size)
        inside.append((places >= start) & (places < start + block))  # (centres, size)
    return (inside[0][:, :, None] & inside[1][:, None]).any(dim=0).flatten().float()
