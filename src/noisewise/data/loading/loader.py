"""Batches from worker processes, resumable at any batch."""

import atexit
import logging
import multiprocessing.util
import re
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from torch.utils.data import DataLoader, Dataset

from noisewise.batch import Batch
from noisewise.data.checks.quarantine import read_quarantine, without
from noisewise.data.loading.dataset import DataConfig, Encode, Normalise, SpeechDataset
from noisewise.data.loading.sampler import BatchRequest, BatchSampler
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.labels import Labels, names_in, read_names
from noisewise.data.manifests.read import expanded, read, read_many
from noisewise.data.noise.pool import NoisePool
from noisewise.errors import ConfigError, DataError, NoisewiseError, RunError
from noisewise.text.normalise import ENGLISH

log = logging.getLogger(__name__)
_LOST_WORKER = re.compile(r"DataLoader worker \(pid.*(exited unexpectedly|is killed by signal)", re.DOTALL)
"""What PyTorch says of a worker that has ended."""


class Loader:
    """Iterates over batches, epoch after epoch, and keeps its position.

    `state` is (epoch, position) of the next batch; a loader built with `start=state` goes on with exactly
    that batch, for any number of workers.
    """

    def __init__(
        self,
        dataset: SpeechDataset,
        sampler: BatchSampler,
        *,
        workers: int = 0,
        start: tuple[int, int] = (0, 0),
        epochs: int | None = None,
    ) -> None:
        """Join a dataset and a sampler; `epochs` is where to stop (None goes on for ever)."""
        self.dataset, self.sampler, self.workers = dataset, sampler, workers
        self.start, self.state, self.epochs = start, start, epochs
        self._reported: set[str] = set()

    def __iter__(self) -> Iterator[Batch]:
        """Go on from `state`; a loader that has reached its end begins again.

        Raises:
            RunError: a worker process has been killed.
            MemoryError: memory lacks for a batch.
            NoisewiseError: what the dataset raises.
        """
        if self.epochs is not None and self.state[0] >= self.epochs:
            self.state = self.start
        requests = _Requests(self.sampler, self.state, self.epochs)
        places = iter(requests.places())
        for batch in _whole(self._workers(requests)):
            epoch, position, last = next(places)
            self.state = (epoch + 1, 0) if last else (epoch, position + 1)
            self._report(batch)
            yield batch

    def __len__(self) -> int:
        """Batches of one epoch (the first; later ones may differ by a few)."""
        return len(self.sampler.epoch_batches(0))

    def _workers(self, requests: "_Requests") -> "Iterator[Batch | Exception]":
        options: dict[str, Any] = {"prefetch_factor": 4} if self.workers else {}
        return iter(
            DataLoader(
                _Answering(self.dataset),
                sampler=requests,  # yields whole requests: the dataset makes the batches
                batch_size=None,
                num_workers=self.workers,
                collate_fn=_unchanged,
                worker_init_fn=_start_worker,
                generator=torch.Generator(),  # else starting workers would draw from the model's generator
                **options,
            )
        )

    def _report(self, batch: Batch) -> None:
        for item in batch.skipped:
            if item.id not in self._reported:
                self._reported.add(item.id)
                log.warning("skipped %s (%s): %s", item.id, item.path, item.reason)


class _Answering(Dataset["Batch | Exception"]):
    """A dataset whose errors are values, so that they come out of a worker as they are, without its traceback."""

    def __init__(self, dataset: SpeechDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, request: BatchRequest) -> "Batch | Exception":
        try:
            return self.dataset[request]
        except (NoisewiseError, MemoryError) as error:
            return error


def _whole(answers: "Iterator[Batch | Exception]") -> Iterator[Batch]:
    """Batches as they come; an error is raised here."""
    while True:
        try:
            answer = next(answers)
        except StopIteration:
            return
        except (RuntimeError, ConnectionError, EOFError) as error:  # the latter two: it ended while handing over
            if isinstance(error, RuntimeError) and not _LOST_WORKER.search(str(error)):
                raise
            why = " ".join(str(error).split())
            raise RunError(
                f"every loader process must run, but one has ended ({why}), as the system does where memory lacks; "
                "lower `workers` or `batch_seconds` if it comes again; the same command goes on"
            ) from error
        if isinstance(answer, Exception):
            raise answer
        yield answer


