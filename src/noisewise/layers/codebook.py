"""A discrete codebook: nearest entries, look-up, initialisation, and the restart of codes that nobody uses.

Wav2code, Sec. II-B; van den Oord et al. 2017. Legend: D width, N entries, n frames.
"""

from typing import Literal, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

KMEANS_FRAMES = 32_768
"""Frames that k-means looks at, at most."""
KMEANS_ROUNDS = 30
"""Rounds of Lloyd's algorithm, at most."""
SEEDING_FRAMES = 8
"""Frames per entry that k-means++ draws its first centres from, at most."""


class Codebook(nn.Module):
    """N vectors that stand for the clean speech representations of the training data."""

    entries: nn.Parameter
    """(N, D) float32."""
    counts: Tensor
    """Moving average of how often a batch uses each entry; it begins at one use each. (N,) float32"""

    def __init__(self, size: int, dim: int, *, decay: float = 0.99):
        """Draw the entries from U(-1/N, 1/N); `decay` is the weight of the past in the moving counts."""
        super().__init__()
        self.size = size
        self.decay = decay
        self.entries = nn.Parameter(_uniform(size, dim))
        self.register_buffer("counts", torch.ones(size))

    def nearest(self, features: Tensor) -> Tensor:
        """e_t = argmin_k ||z_t - c_k||, the lowest k where several are nearest (Eq. 9). (..., D) -> (...) int64

        Every frame is on its own: those of padding get the id of whatever they hold.
        """
        return nearest_entry(features, self.entries)

    def lookup(self, ids: Tensor) -> Tensor:
        """The entries of the ids (Eq. 8); gradient reaches the entries. (...) -> (..., D)"""
        return F.embedding(ids, self.entries)

    def select(self, weights: Tensor) -> Tensor:
        """Differentiable look-up: the entries weighted, where one-hot weights choose one. (..., N) -> (..., D)"""
        return weights @ self.entries

    @torch.no_grad()
    def initialise(self, frames: Tensor, kind: Literal["kmeans", "data", "uniform"]) -> None:
        """Set every entry anew, from frames (n, D) unless uniform, and forget the counts.

        Entries near the origin die when the frames are far from it, as those behind a LayerNorm are; k-means
        and `data` (frames drawn without replacement) begin among them. Drawn from torch's default generator.

        Raises:
            ValueError: fewer frames than entries.
        """
        match kind:
            case "kmeans":
                entries = kmeans(frames, self.size)
            case "data":
                entries = _drawn(_enough(frames, self.size), self.size)
            case "uniform":
                entries = _uniform(*self.entries.shape)
            case _:
                assert_never(kind)
        self.entries.copy_(entries)
        self.counts.fill_(1)
        _from_first_rank(self.entries)

    @torch.no_grad()
    def observe(self, ids: Tensor, valid: Tensor | None = None) -> None:
        """Take the uses of one batch into the moving counts. ids (...) int64, valid (...) bool or None"""
        self.counts.lerp_(use(ids, self.size, valid), 1 - self.decay)

    @torch.no_grad()
    def restart(self, frames: Tensor, below: float) -> int:
        """Move entries that are hardly used to frames of the batch, and count them as used like the average.

        Args:
            frames: valid frames to draw from, with torch's default generator. (n, D)
            below: share of all uses under which an entry is dead; even use is a share of 1/N each.

        Returns:
            How many entries moved; the least used ones first, and no more than there are frames.
        """
        _from_first_rank(self.counts)
        shares = self.counts / self.counts.sum()
        dead = shares.argsort(stable=True)[: int((shares < below).sum())]
        dead = dead[: len(frames)]
        self.entries[dead] = _drawn(frames, len(dead)).to(self.entries)
        self.counts[dead] = self.counts.mean()
        _from_first_rank(self.entries)
        return len(dead)


