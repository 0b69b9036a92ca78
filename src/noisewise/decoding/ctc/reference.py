"""CTC prefix beam search as it stands in the papers, in plain Python: read this first, then `search.py`.

A. Graves (2012), "Supervised Sequence Labelling with Recurrent Neural Networks", section 7.5; A. Hannun et al. (2014),
"First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent DNNs", algorithm 1. Tests hold
the fast search on tensors (`beam.py`) to it.

Legend: F frames, V tokens.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

Prefix = tuple[int, ...]


def prefix_beam_search(log_probs: Sequence[Sequence[float]], beam: int, blank: int = 0) -> list[tuple[Prefix, float]]:
    """The likeliest token sequences, each summed over its alignments.

    b[l] and e[l] are the natural logarithms of b_t(l) and e_t(l) in docs/papers/beam_search.md: the probability of all
    alignments of the frames so far that collapse to the prefix l and end in a blank, and of those that end in its last
    token.

    Args:
        log_probs: natural logarithms of token probabilities. (F, V)
        beam: prefixes that are kept after each frame.
        blank: id of the blank.

    Returns:
        Prefixes with ln P(prefix | log_probs), best first, at most `beam`.

    Example:
        >>> certain = [[-9.0, 0.0, -9.0], [0.0, -9.0, -9.0], [-9.0, -9.0, 0.0]]
        >>> prefix_beam_search(certain, beam=4)[0][0]
        (1, 2)
    """
    b: dict[Prefix, float] = {(): 0.0}
    e: dict[Prefix, float] = {(): -math.inf}
    for frame in log_probs:
        b_next: dict[Prefix, float] = defaultdict(lambda: -math.inf)
        e_next: dict[Prefix, float] = defaultdict(lambda: -math.inf)
        for prefix in b:
            total = _log_add(b[prefix], e[prefix])
            b_next[prefix] = frame[blank] + total
            for token, log_prob in enumerate(frame):
                longer = (*prefix, token)
                if token == blank:
                    continue
                if prefix[-1:] == (token,):  # a repeated token collapses, unless a blank stands between
                    e_next[prefix] = _log_add(e_next[prefix], log_prob + e[prefix])
                    e_next[longer] = _log_add(e_next[longer], log_prob + b[prefix])
                else:
                    e_next[longer] = _log_add(e_next[longer], log_prob + total)
        totals = {prefix: _log_add(b_next[prefix], e_next[prefix]) for prefix in {**b_next, **e_next}}
        possible = [prefix for prefix, total in totals.items() if total > -math.inf]
        kept = sorted(possible, key=totals.__getitem__, reverse=True)[:beam]
        b, e = {prefix: b_next[prefix] for prefix in kept}, {prefix: e_next[prefix] for prefix in kept}
    return [(prefix, _log_add(b[prefix], e[prefix])) for prefix in b]


def _log_add(first: float, second: float) -> float:
    """ln(exp(first) + exp(second))."""
    high, low = max(first, second), min(first, second)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
