"""Batches by seconds of audio, as a pure function of (seed, epoch).

Our own rather than lhotse's dynamic samplers: those stream, so restoring one means reading up to the old
position, and the result depends on a running generator. Here batch `position` of any epoch is computed
outright, which makes an exact resume cheap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisewise.data.random_streams import Draws
from noisewise.errors import ConfigError

JITTER = 0.15
"""Spread of the random factor on durations before they are sorted: similar lengths meet, but not always
the same."""


@dataclass(frozen=True)
class BatchRequest:
    """What the sampler asks of the dataset."""

    epoch: int
    indices: tuple[int, ...]
    """Positions in the manifest."""


class BatchSampler:
    """Groups utterances of similar duration into batches of at most `batch_seconds`, padding counted."""

    def __init__(
        self,
        durations: Sequence[float],
        batch_seconds: float,
        *,
        max_batch: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
        weights: Sequence[float] | NDArray[np.float64] | None = None,
        draws: int | None = None,
    ) -> None:
        """Remember the durations (seconds).

        With `weights` and `draws` an epoch holds so many of them, none twice, likelier ones oftener: one after the
        other is drawn in proportion to its weight among those that are left (Efraimidis and Spirakis 2006).

        Without `shuffle` the batches go from long to short and every epoch is the same. When the batches do
        not divide by `world_size`, the first ones come again at the end, so that every rank makes as many
        steps.

        Raises:
            ConfigError: no utterance, a duration that is not positive, or sizes that are not positive.
        """
        self.durations: NDArray[np.float64] = np.asarray(durations, dtype=np.float64)
        if not self.durations.size or not (self.durations > 0).all():
            raise ConfigError("the sampler must get positive durations, but got none or a zero; check the manifest")
        if batch_seconds <= 0 or (max_batch is not None and max_batch < 1):
            raise ConfigError(f"`batch_seconds` and `max_batch` must be positive, but are {batch_seconds}, {max_batch}")
        if not 0 <= rank < world_size:
            raise ConfigError(f"`rank` must be in 0 .. {world_size - 1}, but is {rank} instead")
        self.batch_seconds, self.max_batch, self.seed = batch_seconds, max_batch, seed
        self.rank, self.world_size, self.shuffle = rank, world_size, shuffle
        self.weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        self.draws = draws
        if self.weights is not None and not 0 < (draws or 0) < int((self.weights > 0).sum()):
            raise ConfigError(
                f"`balance` must be positive and less than the {int((self.weights > 0).sum())} recordings with a "
                f"label, or nothing is chosen, but is {draws} instead"
            )

    def epoch_batches(self, epoch: int) -> list[BatchRequest]:
        """The batches of this rank in an epoch, in order."""
        if not self.shuffle:
            order = np.argsort(-self.durations, kind="stable")
            return self._mine(epoch, self._filled(order))
        draws = Draws(self.seed, epoch, "batches")
        jitter = 1 + JITTER * (2 * draws.uniforms(self.durations.size) - 1)
        order = np.argsort(self.durations * jitter, kind="stable")
        if self.weights is not None:
            order = order[np.isin(order, self._drawn(epoch))]
        return self._mine(epoch, self._filled(order), draws)

    def from_position(
        self, epoch: int, position: int, epochs: int | None = None
    ) -> Iterator[tuple[int, int, bool, BatchRequest]]:
        """Yield (epoch, position, is last of its epoch, request) from a place on; `epochs` bounds the
        epoch number."""
        while epochs is None or epoch < epochs:
            batches = self.epoch_batches(epoch)
            for place in range(position, len(batches)):
                yield epoch, place, place == len(batches) - 1, batches[place]
            epoch, position = epoch + 1, 0

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        """What an epoch holds, when weights choose: those of the smallest -log(u) / weight."""
        assert self.weights is not None
        uniforms = Draws(self.seed, epoch, "balance").uniforms(self.durations.size)
        with np.errstate(divide="ignore"):
            waits = -np.log1p(-uniforms) / self.weights
        return np.argsort(waits, kind="stable")[: self.draws]

    def _filled(self, order: NDArray[np.int64]) -> list[tuple[int, ...]]:
        batches: list[tuple[int, ...]] = []
        current: list[int] = []
        longest = 0.0
        for index in order.tolist():
            longest = max(longest, float(self.durations[index]))
            full = (len(current) + 1) * longest > self.batch_seconds or len(current) == self.max_batch
            if current and full:
                batches.append(tuple(current))
                current, longest = [], float(self.durations[index])
            current.append(index)
        return [*batches, tuple(current)]

    def _mine(self, epoch: int, batches: list[tuple[int, ...]], draws: Draws | None = None) -> list[BatchRequest]:
        """Deal neighbours, which are of similar size, to the ranks; then shuffle the rounds."""
        short = -len(batches) % self.world_size
        batches = batches + [batches[turn % len(batches)] for turn in range(short)]
        rounds = [batches[start : start + self.world_size] for start in range(0, len(batches), self.world_size)]
        order = range(len(rounds)) if draws is None else draws.permutation(len(rounds)).tolist()
        return [BatchRequest(epoch, rounds[index][self.rank]) for index in order]
