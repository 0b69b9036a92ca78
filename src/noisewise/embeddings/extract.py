"""From a manifest to a store of embeddings: each clip is decoded once, encoded once, and kept under its own id.

Shards follow the manifest, so that a store that was interrupted and resumed is byte for byte that of an uninterrupted
run. Within a shard, clips of similar length are encoded together.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from noisewise.config import above, config, within
from noisewise.data.checks.quarantine import original
from noisewise.data.corpora.preparation import in_order
from noisewise.data.embeddings.store import EmbeddingFacts, EmbeddingStore, Stretch, Unread
from noisewise.data.embeddings.writer import EmbeddingWriter
from noisewise.data.manifests.cuts import load_audio, path_of
from noisewise.embeddings.encoders import PooledEncoder
from noisewise.errors import DataError, NoisewiseError, lacks_memory

if TYPE_CHECKING:
    from noisewise.data.manifests.cuts import Cut

Report = Callable[[int, int, int], None]
"""Called with the clips that are done, all of them, and those without a vector."""


@config
class EmbeddingConfig:
    """How the clips of a manifest are encoded; of all this, only `frames` and `half` change what is stored."""

    frames: bool = False
    """Whether the vectors of frames are stored, instead of one vector a clip."""
    half: bool = False
    """Whether vectors are stored as float16."""
    batch_seconds: float = 60.0
    """Seconds of audio in a batch at most, padding counted."""
    shard_clips: int | None = None
    """Number of clips in a shard, which is in memory until it is written and lost by an interruption; None for 1024, or
    256 with frames."""
    retry: bool = False
    """Whether clips that could not be read before are tried again."""
    workers: int = 2
    """Number of files that are decoded at a time."""

    def __post_init__(self) -> None:
        above(0, batch_seconds=self.batch_seconds)
        within(1, math.inf, workers=self.workers)
        if self.shard_clips is not None:
            within(1, math.inf, shard_clips=self.shard_clips)

    @property
    def together(self) -> int:
        """Number of clips in a shard."""
        return self.shard_clips or (256 if self.frames else 1024)


@dataclass(frozen=True)
class Embedded:
    """Outcome of a call of `embed`."""

    clips: int
    """Number of new vectors."""
    there: int
    """Number of clips that were in the store before."""
    unread: list[Unread]
    """Clips of the manifest without a vector, those of earlier calls included."""


def facts_of(encoder: PooledEncoder, config: EmbeddingConfig) -> EmbeddingFacts:
    """Facts about the vectors that a store states.

    Raises:
        ModelError: frames are asked for, and the encoder gives none.
    """
    return EmbeddingFacts(
        encoder=encoder.name,
        weights_sha256=encoder.encoder.weights_sha256,
        level="frames" if config.frames else "clip",
        pooling="none" if config.frames else encoder.pooling,
        normalised=encoder.normalise,
        dim=encoder.frame_dim if config.frames else encoder.dim,
        sample_rate=encoder.sample_rate,
        window_seconds=None if encoder.window is None else encoder.window / encoder.sample_rate,
        half=config.half,
        details={**encoder.encoder.details, "torch": torch.__version__},
    )


def embed(
    cuts: "Sequence[Cut]",
    encoder: PooledEncoder,
    folder: str | Path,
    config: EmbeddingConfig | None = None,
    report: Report | None = None,
) -> Embedded:
    """Encode every clip that is not in the store yet, and append its vectors.

    A clip that cannot be read, or encoded, is listed in `quarantine.jsonl` of the store with the reason, and has no
    vector. A lack of memory says nothing of a clip: the batch is halved, and where one clip alone does not fit, the
    call ends. The copies of `#repeat` have the vector of their original.

    Args:
        cuts: clips with unique ids.
        encoder: what encodes them.
        folder: folder of the store; made, or continued.
        config: how they are encoded.
        report: called after each batch.

    Raises:
        DataError: the folder holds something else, or another recording under the id of a clip, or the encoder
            fails on every clip, or a clip does not fit into memory.
        OSError: the disk is full; the same call goes on when there is room.
    """
    config = config or EmbeddingConfig()
    writer = EmbeddingWriter(folder, facts_of(encoder, config))
    cuts = _without_copies(cuts)
    writer.store.must_be_of(cuts, contents=True)
    todo = _todo(cuts, writer.store, config.retry)
    done, failed = len(cuts) - len(todo), 0
    for start in range(0, len(todo), config.together):
        shard = todo[start : start + config.together]
        found: dict[str, Tensor | Unread] = {}
        for batch in _batches(shard, config.batch_seconds):
            answers = _fitting(batch, encoder, config)
            found |= answers
            done, failed = done + len(batch), failed + sum(isinstance(each, Unread) for each in answers.values())
            if report is not None:
                report(done, len(cuts), failed)
        if not len(writer.store):
            _must_work(encoder, found.values())
        vectors = [(cut.id, each) for cut in shard if isinstance(each := found[cut.id], Tensor)]
        failures = [each for cut in shard if isinstance(each := found[cut.id], Unread)]
        writer.add(vectors, failures, {cut.id: Stretch.of(cut) for cut in shard if isinstance(found[cut.id], Tensor)})
    unread = [writer.store.unread[cut.id] for cut in cuts if cut.id in writer.store.unread]
    return Embedded(len(todo) - failed, len(cuts) - len(todo), unread)


def _without_copies(cuts: "Sequence[Cut]") -> "list[Cut]":
    ids = {cut.id for cut in cuts}
    return [cut for cut in cuts if original(cut.id) == cut.id or original(cut.id) not in ids]


def _todo(cuts: "Sequence[Cut]", store: EmbeddingStore, retry: bool) -> "list[Cut]":
    return [cut for cut in cuts if cut.id not in store and (retry or cut.id not in store.unread)]


def _batches(shard: "Sequence[Cut]", batch_seconds: float) -> "Iterator[list[Cut]]":
    """Clips from short to long, so many together that they last `batch_seconds`, or one that lasts longer."""
    batch: list[Cut] = []
    for cut in sorted(shard, key=lambda cut: float(cut.duration)):
        if batch and (len(batch) + 1) * float(cut.duration) > batch_seconds:
            yield batch
            batch = []
        batch.append(cut)
    yield batch


def _fitting(batch: "Sequence[Cut]", encoder: PooledEncoder, config: EmbeddingConfig) -> dict[str, Tensor | Unread]:
    """The vector of each clip, or why it has none; in halves of the batch where memory lacks for the whole.

    Raises:
        DataError: memory lacks for one clip alone.
    """
    try:
        return _encoded(batch, encoder, config)
    except Exception as error:
        if not lacks_memory(error):
            raise
        if len(batch) == 1:
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise DataError(
                f"`{path_of(batch[0])}` must fit into memory, but its {float(batch[0].duration):.1f} s do not, even "
                f"alone ({why}); give a smaller `window_seconds`, end other programs, or leave it out with "
                "`quarantine`, and run the same command again"
            ) from error
    # here the error is gone, and with it what its frames held
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = len(batch) // 2
    return _fitting(batch[:half], encoder, config) | _fitting(batch[half:], encoder, config)


def _encoded(batch: "Sequence[Cut]", encoder: PooledEncoder, config: EmbeddingConfig) -> dict[str, Tensor | Unread]:
    """The vector of each clip, or why it has none."""
    load = partial(_loaded, sample_rate=encoder.sample_rate)
    found = dict(zip([cut.id for cut in batch], in_order(load, batch, config.workers), strict=True))
    readable = [cut for cut in batch if isinstance(found[cut.id], Tensor)]
    encode = encoder.frame_vectors if config.frames else encoder.vectors
    clips = [each for cut in readable if isinstance(each := found[cut.id], Tensor)]
    for cut, answer in zip(readable, _attempt(encode, clips), strict=True):
        found[cut.id] = _usable(cut, answer)
    return found


def _loaded(cut: "Cut", sample_rate: int) -> Tensor | Unread:
    try:
        return torch.from_numpy(load_audio(cut, sample_rate=sample_rate))
    except (NoisewiseError, OSError) as error:
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        return Unread(cut.id, path_of(cut), str(getattr(error, "reason", "unreadable")), " ".join(str(error).split()))


def _attempt(encode: Callable[[Sequence[Tensor]], list[Tensor]], clips: Sequence[Tensor]) -> list[Tensor | Exception]:
    """Encode clips together; where that fails, one by one, so that only the culprits have no vector."""
    if not clips:
        return []
    try:
        return list(encode(clips))
    except Exception as error:  # what an encoder raises at a clip is open
        if lacks_memory(error):
            raise
        if len(clips) == 1:
            return [error]
        return [answer for clip in clips for answer in _attempt(encode, [clip])]


def _usable(cut: "Cut", answer: Tensor | Exception) -> Tensor | Unread:
    if isinstance(answer, Exception):
        message = " ".join(f"{type(answer).__name__}: {answer}".split())[:300]
        return Unread(cut.id, path_of(cut), "not_encoded", message)
    if not torch.isfinite(answer).all():
        return Unread(cut.id, path_of(cut), "not_finite", "its vector holds NaN or infinity")
    return answer


def _must_work(encoder: PooledEncoder, found: Collection[Tensor | Unread]) -> None:
    """An encoder that fails on every clip it has been given is at fault, and not the clips."""
    failures = [each for each in found if isinstance(each, Unread) and each.reason in ("not_encoded", "not_finite")]
    if failures and not any(isinstance(each, Tensor) for each in found):
        raise DataError(
            f"`{encoder.name}` must encode a clip of the manifest, but fails on the first {len(failures)}; "
            f"{failures[0].path}: {failures[0].message}"
        )
