"""Windows joined again."""

import torch
from torch import Tensor

from noisewise.decoding.hypothesis import collapse
from noisewise.decoding.stitch import Stitcher


def path_probs(path: list[int], vocabulary: int = 5) -> Tensor:
    """Log-probabilities with a clear likeliest path. (F, V)"""
    probs = torch.full((len(path), vocabulary), 0.02)
    probs[torch.arange(len(path)), torch.tensor(path)] = 0.92
    return probs.log()


def test_windows_of_one_signal_give_the_signal_back() -> None:
    whole = torch.randn(100, 5, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    stitcher = Stitcher()
    for start in (0, 24, 48, 70):
        stitcher.add(start, whole[start : start + 30])
    assert torch.equal(stitcher.result(), whole)


def test_the_cut_is_in_a_pause_so_a_shifted_letter_is_neither_lost_nor_doubled() -> None:
    overlap_left, overlap_right = [0] * 12, [0] * 12  # frames 8 .. 19; the middle half is 11 .. 16
    overlap_left[3] = overlap_right[4] = 3
    left = [0, 1, 0, 0, 0, 2, 0, 0, *overlap_left]
    right = [*overlap_right, 0, 4, 0, 0, 0, 0, 0, 0]
    stitcher = Stitcher()
    stitcher.add(0, path_probs(left))
    stitcher.add(8, path_probs(right))
    joined = stitcher.result()
    assert len(joined) == 28
    assert collapse(joined.argmax(-1).tolist()) == [1, 2, 3, 4]


def test_outer_quarters_of_the_overlap_are_not_used() -> None:
    left, right = torch.zeros(20, 2), torch.ones(20, 2)
    left[19, 0] = right[0, 0] = 50.0  # the surest blanks stand where a window lacks context
    stitcher = Stitcher()
    stitcher.add(0, left)
    stitcher.add(10, right)
    cut = int((stitcher.result()[:, 1] == 1).nonzero()[0])
    assert 12 <= cut < 18


def test_windows_that_only_touch_are_put_side_by_side() -> None:
    whole = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
    stitcher = Stitcher()
    stitcher.add(0, whole[:5])
    stitcher.add(5, whole[5:])
    assert torch.equal(stitcher.result(), whole)


def test_a_last_window_that_reaches_back_past_the_cut_before() -> None:
    whole = torch.randn(40, 3, generator=torch.Generator().manual_seed(2))
    stitcher = Stitcher()
    for start in (0, 16, 19):
        stitcher.add(start, whole[start : start + 20])
    assert torch.equal(stitcher.result(), whole[:39])
