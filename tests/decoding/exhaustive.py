"""Every path counted one by one: what a search that drops nothing must find."""

import itertools
import math
from collections import defaultdict

import torch
from torch import Tensor

from noisewise.decoding.hypothesis import collapse


def random_log_probs(*shape: int, seed: int = 0, sharpness: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) * sharpness).log_softmax(-1)


def every_transcript(log_probs: Tensor) -> dict[tuple[int, ...], tuple[float, float, list[int]]]:
    """Of each token sequence: ln of its sum over paths, ln of its best path, and that path. (F, V)"""
    sums: dict[tuple[int, ...], float] = defaultdict(float)
    best: dict[tuple[int, ...], tuple[float, list[int]]] = {}
    frames, size = log_probs.shape
    for path in itertools.product(range(size), repeat=frames):
        score = sum(float(log_probs[frame, token]) for frame, token in enumerate(path))
        tokens = tuple(collapse(path))
        sums[tokens] += math.exp(score)
        if tokens not in best or score > best[tokens][0]:
            best[tokens] = (score, list(path))
    return {tokens: (math.log(total) if total else -math.inf, *best[tokens]) for tokens, total in sums.items()}
