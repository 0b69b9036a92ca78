"""Batches of sentences for language models, each a pure function of (seed, epoch, position).

Legend: B pieces, L tokens of the longest.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from noisewise.batch import Batch
from noisewise.config import config
from noisewise.data.loading.sampler import BatchRequest, BatchSampler
from noisewise.data.manifests import read as manifest
from noisewise.errors import ConfigError
from noisewise.text import sentences
from noisewise.text.normalise import NormaliserName, choose
from noisewise.text.tokenizer import BOUNDARY

END = 0
"""Id of the mark before and behind every sentence."""
Encode = Callable[[list[str]], list[int]]


@config
class TextConfig:
    """Which sentences are read, and how they are batched."""

    kind: Literal["text"] = "text"
    texts: list[str] = field(default_factory=list)
    """Text files with one sentence a line, also .gz; `$NAME` and `~` are expanded."""
    manifests: list[str] = field(default_factory=list)
    """Manifests of speech whose transcripts are read, each perhaps with a filter such as `#split=train`."""
    only_each: int | None = None
    """Interval of the lines to keep, the first of each so many: a validation set; all when absent."""
    but_each: int | None = None
    """Interval of the lines to leave out, the same ones: the training set beside it; none when absent."""
    max_tokens: int = 512
    """Greatest number of tokens in a piece; longer sentences are cut into several."""
    batch_tokens: int = 4096
    """Greatest number of tokens in a batch, padding counted."""
    shuffle: bool = True
    """Draw random batches in random order, anew in each epoch; otherwise they go from long to short."""
    normaliser: NormaliserName = "english"
    """Form of the sentences; see `noisewise.text.normalise`."""

    def __post_init__(self) -> None:
        if not self.texts and not self.manifests:
            raise ConfigError("`texts` or `manifests` must name a file, but both are empty; add one")
        for name in ("only_each", "but_each"):
            value = getattr(self, name)
            if value is not None and value < 2:
                raise ConfigError(f"`{name}` must be 2 or more, but is {value} instead")
        if not 1 <= self.max_tokens <= self.batch_tokens:
            raise ConfigError(
                f"`max_tokens` must be 1 to `batch_tokens` ({self.batch_tokens}), but is {self.max_tokens} instead"
            )


def read(chosen: TextConfig, characters: bool = False) -> Iterator[list[str]]:
    """The normalised sentences: words, or characters with `|` between words.

    Raises:
        NoisewiseError: a file or manifest that cannot be read.
    """
    for number, sentence in enumerate(_all(chosen, characters)):
        if chosen.only_each is not None and number % chosen.only_each:
            continue
        if chosen.but_each is None or number % chosen.but_each:
            yield sentence


def _all(chosen: TextConfig, characters: bool) -> Iterator[list[str]]:
    normaliser = choose(chosen.normaliser)
    yield from sentences.read([manifest.expanded(name) for name in chosen.texts], characters, normaliser)
    for source in chosen.manifests:
        for cut in manifest.read(source):
            if text := normaliser(manifest.text_of(cut) or ""):
                yield list(text.replace(" ", BOUNDARY)) if characters else text.split()


@dataclass(frozen=True)
class Pieces:
    """Sentences as ids, one behind the other with `END` between, and where the pieces of them are."""

    ids: NDArray[np.int32]
    first: NDArray[np.int64]
    """Position at which each piece begins; its first token is input, not a target."""
    lengths: NDArray[np.int64]
    """Number of targets of each piece."""

    @classmethod
    def read(cls, chosen: TextConfig, encode: Encode, characters: bool = False) -> "Pieces":
        """Sentences, cut where they are too long.

        Raises:
            NoisewiseError: a file that cannot be read, or no sentence.
        """
        ids, first, lengths = array("i", [END]), array("q"), array("q")
        for sentence in read(chosen, characters):
            begin = len(ids) - 1
            ids.extend(encode(sentence))
            ids.append(END)
            for at in range(begin, len(ids) - 1, chosen.max_tokens):
                first.append(at)
                lengths.append(min(chosen.max_tokens, len(ids) - 1 - at))
        if not first:
            raise ConfigError("`texts` and `manifests` must hold a sentence, but hold none with letters; check them")
        return cls(np.array(ids, np.int32), np.array(first, np.int64), np.array(lengths, np.int64))

    def batch(self, which: Sequence[int]) -> Batch:
        """Some pieces, padded: tokens (B, L + 1), the first of each given."""
        rows = [torch.from_numpy(self.ids[at : at + size + 1].astype(np.int64)) for at, size in self._places(which)]
        return Batch(
            waveform=torch.zeros(len(rows), 0),
            lengths=torch.zeros(len(rows), dtype=torch.int64),
            ids=[f"piece {number}" for number in which],
            tokens=pad_sequence(rows, batch_first=True),
            token_lengths=torch.tensor([len(row) for row in rows]),
        )

    def _places(self, which: Sequence[int]) -> Iterator[tuple[int, int]]:
        return ((int(self.first[number]), int(self.lengths[number])) for number in which)


class TextSource:
    """Batches of sentences for the training loop.

    Args:
        train: training text.
        validation: text on which the best checkpoint is chosen.
        encode: tokens to ids.
        characters: tokens are characters, with `|` between words.
        seed: seed of the order.
    """

    def __init__(
        self, train: TextConfig, validation: TextConfig, encode: Encode, *, characters: bool = False, seed: int = 0
    ):
        self.train, self.held_back = train, validation
        self.seed = seed
        self.pieces = Pieces.read(train, encode, characters)
        self._validation = Pieces.read(validation, encode, characters)

    def training(self, epoch: int, position: int, rank: int, world: int) -> Iterator[tuple[int, int, Batch]]:
        """Endless batches from (epoch, position) on, each with the place that follows it."""
        sampler = BatchSampler(
            self.pieces.lengths.tolist(), self.train.batch_tokens, seed=self.seed, rank=rank, world_size=world,
            shuffle=self.train.shuffle,
        )  # fmt: skip
        for at, place, is_last, request in sampler.from_position(epoch, position):
            yield *((at + 1, 0) if is_last else (at, place + 1)), self.pieces.batch(request.indices)

    def validation(self) -> Iterable[Batch]:
        """One pass over the validation set."""
        sampler = BatchSampler(self._validation.lengths.tolist(), self.held_back.batch_tokens, shuffle=False)
        requests: list[BatchRequest] = sampler.epoch_batches(0)
        return (self._validation.batch(request.indices) for request in requests)