class _Requests:
    """The requests from a place on, as an iterable that the DataLoader can start again."""

    def __init__(self, sampler: BatchSampler, start: tuple[int, int], epochs: int | None) -> None:
        self.sampler, self.start, self.epochs = sampler, start, epochs

    def __iter__(self) -> Iterator[BatchRequest]:
        return (request for _, _, _, request in self._all())

    def places(self) -> Iterator[tuple[int, int, bool]]:
        """(epoch, position, whether it is the last of its epoch) of each request."""
        return ((epoch, position, last) for epoch, position, last, _ in self._all())

    def _all(self) -> Iterator[tuple[int, int, bool, BatchRequest]]:
        return self.sampler.from_position(*self.start, epochs=self.epochs)


def build_loader(
    config: DataConfig,
    *,
    encode: Encode | None = None,
    labels: Labels | None = None,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    start: tuple[int, int] = (0, 0),
    training: bool = True,
    normalise: Normalise = ENGLISH,
) -> Loader:
    """Read the manifests of a config and build the loader.

    Args:
        config: what to read and how to perturb it.
        encode: transcript to token ids, when the task needs them.
        labels: the classes, when the task needs them.
        seed: of the order, the perturbations and the noise.
        rank: rank of this process.
        world_size: processes that share the batches.
        start: (epoch, position) of the first batch; `Loader.state` of the loader to go on from.
        training: False gives one pass, always that of epoch 0, in a fixed order: a fixed noisy set.
        normalise: form of the transcripts.

    Raises:
        DataError: a manifest or the quarantine list cannot be read, all of a manifest are in the list, or no
            utterance is between `min_seconds` and `max_seconds`.
    """
    listed = frozenset[str]() if config.quarantine is None else read_quarantine(expanded(config.quarantine))
    cuts = _of_fit_length(_without_quarantined(read_many(config.manifests), config, listed), config)
    dataset = SpeechDataset(
        cuts,
        config,
        seed=seed,
        encode=encode,
        noise=None if config.noise is None else NoisePool.load(config.noise, seed, listed),
        labels=labels,
        normalise=normalise,
        rooms=() if config.reverb is None else _without_quarantined(list(read(config.reverb.manifest)), config, listed),
    )
    sampler = BatchSampler(
        [_batched_seconds(cut, config) for cut in cuts],
        config.batch_seconds,
        max_batch=config.max_batch,
        seed=seed,
        rank=rank,
        world_size=world_size,
        shuffle=config.shuffle and training,
        **_balance(config, labels, cuts, training),
    )
    return Loader(dataset, sampler, workers=config.workers, start=start, epochs=None if training else 1)


def read_labels(config: DataConfig) -> Labels:
    """The classes of a training set.

    Raises:
        DataError: the file of classes cannot be used, or no recording has a label.
    """
    if config.classes is not None:
        return Labels(read_names(expanded(config.classes)), config.label_column)
    return Labels(names_in(read_many(config.manifests), config.label_column), config.label_column)


def _without_quarantined(cuts: list[Cut], config: DataConfig, listed: frozenset[str]) -> list[Cut]:
    kept = without(cuts, listed)
    if not kept:
        raise DataError(f"`quarantine` must leave a recording, but `{config.quarantine}` lists all {len(cuts)}")
    if len(kept) < len(cuts):
        log.warning("left out %d of %d recordings that %s lists", len(cuts) - len(kept), len(cuts), config.quarantine)
    return kept


def _of_fit_length(cuts: Sequence[Cut], config: DataConfig) -> list[Cut]:
    kept = [cut for cut in cuts if config.min_seconds <= cut.duration <= config.max_seconds]
    if not kept:
        raise DataError(
            f"`manifests` must hold utterances of {config.min_seconds} to {config.max_seconds} seconds, "
            "but have none; change `min_seconds` or `max_seconds`"
        )
    if len(kept) < len(cuts):
        log.warning("left out %d of %d utterances for their length", len(cuts) - len(kept), len(cuts))
    return kept


def _batched_seconds(cut: Cut, config: DataConfig) -> float:
    seconds = float(cut.duration)
    return seconds if config.crop_seconds is None else min(seconds, config.crop_seconds)


def _balance(config: DataConfig, labels: Labels | None, cuts: list[Cut], training: bool) -> dict[str, Any]:
    if config.balance is None or not training:
        return {}
    if labels is None or not config.shuffle:
        raise ConfigError("`balance` must be left out where nothing learns labels or `shuffle` is false, but is given")
    return {"weights": labels.weights(cuts), "draws": config.balance}


def _unchanged(batch: Any) -> Any:
    return batch


def _start_worker(worker: int) -> None:
    """One thread for torch and one for NumPy's BLAS, for workers are the parallelism; Ctrl-C is ignored,
    for the training process answers it."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@atexit.register  # so that it runs before what multiprocessing.util, imported above, has registered
def _end_workers() -> None:
    """End workers that an error has left behind: multiprocessing would ask them by SIGTERM, which they ignore, and
    wait for ever."""
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