@torch.no_grad()
def nearest_entry(features: Tensor, entries: Tensor, scores_at_once: int = 2**22) -> Tensor:
    """The entry with the least squared distance |c|^2 - 2 z c + |z|^2, in float32 and bounded memory.

    |z|^2 is the same for every entry and left out. Both sides are moved by the mean entry, so that what frames
    share takes no digits from what tells them apart.

    Args:
        features: (..., D). entries: (N, D).
        scores_at_once: frames times entries compared in one piece.

    Returns:
        (...) int64, the lowest id where several are nearest.
    """
    with torch.autocast(features.device.type, enabled=False):
        centre = entries.float().mean(dim=0)
        entries = entries.float() - centre
        frames = features.float().reshape(-1, features.size(-1)) - centre
        half_squares = entries.square().sum(dim=1) / 2
        pieces = torch.split(frames, max(1, scores_at_once // len(entries)))
        ids = [torch.addmm(half_squares, piece, entries.T, alpha=-1).argmin(dim=1) for piece in pieces]
    return torch.cat(ids).view(features.shape[:-1])


@torch.no_grad()
def kmeans(frames: Tensor, size: int) -> Tensor:
    """Centres of `size` clusters: k-means++ seeds, Lloyd's algorithm, empty clusters moved to the farthest frames.

    Args:
        frames: (n, D); above `KMEANS_FRAMES`, that many are drawn, with torch's default generator like all else.
        size: clusters N.

    Returns:
        (N, D) float32.

    Raises:
        ValueError: fewer frames than clusters.
    """
    frames = _drawn(_enough(frames, size), max(KMEANS_FRAMES, size)).float()
    centres = _seeds(frames[: SEEDING_FRAMES * size], size)
    before = None
    for _ in range(KMEANS_ROUNDS):
        ids = nearest_entry(frames, centres)
        if before is not None and torch.equal(ids, before):
            break
        centres, before = _means(frames, ids, centres), ids
    return centres


def _seeds(frames: Tensor, size: int) -> Tensor:
    """k-means++ (Arthur and Vassilvitskii 2007): the next seed is far from all before, by chance of distance^2."""
    chosen = [int(torch.randint(len(frames), ()))]
    distances = (frames - frames[chosen[0]]).square().sum(dim=1)
    for _ in range(size - 1):
        reached = distances.cumsum(0, dtype=torch.float64)
        chance = torch.rand((), dtype=torch.float64).to(frames.device) * reached[-1]
        chosen.append(min(int(torch.searchsorted(reached, chance, right=True)), len(frames) - 1))
        distances = torch.minimum(distances, (frames - frames[chosen[-1]]).square().sum(dim=1))
    return frames[chosen]


def _means(frames: Tensor, ids: Tensor, centres: Tensor) -> Tensor:
    """Mean of each cluster; the clusters without frames take those farthest from their own centre."""
    counts = torch.bincount(ids, minlength=len(centres))
    means = torch.zeros_like(centres).index_add_(0, ids, frames) / counts.clamp(min=1).unsqueeze(1)
    empty = (counts == 0).nonzero().squeeze(1)
    distances = (frames - centres[ids]).square().sum(dim=1)
    means[empty] = frames[distances.topk(len(empty)).indices]
    return means


def use(ids: Tensor, size: int, valid: Tensor | None = None) -> Tensor:
    """How often each code occurs among valid frames. (...) int64, (...) bool or None -> (N,) float32"""
    chosen = ids.flatten() if valid is None else ids[valid]
    counts: Tensor = torch.bincount(chosen, minlength=size)
    return counts.float()


def code_perplexity(ids: Tensor, size: int, valid: Tensor | None = None) -> Tensor:
    """exp of the entropy of the use of codes: 1 if one code is used, N if all are equally. -> () float32"""
    counts = use(ids, size, valid)
    entropy: Tensor = torch.special.entr(counts / counts.sum().clamp(min=1)).sum()
    return entropy.exp()


def usage(ids: Tensor, size: int, valid: Tensor | None = None) -> Tensor:
    """Share of the codes that are used at all. -> () float32"""
    return (use(ids, size, valid) > 0).float().mean()


def _uniform(size: int, dim: int) -> Tensor:
    return torch.empty(size, dim).uniform_(-1 / size, 1 / size)


def _enough(frames: Tensor, size: int) -> Tensor:
    if len(frames) < size:
        raise ValueError(f"`frames` must be at least {size}, but are {len(frames)} instead; give more audio")
    return frames


def _drawn(frames: Tensor, size: int) -> Tensor:
    """At most `size` frames without replacement, in random order; the draw is the same on every device."""
    return frames[torch.randperm(len(frames))[:size].to(frames.device)]


def _from_first_rank(values: Tensor) -> None:
    """Give every process the values of rank 0."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.broadcast(values.detach(), src=0)
