"""From a list of cuts to a padded batch: load, perturb, crop, add noise, encode.

Every random choice is drawn from (seed, epoch, utterance id), so a batch does not depend on the worker that
makes it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from noisewise.audio import augment, waveform
from noisewise.audio.mix import Waveform
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.batch import Batch, Skipped
from noisewise.config import config, within
from noisewise.data.embeddings.store import EmbeddingStore
from noisewise.data.loading.sampler import BatchRequest
from noisewise.data.manifests.cuts import Cut, column, load_audio, path_of, text_of
from noisewise.data.manifests.labels import Labels
from noisewise.data.manifests.read import expanded
from noisewise.data.noise.pool import NoiseConfig, NoisePool
from noisewise.data.random_streams import Draws
from noisewise.errors import ConfigError, DataError, NoisewiseError, lacks_memory
from noisewise.text.normalise import ENGLISH

Encode = Callable[[str], list[int]]
Normalise = Callable[[str], str]


@config
class ReverbConfig:
    """Room impulse responses and how often one is used."""

    manifest: str
    """Manifest of room impulse responses."""
    probability: float = 0.3
    """Share of the utterances that are reverberated."""

    def __post_init__(self) -> None:
        within(0, 1, probability=self.probability)


@config
class DataConfig:
    """What is read, how it is perturbed, and how it is batched."""

    manifests: list[str]
    """Speech manifests, read one after the other; each may carry `#split=train` and `#repeat=2`."""
    quarantine: str | None = None
    """Quarantine list of `noisewise check --quarantine`; its utterances, noises and rooms are left out."""
    noise: NoiseConfig | None = None
    """Noise to add to the speech; none when absent."""
    reverb: ReverbConfig | None = None
    """Reverberation of the speech; none when absent."""
    speed: list[float] = field(default_factory=list)
    """Speed factors to choose from, such as [0.9, 1.0, 1.1]; empty leaves the speed alone."""
    gain_db: list[float] = field(default_factory=list)
    """Range [low, high] of a random gain in dB; empty leaves the level alone."""
    roll: bool = False
    """Roll each recording to a random beginning, its start moved behind its end (for sounds, not for speech)."""
    crop_seconds: float | None = None
    """Length in seconds of the random part that is taken of longer utterances (for tasks without transcripts)."""
    crop_to_shortest: bool = False
    """Crop every utterance of a batch to the shortest, so that nothing is padded (for tasks without transcripts)."""
    keep_clean: bool = False
    """Provide the clean waveform as `Batch.clean`, sample for sample beside `Batch.waveform`."""
    clean_from: list[str] = field(default_factory=list)
    """Columns that may name a clean recording of the same speech, such as [clean, original] of CHiME-4; the first that
    an utterance has is its `Batch.clean`. Utterances without any are their own clean waveform."""
    label_column: str = "label"
    """Column with the classes of a recording, several with ";" between, for tasks that learn labels."""
    classes: str | None = None
    """File with the names of all classes, one a line, in the model's order; those of the manifests, sorted, when
    absent."""
    balance: int | None = None
    """Number of recordings in an epoch, drawn without replacement, those of rare classes likelier, so that classes are
    balanced; null for all of them (the authors' code for AudioSet-2M: 200,000)."""
    embeddings: dict[str, str] = field(default_factory=dict)
    """Store of `noisewise embed` for each external encoder by its name; the vectors are part of the batches."""
    batch_seconds: float = 60.0
    """Greatest length of a batch in seconds of audio, padding counted."""
    max_batch: int | None = None
    """Greatest number of utterances in a batch; no limit when absent."""
    min_seconds: float = 0.1
    """Least length of an utterance in seconds; shorter ones are left out."""
    max_seconds: float = 30.0
    """Greatest length of an utterance in seconds; longer ones are left out."""
    shuffle: bool = True
    """Draw random batches in random order, anew in each epoch; otherwise they go from long to short."""
    workers: int = 2
    """Number of loader processes; 0 loads in the training process."""

    def __post_init__(self) -> None:
        for factor in self.speed:
            within(augment.SLOWEST, augment.FASTEST, speed=factor)
        if self.gain_db and (len(self.gain_db) != 2 or self.gain_db[0] > self.gain_db[1]):
            raise ConfigError(f"`gain_db` must be [low, high] or empty, but is {self.gain_db} instead")
        if self.crop_seconds is not None and self.crop_seconds <= 0:
            raise ConfigError(f"`crop_seconds` must be positive, but is {self.crop_seconds}; leave it out for no crop")
        within(0, math.inf, min_seconds=self.min_seconds, max_seconds=self.max_seconds, workers=self.workers)


@dataclass(frozen=True)
class _Item:
    """One loaded utterance before noise."""

    cut: Cut
    clean: Waveform
    text: str
    recorded: Waveform | None = None
    """Noisy recording where the manifest names a clean partner of it; None where the recording is `clean`."""


class SpeechDataset(Dataset[Batch]):
    """Map-style: the key is a `BatchRequest`, the value a whole `Batch`."""

    def __init__(
        self,
        cuts: Sequence[Cut],
        config: DataConfig,
        *,
        seed: int = 0,
        encode: Encode | None = None,
        noise: NoisePool | None = None,
        rooms: Sequence[Cut] = (),
        labels: Labels | None = None,
        normalise: Normalise = ENGLISH,
    ) -> None:
        """Keep what is needed to make batches.

        Args:
            cuts: utterances, already filtered.
            config: perturbations and crops.
            seed: of every draw but the noise, whose pool has its own.
            encode: transcript to token ids; without it batches carry no tokens and need no transcript.
            noise: pool to add noise from.
            rooms: impulse responses.
            labels: the classes, for batches that carry them.
            normalise: form of the transcripts.

        Raises:
            ConfigError: no cut has a column of `clean_from`, or recordings of a store of frames are moved or cropped.
            DataError: a label that is no class.
            DataError: a store that cannot be used, or lacks a recording.
        """
        if config.clean_from and not any(column(cut, name) for cut in cuts for name in config.clean_from):
            raise ConfigError(f"`clean_from` must name columns of the manifests, but none has {config.clean_from}")
        self.cuts, self.config, self.seed = list(cuts), config, seed
        self.encode, self.noise, self.normalise = encode, noise, normalise
        self._rooms = [load_audio(cut) for cut in rooms]
        self.labels = labels
        if labels is not None:
            for cut in self.cuts:
                labels.row(cut)
        self.stores = {name: _store(name, folder, cuts, config) for name, folder in config.embeddings.items()}

    def __len__(self) -> int:
        return len(self.cuts)

    def __getitem__(self, request: BatchRequest) -> Batch:
        """Make a batch; items that cannot be used are listed in `skipped`.

        When none can, the next good utterance of the manifest stands in, so that no step is without data.

        Raises:
            DataError: no utterance of the whole manifest can be used.
        """
        skipped: list[Skipped] = []
        found = [self._try(index, request.epoch, skipped) for index in request.indices]
        items = [item for item in found if item is not None] or [self._stand_in(request, skipped)]
        items = self._cropped(items, request.epoch)
        return self._batch(items, request.epoch, skipped)

    def _try(self, index: int, epoch: int, skipped: list[Skipped]) -> _Item | None:
        cut = self.cuts[index]
        try:
            return self._item(cut, epoch)
        except (NoisewiseError, OSError) as error:
            if lacks_memory(error):  # it says nothing of the recording
                raise MemoryError(str(error)) from error
            reason = str(getattr(error, "reason", "unusable"))
            skipped.append(Skipped(cut.id, path_of(cut), reason))
            return None

    def _stand_in(self, request: BatchRequest, skipped: list[Skipped]) -> _Item:
        for step in range(1, len(self.cuts)):
            index = (request.indices[-1] + step) % len(self.cuts)
            item = None if index in request.indices else self._try(index, request.epoch, [])
            if item is not None:
                return item
        raise DataError(
            f"the manifest must hold a usable utterance, but none of {len(self.cuts)} is; "
            f"the first is `{skipped[0].path}`: {skipped[0].reason}"
        )

    def _item(self, cut: Cut, epoch: int) -> _Item:
        text = self.normalise(text_of(cut) or "")
        if self.encode is not None and not text:
            raise _NoText(f"`{path_of(cut)}` must have a transcript of letters, but has {text_of(cut)!r} instead")
        recorded, clean = _parallel(cut, self.config.clean_from)
        clean = self._perturbed(clean, Draws(self.seed, epoch, cut.id, "augment"))
        if recorded is not None:
            recorded = self._perturbed(recorded, Draws(self.seed, epoch, cut.id, "augment"))
        return _Item(cut, clean, text, recorded)

    def _perturbed(self, clean: Waveform, draws: Draws) -> Waveform:
        """Speed, room, level and beginning, each drawn in turn whether used or not."""
        if self.config.speed:
            clean = augment.speed(clean, draws.choice(self.config.speed))
        if self.config.reverb is not None and self._rooms:
            room = draws.choice(self._rooms)
            if draws.chance(self.config.reverb.probability):
                clean = augment.reverberate(clean, room)
        if self.config.gain_db:
            clean = augment.gain(clean, draws.uniform(self.config.gain_db[0], self.config.gain_db[1]))
        if self.config.roll:
            clean = augment.roll(clean, draws.below(len(clean)))
        return clean

    def _cropped(self, items: list[_Item], epoch: int) -> list[_Item]:
        """One crop, before noise is added: the noisy and the clean signal stay in step."""
        longest = max(len(item.clean) for item in items)
        limit = longest if self.config.crop_seconds is None else round(self.config.crop_seconds * SAMPLE_RATE)
        if self.config.crop_to_shortest:
            limit = min(limit, *(len(item.clean) for item in items))
        return [_crop(item, limit, Draws(self.seed, epoch, item.cut.id, "crop")) for item in items]

    def _batch(self, items: list[_Item], epoch: int, skipped: list[Skipped]) -> Batch:
        noisy = [self._noisy(item, epoch, skipped) for item in items]
        tokens = None if self.encode is None else [torch.tensor(self.encode(item.text)) for item in items]
        vectors = {name: store.gather([item.cut.id for item in items]) for name, store in self.stores.items()}
        return Batch(
            waveform=_padded([torch.from_numpy(each) for each in noisy]),
            lengths=torch.tensor([len(each) for each in noisy]),
            ids=[item.cut.id for item in items],
            texts=[item.text for item in items],
            written=[text_of(item.cut) or "" for item in items],
            clean=_padded([torch.from_numpy(item.clean) for item in items]) if self.config.keep_clean else None,
            tokens=None if tokens is None else _padded(tokens),
            token_lengths=None if tokens is None else torch.tensor([len(each) for each in tokens]),
            vectors={name: features for name, (features, _) in vectors.items()},
            vector_lengths={name: counts for name, (_, counts) in vectors.items() if counts is not None},
            labels=None if self.labels is None else torch.stack([self.labels.row(item.cut) for item in items]),
            skipped=skipped,
        )

    def _noisy(self, item: _Item, epoch: int, skipped: list[Skipped]) -> Waveform:
        """The utterance with its noise; a noise file that fails is reported and the speech stays as it was."""
        recorded = item.clean if item.recorded is None else item.recorded
        if self.noise is None:
            return recorded
        try:
            return self.noise.apply(recorded, epoch, item.cut.id)[0]
        except (NoisewiseError, OSError) as error:
            if lacks_memory(error):
                raise MemoryError(str(error)) from error
            path = str(getattr(error, "path", None) or path_of(item.cut))
            skipped.append(Skipped(item.cut.id, path, f"noise_{getattr(error, 'reason', 'unusable')}"))
            return recorded


def _store(name: str, folder: str, cuts: Sequence[Cut], config: DataConfig) -> EmbeddingStore:
    """Open a store, and see before anything is learned that it has every recording."""
    store = EmbeddingStore(expanded(folder))
    missing = store.missing(cut.id for cut in cuts)
    if missing:
        raise DataError(
            f"`embeddings.{name}` must have a vector of every recording, but lacks {len(missing)} of {len(cuts)}, the "
            f"first of them '{missing[0]}'; run `noisewise embed` on the manifests, or leave out with `quarantine` "
            "what could not be read"
        )
    store.must_be_of(cuts)
    moved = config.crop_seconds is not None or config.crop_to_shortest or config.roll or config.speed
    if store.facts.level == "frames" and moved:
        raise ConfigError(
            f"`embeddings.{name}` holds frames, so recordings must stay as they are; leave out crops, roll and speed"
        )
    return store


class _NoText(NoisewiseError):
    reason = "no_text"


class _NotParallel(NoisewiseError):
    reason = "not_parallel"


def _parallel(cut: Cut, columns: Sequence[str]) -> tuple[Waveform | None, Waveform]:
    """The noisy recording, None if it has no clean partner, and the clean speech, equally long.

    Raises:
        NoisewiseError: one cannot be read, or they differ by more than 0.1 s.
    """
    partner = next((value for name in columns if (value := column(cut, name))), None)
    recorded = load_audio(cut)
    if partner is None:
        return None, recorded
    whole = cut.is_whole
    clean = waveform.load(
        Path(path_of(cut)).parent / partner,
        offset=0 if whole else cut.start,
        duration=None if whole else cut.duration,
    )
    if abs(len(clean) - len(recorded)) > SAMPLE_RATE // 10:
        raise _NotParallel(
            f"`{partner}` must be as long as `{path_of(cut)}`, but has {len(clean)} samples beside {len(recorded)}"
        )
    length = min(len(clean), len(recorded))
    return recorded[:length], clean[:length]


def _crop(item: _Item, limit: int, draws: Draws) -> _Item:
    if len(item.clean) <= limit:
        return item
    start = draws.below(len(item.clean) - limit + 1)
    clean = np.ascontiguousarray(item.clean[start : start + limit])
    recorded = None if item.recorded is None else np.ascontiguousarray(item.recorded[start : start + limit])
    return replace(item, clean=clean, recorded=recorded)


def _padded(rows: list[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
