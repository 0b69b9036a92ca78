"""Long recordings in overlapping windows, in memory that does not grow."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def windows(blocks: Iterable[Samples], size: int, step: int, hop: int = 1) -> Iterator[tuple[int, Samples]]:
    """Cut a stream of samples into overlapping windows.

    All windows have `size` samples: the last is not cut short but begins earlier (and may lack less than
    `hop` samples, so that it begins on a frame). A recording of at most `size` samples is one window.

    Args:
        blocks: the recording in pieces of any length. (T,) each
        size: samples of a window.
        step: samples from one window to the next, a multiple of `hop`.
        hop: windows begin at multiples of this many samples.

    Yields:
        The first sample of a window, and its samples. (size,)
    """
    if not 0 < step <= size or step % hop:
        raise ValueError(
            f"`step` must be a multiple of {hop} from {hop} to {size} samples, but is {step} instead; "
            "choose a longer window or a shorter overlap"
        )
    kept = np.zeros(0, np.float32)  # samples from `origin` on
    origin = following = 0
    for block in blocks:
        kept = np.concatenate([kept, block])
        while len(kept) > following - origin + size:  # more is to come after this window
            kept, origin = kept[following - origin :], following
            yield origin, kept[:size].copy()
            following += step
    start = -(-(origin + len(kept) - size) // hop) * hop if following else 0
    yield start, kept[start - origin :]
