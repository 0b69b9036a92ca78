"""Greedy CTC decoding: the likeliest token of each frame, collapsed; with word times and confidences.

Legend: B utterances, F frames, V tokens, R the largest number of runs.
"""

import torch
from torch import Tensor

from noisewise.decoding.hypothesis import Hypothesis, Run, assemble
from noisewise.text.tokenizer import Tokenizer


def greedy(log_probs: Tensor, lengths: Tensor, tokenizer: Tokenizer, frame_seconds: float) -> list[Hypothesis]:
    """Decode a batch along its best path (Graves et al. 2006, section 3.2, eq. 4).

    A token is as sure as the most probable frame of its run; a word is as sure as its least sure token,
    for one wrong letter makes a wrong word. A word lasts from the first frame of its first letter to the
    end of the last frame of its last letter; CTC letters are spikes, so times are good to about 0.1 s.

    Args:
        log_probs: natural logarithms of token probabilities, blank first. (B, F, V)
        lengths: valid frames of each utterance. (B,)
        tokenizer: maps ids to text, and knows the blank and the boundary between words.
        frame_seconds: time between two frames.
    """
    best, ids = log_probs.float().max(dim=-1)  # (B, F), (B, F)
    valid = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None].to(ids.device)  # (B, F)
    scores = best.where(valid, 0.0).double().sum(dim=1).tolist()
    return [
        assemble(runs, score, tokenizer, frame_seconds)
        for runs, score in zip(find_runs(ids, best, valid, tokenizer.blank), scores, strict=True)
    ]


def find_runs(ids: Tensor, best: Tensor, valid: Tensor, blank: int = 0) -> list[list[Run]]:
    """Runs of equal tokens of each utterance, blanks left out.

    Args:
        ids: likeliest token of each frame. (B, F)
        best: its log-probability. (B, F)
        valid: frames that belong to the utterance. (B, F) bool
        blank: id of the blank.
    """
    if ids.shape[1] == 0:
        return [[] for _ in range(ids.shape[0])]
    starts = torch.ones_like(valid)
    starts[:, 1:] = (ids[:, 1:] != ids[:, :-1]) | ~valid[:, 1:]
    index = starts.long().cumsum(dim=1) - 1  # (B, F) number of the run a frame is in
    size = int(index.max()) + 1
    frames = torch.zeros(ids.shape[0], size, dtype=torch.long, device=ids.device)
    frames.scatter_add_(1, index, torch.ones_like(index))  # (B, R)
    peaks = torch.full((ids.shape[0], size), -torch.inf, device=ids.device)
    peaks.scatter_reduce_(1, index, best, reduce="amax")  # (B, R)
    chosen = starts & valid & (ids != blank)  # (B, F) first frames of the runs that count
    rows, firsts = chosen.nonzero(as_tuple=True)  # (K,), (K,)
    at = index[rows, firsts]
    columns = (rows, ids[rows, firsts], firsts, frames[rows, at], peaks[rows, at].exp().clamp(max=1.0))
    found: list[list[Run]] = [[] for _ in range(ids.shape[0])]
    for row, token, first, count, confidence in zip(*(c.tolist() for c in columns), strict=True):
        found[row].append(Run(token, first, count, confidence))
    return found
