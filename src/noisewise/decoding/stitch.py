"""Log-probabilities of overlapping windows joined to those of the whole recording.

Legend: F frames of a window, V tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


class Stitcher:
    """Joins windows in the order of time, each pair at a frame of their overlap where both have a pause.

    The outer quarters of an overlap are left out, where one of the windows lacks context.
    """

    def __init__(self, blank: int = 0):
        self.blank = blank
        self._pieces: list[Tensor] = []
        self._start = 0  # frame at which the last piece begins

    def add(self, start: int, log_probs: Tensor) -> None:
        """Append a window.

        Args:
            start: its first frame, counted from the beginning of the recording.
            log_probs: of its valid frames. (F, V)
        """
        if self._pieces:
            last = self._pieces[-1]
            cut = self._cut(last, start, log_probs)
            self._pieces[-1] = last[: cut - self._start]
            log_probs, start = log_probs[cut - start :], cut
        self._pieces.append(log_probs)
        self._start = start

    def result(self) -> Tensor:
        """Log-probabilities of the whole recording. (F, V)"""
        return torch.cat(self._pieces)

    def _cut(self, last: Tensor, start: int, log_probs: Tensor) -> int:
        """The frame, counted from the beginning of the recording, from which the new window speaks."""
        begin, end = max(start, self._start), self._start + len(last)
        margin = max(end - begin, 0) // 4
        low, high = begin + margin, end - margin
        if high - low < 1:
            return max(begin, end)
        pause = (
            last[low - self._start : high - self._start, self.blank] + log_probs[low - start : high - start, self.blank]
        )
        smooth = F.avg_pool1d(pause[None], 5, stride=1, padding=2, count_include_pad=False)[0]
        return low + int(smooth.argmax())
