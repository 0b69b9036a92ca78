"""Where a recording holds sound and where silence, digital or not, by its level alone.

Statistics over an utterance (mean and variance of features or samples) are those of its speech only if silence does
not enter them: the logarithm of the power of exact zeros lies tens of deviations below that of any room. And what a
model was never shown, minutes of silence around a word, is best not given to it.

Levels are those of blocks of 10 ms without their mean, so that a constant offset is silence. They are compared with
the loudest `LOUD_BLOCKS` blocks, not with a share of all: silence of any length changes nothing, nor does a click.

Legend: B utterances, T samples, N blocks, F frames of 25 ms every 10 ms, H steps of a model.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from noisewise.audio.waveform import SAMPLE_RATE

BLOCK = SAMPLE_RATE // 100
"""Samples of a block."""
LOUD_BLOCKS = 20
"""The level of speech is that which so many blocks reach: 0.2 s, longer than a click."""
QUIET_DB = 35.0
"""A block so far below the level of speech holds none; noise louder than that is never silence."""
DEAD_DB = 55.0
"""So far below it is no room: exact zeros, the rounding of samples, what a codec leaves of zeros."""
PAUSE_SECONDS = 0.3
"""What is quiet for so long after and before sound is a pause, which belongs to speech."""
END_SECONDS = 0.08
"""So much of constant samples is left at either end: a word that begins at once is better recognised after some."""
LEAST_SECONDS = 0.5
"""What is quiet beyond that counts as silence from this length on; at either end, from half of it on."""
PART_SECONDS = 0.8
"""Least length of a part; a shorter one stays with its neighbour."""
DEAD_PAUSE_SECONDS = 0.1
"""What is dead is a pause for so long only, and silence beyond from the same length on."""


def alive(waveform: Tensor, lengths: Tensor) -> Tensor:
    """Whether each block is within `DEAD_DB` of the level of speech.

    Args:
        waveform: (B, T).
        lengths: valid samples. (B,)

    Returns:
        (B, N) bool, N = T // 160; False past the last whole block of an utterance.
    """
    levels, loud = _levels(waveform, lengths)
    return levels > loud - DEAD_DB


def sounding(waveform: Tensor, lengths: Tensor) -> Tensor:
    """Whether each block belongs to speech or to its pauses: False is long silence.

    Args:
        waveform: (B, T).
        lengths: valid samples. (B,)

    Returns:
        (B, N) bool, N = T // 160; False past the last whole block of an utterance.
    """
    levels, loud = _levels(waveform, lengths)
    valid = levels > -torch.inf
    long_quiet = _runs(levels > loud - QUIET_DB, valid, PAUSE_SECONDS, LEAST_SECONDS)
    return ~long_quiet & ~_runs(levels > loud - DEAD_DB, valid, DEAD_PAUSE_SECONDS, DEAD_PAUSE_SECONDS) & valid


def counted_frames(waveform: Tensor, lengths: Tensor) -> Tensor:
    """Frames of 25 ms every 10 ms from which statistics of an utterance are taken: those that sound.

    Args:
        waveform: (B, T).
        lengths: valid samples. (B,)

    Returns:
        (B, F) bool, False past the end; every valid frame of an utterance in which nothing sounds.
    """
    blocks = _counted_blocks(waveform, lengths)
    frames = max(0, (waveform.shape[1] - 400) // BLOCK + 1)
    both = blocks[:, :frames] & blocks[:, 1 : frames + 1]  # the 20 ms that the window lets through
    valid = (
        torch.arange(frames, device=lengths.device) < ((lengths - 400).div(BLOCK, rounding_mode="floor") + 1)[:, None]
    )
    both = both & valid
    return torch.where(both.any(dim=1, keepdim=True), both, valid)


def counted_samples(waveform: Tensor, lengths: Tensor) -> Tensor:
    """Samples from which statistics of an utterance are taken: those that sound, and the rest after the last block.

    Args:
        waveform: (B, T).
        lengths: valid samples. (B,)

    Returns:
        (B, T) bool, False past the end; every valid sample of an utterance in which nothing sounds.
    """
    blocks, samples = _counted_blocks(waveform, lengths), waveform.shape[1]
    valid = torch.arange(samples, device=lengths.device) < lengths[:, None]
    rest = torch.arange(samples, device=lengths.device) >= (lengths - lengths % BLOCK)[:, None]
    spread = F.pad(blocks.repeat_interleave(BLOCK, dim=1), (0, samples - blocks.shape[1] * BLOCK)) | rest
    spread = torch.where(blocks.any(dim=1, keepdim=True), spread, True)
    return spread & valid


@dataclass(frozen=True)
class Kept:
    """A recording without its long silence."""

    samples: NDArray[np.float32]
    """What is left of it. (T,)"""
    places: list[tuple[int, int]]
    """Step of what is left before which steps were cut, and how many."""
    splits: list[int] = field(default_factory=list)
    """Steps of what is left at which it is parted: where silence was cut, other speakers or channels may lie on its
    two sides, and statistics over both fit neither."""

    def parts(self, hop: int) -> list[NDArray[np.float32]]:
        """What is left, parted; none if nothing is. (T,) each, a multiple of `hop` but for the last"""
        return np.split(self.samples, [step * hop for step in self.splits]) if len(self.samples) else []

    def time_of(self, step: float, ends: bool = False) -> float:
        """Where a step of what is left lies in the recording.

        Args:
            step: of what is left, perhaps a fraction.
            ends: whether something ends there, which then ends before a silence that was cut there, not behind it.
        """
        return step + sum(count for place, count in self.places if place < step or (place == step and not ends))

    def restored(self, output: Tensor, silence: Tensor, onset: Tensor) -> Tensor:
        """Put steps of silence back where they were cut.

        Args:
            output: what a model makes of `samples`. (H, V)
            silence: what it would say of silence. (V,)
            onset: of the first step of a silence that follows sound. (V,)

        Returns:
            (H + steps that were cut, V)
        """
        pieces, done = list[Tensor](), 0
        for step, count in self.places:
            step = min(step, len(output))
            first = onset if step else silence
            pieces += [output[done:step], first[None], silence.expand(count - 1, -1)]
            done = step
        return torch.cat([*pieces, output[done:]])


def without_silence(waveform: NDArray[np.float32], hop: int) -> Kept:
    """Cut long silence out of a recording, pauses of `PAUSE_SECONDS` left on either side.

    Constant samples at either end go to the sample, but for `END_SECONDS`, so that what is left is the same whatever
    their number; all else goes in whole steps, so that times stay exact. A recording without silence comes back as it
    is.

    Args:
        waveform: (T,)
        hop: samples of a step of the model.
    """
    margin = -(-round(END_SECONDS * SAMPLE_RATE) // hop) * hop
    changes = np.flatnonzero(waveform[1:] != waveform[:-1])
    if not len(changes):
        return Kept(waveform[:0], [(0, max(1, round(len(waveform) / hop)))])
    first = max(0, int(changes[0]) + 1 - margin)
    last = min(len(waveform), int(changes[-1]) + 1 + margin)
    inner = waveform[first:last]
    keep = _steps(inner, hop)
    edges = np.flatnonzero(np.diff(keep.astype(np.int8), prepend=1, append=1))
    places = [(int(keep[:start].sum()), int(end - start)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    ends = [(0, round(first / hop)), (int(keep.sum()), round((len(waveform) - last) / hop))]
    left = inner if keep.all() else inner[np.repeat(keep, hop)[: len(inner)]]
    splits = _far_apart([step for step, _ in places], len(left) / hop, hop)
    return Kept(left, [place for place in (ends[0], *places, ends[1]) if place[1]], splits)


def _far_apart(steps: list[int], total: float, hop: int) -> list[int]:
    """Those of the steps, in order, that leave no part shorter than `PART_SECONDS`."""
    least, last, chosen = PART_SECONDS * SAMPLE_RATE / hop, 0, list[int]()
    for step in steps:
        if step - last >= least and total - step >= least:
            chosen.append(step)
            last = step
    return chosen


def _steps(waveform: NDArray[np.float32], hop: int) -> NDArray[np.bool_]:
    """Whether each step of a model, the last perhaps cut short, holds sound. (T,) -> (H,)"""
    steps = -(-len(waveform) // hop)
    where = sounding(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))[0].numpy()
    if where.all():
        return np.ones(steps, bool)
    spread = np.append(np.repeat(where, BLOCK), np.repeat(where[-1:], len(waveform) % BLOCK))
    held: NDArray[np.bool_] = np.any(np.pad(spread, (0, steps * hop - len(spread))).reshape(steps, hop), axis=1)
    return held


def _counted_blocks(waveform: Tensor, lengths: Tensor) -> Tensor:
    return alive(waveform, lengths) & sounding(waveform, lengths)


def _levels(waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Level of each block in dB, -inf past the end, and that of speech. (B, T), (B,) -> (B, N), (B, 1)"""
    size = waveform.shape[1] // BLOCK
    blocks = waveform[:, : size * BLOCK].detach().float().reshape(len(waveform), size, BLOCK)
    if not size:
        return blocks.new_zeros(len(blocks), 0), blocks.new_zeros(len(blocks), 1)
    counts = lengths.div(BLOCK, rounding_mode="floor")
    past = torch.arange(size, device=lengths.device) >= counts[:, None]
    if waveform.is_meta or (type(waveform) is FakeTensor and not torch.compiler.is_compiling()):
        # a shape without samples, as of `noisewise.flops`, sounds throughout
        levels = torch.zeros(past.shape, device=lengths.device)
        return levels.masked_fill(past, -torch.inf), levels.new_zeros(len(blocks), 1)
    levels = 10 * blocks.var(dim=2, correction=0).clamp(min=1e-20).log10()
    levels = levels.masked_fill(past, -torch.inf)
    best = levels.topk(min(LOUD_BLOCKS, size), dim=1).values
    return levels, best.gather(1, (counts.clamp(1, best.shape[1]) - 1)[:, None])


def _runs(loud: Tensor, valid: Tensor, pause: float, least: float) -> Tensor:
    """Valid blocks farther than `pause` from a loud one, where they last `least` seconds. (B, N), (B, N) -> (B, N)"""
    before, half = round(100 * pause), round(50 * least)
    return _widened(~_widened(loud, before + half) & valid, half) & valid


def _widened(where: Tensor, blocks: int) -> Tensor:
    """True wherever something within so many blocks is. (B, N) -> (B, N)"""
    if not where.shape[1]:
        return where
    return F.max_pool1d(where.float().unsqueeze(1), 2 * blocks + 1, 1, blocks).squeeze(1) > 0
