"""Long silence is cut out of what a recogniser is given, and blanks take its place in the output.

Legend: E width of what the attention decoder attends to, 0 without one.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.audio.silence import without_silence
from noisewise.text.tokenizer import Tokenizer

IMPOSSIBLE = -30.0
"""Log-probability of a token in long silence: finite, for an alignment may have to pass through it."""
BOUNDARY = 0.6
"""Probability of a word boundary where long silence begins: above one half, so that a word ends before it."""


def outputs_without_silence(
    waveforms: Sequence[NDArray[Any]],
    model: Callable[[Sequence[NDArray[Any]]], list[Tensor]],
    hop: int,
    tokenizer: Tokenizer,
) -> list[Tensor]:
    """Run a model over recordings without their long silence, and put blanks in its place; a word ends before it.

    What lies on the two sides of long silence goes through the model apart.

    Args:
        waveforms: (T,) each.
        model: maps recordings to log-probabilities of the tokens, with the frames of the encoder behind them if an
            attention decoder takes part. (T,) each -> (F, V + E) each, on the CPU
        hop: samples of a frame of the model.
        tokenizer: holds the tokens.

    Returns:
        (F, V + E) each, where frames of the encoder are 0 in silence.
    """
    kept = [without_silence(np.asarray(each, np.float32), hop) for each in waveforms]
    parts = [part for each in kept for part in each.parts(hop)]
    found = iter(model(parts) if parts else [])
    tokens, outputs = len(tokenizer), list[Tensor]()
    for each in kept:
        ends = [*each.splits, None]
        pieces = [next(found) for _ in ends] if len(each.samples) else [torch.zeros(0, tokens)]
        blank = pieces[0].new_zeros(pieces[0].shape[1])
        blank[:tokens] = IMPOSSIBLE
        blank[tokenizer.blank] = 0.0
        sizes = np.diff([0, *each.splits]).tolist()
        output = torch.cat(
            [*(_of_size(piece, size, blank) for piece, size in zip(pieces[:-1], sizes, strict=True)), pieces[-1]]
        )
        end = blank.clone()
        end[tokenizer.blank], end[tokenizer.boundary] = math.log(1 - BOUNDARY), math.log(BOUNDARY)
        outputs.append(each.restored(output, blank, end))
    return outputs


def _of_size(output: Tensor, frames: int, blank: Tensor) -> Tensor:
    """The first frames of an output, with blanks where a model without padding gives fewer. (F, W) -> (frames, W)"""
    return torch.cat([output[:frames], blank.expand(max(0, frames - len(output)), -1)])
