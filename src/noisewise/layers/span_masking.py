"""Random spans along a sequence, to be hidden in training (wav2vec 2.0, Sec. 3.1 and App. B)."""

import torch
from torch import Tensor


def span_where(lengths: Tensor, size: int, probability: float, span: int, least: int = 0) -> Tensor:
    """Choose spans in every sequence, as fairseq's `compute_mask_indices` does.

    A sequence of n gets `probability * n / span` spans, rounded up or down by chance, at starts drawn without
    replacement from [0, n - span), so the last position is never chosen; spans may overlap, so fewer positions
    are chosen than `probability` says (0.65 chooses 49 %).
    Each sequence keeps its own count: nothing depends on the rest of the batch.

    Args:
        lengths: valid positions. (B,)
        size: the padded length.
        probability: chance of a position, if spans did not overlap.
        span: positions in a span.
        least: spans that a sequence gets at least, if it is long enough.

    Returns:
        (B, size) bool, True where chosen; on the device of `lengths`. Drawn from torch's default generator.
    """
    where = torch.zeros(len(lengths), size, dtype=torch.bool)
    for row, length in enumerate(lengths.tolist()):
        spans = max(least, int(probability * length / span + torch.rand(()).item()))
        spans = min(spans, length - 1)
        if spans < 1:
            continue
        starts = length - span if length - span > spans else spans + 1
        for start in torch.randperm(starts)[:spans].tolist():
            where[row, start : min(start + span, length)] = True
    return where.to(lengths.device)
