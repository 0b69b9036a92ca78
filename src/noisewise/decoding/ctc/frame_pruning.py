"""Log-probabilities made ready for a beam search: sure blanks folded, unlikely tokens left out.

Legend: B utterances, F frames, S steps of the search, V tokens, C candidates.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SearchSteps:
    """What the search walks over: one step a frame, or one for several frames of sure blanks."""

    log_probs: Tensor
    """(B, S, V)"""
    lengths: list[int]
    """Steps of each utterance."""
    frames: Tensor
    """First frame of each step. (B, S)"""
    candidates: Tensor
    """Tokens that may extend a prefix, likeliest first; in the last place the blank, which may not. (B, S, C)"""
    values: Tensor
    """Their log-probabilities, -inf where pruned and of the blank. (B, S, C)"""
    counts: Tensor
    """Candidates that are not pruned. (B, S)"""
    blank: int
    """Id of the blank."""
    places: Tensor
    """Place of each token among the candidates; the last for those left out. (B, S, V)"""


def prepare(
    log_probs: Tensor,
    lengths: Tensor,
    *,
    blank: int = 0,
    tokens: int | None = None,
    token_log_prob: float | None = None,
    sure_blank: float | None = None,
) -> SearchSteps:
    """Choose what the search looks at.

    Args:
        log_probs: natural logarithms of token probabilities. (B, F, V)
        lengths: valid frames. (B,)
        blank: id of the blank.
        tokens: at most so many tokens of a frame extend prefixes; all if left out.
        token_log_prob: tokens below extend no prefix.
        sure_blank: neighbouring frames whose blank has at least this probability become one step with the product of
            their blanks and nothing else.
    """
    frames = torch.arange(log_probs.shape[1], device=log_probs.device).expand(log_probs.shape[:2])
    if sure_blank is not None:
        log_probs, lengths, frames = fold(log_probs, lengths, blank, math.log(sure_blank))
    spoken = log_probs.clone()
    spoken[..., blank] = -torch.inf
    size = log_probs.shape[2]
    count = size if tokens is None else min(tokens + 1, size)
    values, candidates = spoken.topk(count, dim=2)  # (B, S, C), (B, S, C)
    candidates[..., -1], values[..., -1] = blank, -torch.inf
    if token_log_prob is not None:
        values = values.masked_fill(values < token_log_prob, -torch.inf)
    places = torch.full_like(log_probs, count - 1, dtype=torch.long)  # (B, S, V)
    places.scatter_(2, candidates, torch.arange(count, device=places.device).expand_as(candidates))
    kept = values.isfinite().sum(dim=2)  # (B, S)
    return SearchSteps(log_probs, lengths.tolist(), frames, candidates, values, kept, blank, places)


def fold(log_probs: Tensor, lengths: Tensor, blank: int, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Make one step of each run of frames whose blank is at least as likely as `threshold` (natural logarithm).

    Returns:
        log-probabilities (B, S, V), steps (B,), first frame of each step (B, S).
    """
    count = log_probs.shape[1]
    valid = torch.arange(count, device=log_probs.device) < lengths[:, None]  # (B, F)
    sure = valid & (log_probs[..., blank] >= threshold)
    starts = valid.clone()
    starts[:, 1:] &= ~(sure[:, 1:] & sure[:, :-1])
    index = (starts.long().cumsum(dim=1) - 1).clamp(min=0)  # (B, F) step of a frame
    steps = starts.sum(dim=1)
    size = int(steps.max()) if len(steps) else 0
    folded = log_probs.new_full((len(log_probs), size, log_probs.shape[2]), -torch.inf)
    blanks = log_probs.new_zeros(len(log_probs), size)
    frames = torch.zeros(len(log_probs), size, dtype=torch.long, device=log_probs.device)
    rows, at = (valid & ~sure).nonzero(as_tuple=True)
    folded[rows, index[rows, at]] = log_probs[rows, at]
    rows, at = sure.nonzero(as_tuple=True)
    blanks.index_put_((rows, index[rows, at]), log_probs[rows, at, blank], accumulate=True)
    folded[rows, index[rows, at], blank] = blanks[rows, index[rows, at]]
    rows, at = starts.nonzero(as_tuple=True)
    frames[rows, index[rows, at]] = at
    return folded, steps, frames
