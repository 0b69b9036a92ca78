"""What frozen encoders make of clips, kept on disk: one vector a clip, or the vectors of its frames.

A store is a folder:

    index.json                  what the vectors are (`EmbeddingFacts`), and the shards in order
    shard-000000.safetensors    `features` (N, D) of N clips; of frames (R, D) with `lengths` (N,); their ids, and the
                                stretch of audio of each (`Stretch`)
    quarantine.jsonl            clips that gave no vector, and why; absent when there are none

A shard appears whole or not at all, and counts once it is in the index, so an interrupted store is a shorter store.
Legend: N clips, R frames of them all, D width.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from noisewise.config import config, parse
from noisewise.data.checks.quarantine import original
from noisewise.data.manifests.cuts import audio_of, path_of
from noisewise.errors import DataError, NoisewiseError
from noisewise.files import json_value, read_json

if TYPE_CHECKING:
    from noisewise.data.manifests.cuts import Cut

FORMAT = "noisewise-embeddings-1"
INDEX = "index.json"
QUARANTINE = "quarantine.jsonl"
ABOUT = "clips"
"""Key of the metadata of a shard with its ids: one entry, because safetensors writes several in any order."""
AGAIN = "delete the folder and embed again"


@config
class EmbeddingFacts:
    """What the vectors of a store are; two stores with the same facts hold the same vectors of a clip."""

    encoder: str
    """Name of the encoder: a folder, hf:ORGANISATION/NAME@REVISION, box, python:module:function."""
    weights_sha256: str | None = None
    """SHA-256 of the weights of the encoder; None where it has no file of them."""
    level: Literal["clip", "frames"] = "clip"
    """Level of the vectors: one a `clip`, or one a frame (`frames`)."""
    pooling: str = "mean"
    """Pooling of the frames into one vector: `mean`, `cls`, `pooler`; `none` at level frames."""
    normalised: bool = False
    """Whether vectors have length 1."""
    dim: int
    """Width of the vectors."""
    sample_rate: int
    """Sample rate of the encoder's input in Hz."""
    window_seconds: float | None = None
    """Greatest length in seconds of a part that is encoded at once, longer clips in equal parts; None for whole
    clips."""
    half: bool = False
    """Whether vectors are stored as float16; they are read as float32 all the same."""
    details: dict[str, str] = field(default_factory=dict)
    """Architecture and versions of the encoder, for the reader; not compared."""


@dataclass(frozen=True)
class Stretch:
    """Which part of which recording a vector was made of; a corpus may be moved."""

    recording: str
    """Name of the file, without folders and suffix."""
    start: float
    """Beginning in the recording, in seconds."""
    seconds: float
    digest: str
    """Digest of the first 64 KiB of the file; empty where it cannot be read."""

    @classmethod
    def of(cls, cut: "Cut", contents: bool = True) -> "Stretch":
        """The stretch of a cut; without `contents`, the file is not opened."""
        digest = _digest(cut) if contents else ""
        return cls(Path(path_of(cut)).stem, round(float(cut.start), 3), round(float(cut.duration), 3), digest)

    def same(self, other: "Stretch") -> bool:
        """Whether both are one stretch of one recording: times to 50 ms, and the contents where both are known."""
        if self.digest and other.digest and self.digest != other.digest:
            return False
        near = abs(self.start - other.start) <= 0.05 and abs(self.seconds - other.seconds) <= 0.05
        return self.recording == other.recording and near

    def __str__(self) -> str:
        return f"{self.seconds:g} s of '{self.recording}' from {self.start:g} s on"


def _digest(cut: "Cut") -> str:
    try:
        source = audio_of(cut)
        with open(source, "rb") if isinstance(source, str) else source as file:
            return hashlib.sha256(file.read(1 << 16)).hexdigest()[:16]
    except (NoisewiseError, OSError):
        return ""


@dataclass(frozen=True)
class Unread:
    """A clip that gave no vector."""

    id: str
    path: str
    reason: str
    message: str


class EmbeddingStore:
    """Reads a store; vectors stay on disk until they are asked for. Can be handed to loader processes."""

    def __init__(self, folder: str | Path) -> None:
        """Open a folder that `noisewise embed` wrote.

        Raises:
            DataError: it is none, or a shard is missing or damaged.
        """
        self.folder = Path(folder)
        self.facts, shards = _index(self.folder)
        self.shards: list[str] = []
        self.unread: dict[str, Unread] = {}
        self._places: dict[str, tuple[int, int, int]] = {}  # id -> shard, first row, rows
        self._open: dict[int, Tensor] = {}
        for name in shards:
            self.append(name)

    @property
    def encoder(self) -> str:
        """Name of the encoder."""
        return self.facts.encoder

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.facts.dim

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        """Ids, in the order in which they were written."""
        return iter(self._places)

    def __contains__(self, clip: object) -> bool:
        return isinstance(clip, str) and self._place(clip) is not None

    def __getitem__(self, clip: str) -> Tensor:
        """The vector of a clip (D,), or at level frames its vectors (F, D); float32.

        The copies of `#repeat` (`id~2`) have the vector of their original.

        Raises:
            DataError: it is not in the store.
        """
        place = self._place(clip)
        if place is None:
            raise self._absent(clip)
        shard, first, rows = place
        found = self._features(shard)[first : first + rows].to(torch.float32, copy=True)
        return found if self.facts.level == "frames" else found[0]

    def gather(self, clips: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """What is stored of several clips: (B, D) and None; at level frames (B, F, D), zero past lengths (B,)."""
        rows = [self[clip] for clip in clips]
        if self.facts.level == "clip":
            return torch.stack(rows), None
        return pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])

    def missing(self, clips: Iterable[str]) -> list[str]:
        """Those of the clips that are not in the store, to be looked at before a training begins."""
        return [clip for clip in clips if clip not in self]

    def must_be_of(self, cuts: "Iterable[Cut]", contents: bool = False) -> None:
        """Refuse cuts whose id stands for another recording here, so that none is given the vector of another.

        Args:
            cuts: that are to have vectors; those that are not in the store are passed over.
            contents: open their files, and compare more than names and times.

        Raises:
            DataError: there is one.
        """
        named = {cut.id if cut.id in self._places else original(cut.id): cut for cut in cuts}
        for path in (self.folder / shard for shard in self.shards):
            with _opened(path) as file:
                _, stretches, _ = _listed(path, file.metadata() or {})
            for name, there in stretches.items():
                if name in named and not there.same(here := Stretch.of(named[name], contents)):
                    raise DataError(
                        f"`{name}` must be one recording, but is {there} in `{self.folder}` and another, {here}, in "
                        "the manifest; give every recording an id of its own, or embed into another folder"
                    )

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_open": {}}

    def _place(self, clip: str) -> tuple[int, int, int] | None:
        return self._places.get(clip) or self._places.get(original(clip))

    def _absent(self, clip: str) -> DataError:
        found = self.unread.get(clip) or self.unread.get(original(clip))
        if found is not None:
            return DataError(
                f"`{clip}` must have an embedding in `{self.folder}`, but could not be read ({found.reason}); leave it "
                f"out with `quarantine: {self.folder / QUARANTINE}`"
            )
        return DataError(
            f"`{clip}` must have an embedding in `{self.folder}`, but has none; run `noisewise embed` on its manifest "
            "into the same folder"
        )

    def _features(self, shard: int) -> Tensor:
        """All vectors of a shard, mapped into memory. (R, D)"""
        if shard not in self._open:
            with _opened(self.folder / self.shards[shard]) as file:
                self._open[shard] = file.get_tensor("features")
        return self._open[shard]

    def append(self, name: str) -> None:
        """Take in a shard of the folder."""
        self._read_header(len(self.shards), self.folder / name)
        self.shards.append(name)

    def _read_header(self, number: int, path: Path) -> None:
        with _opened(path) as file:
            ids, _, unread = _listed(path, file.metadata() or {})
            shape = tuple(file.get_slice("features").get_shape() if "features" in file.keys() else (0, self.dim))  # noqa: SIM118
            counts = [1] * len(ids)
            if self.facts.level == "frames" and ids:
                counts = _lengths(path, file)
        if len(counts) != len(ids) or shape != (sum(counts), self.dim):
            raise DataError(f"`{path}` must hold {len(ids)} clips of width {self.dim}, but does not; {AGAIN}")
        first = 0
        for name, count in zip(ids, counts, strict=True):
            self._places[name] = number, first, count
            self.unread.pop(name, None)  # this attempt succeeded
            first += count
        self.unread |= {item.id: item for item in unread}


def _index(folder: Path) -> tuple[EmbeddingFacts, list[str]]:
    path = folder / INDEX
    if not path.is_file():
        raise DataError(f"`{folder}` must be a folder that `noisewise embed` wrote, but has no {INDEX}; check it")
    try:
        values = read_json(path)
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}")
        return parse(EmbeddingFacts, values["facts"]), [Path(name).name for name in parse(list[str], values["shards"])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"`{path}` must be the index of a store, but is not: {error}; {AGAIN}") from error


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"`{path}` must be a whole shard, but cannot be read: {error}; {AGAIN}") from error


def _lengths(path: Path, file: Any) -> list[int]:
    """Frames of each clip of a shard."""
    try:
        found = parse(list[int], file.get_tensor("lengths").tolist())
        if min(found, default=0) < 0:
            raise ValueError(f"{min(found)} frames")
        return found
    except (SafetensorError, ValueError) as error:
        raise DataError(f"`{path}` must hold the lengths of its clips, but does not: {error}; {AGAIN}") from error


def _listed(path: Path, about: dict[str, str]) -> tuple[list[str], dict[str, Stretch], list[Unread]]:
    try:
        values = json_value(about[ABOUT])
        stretches = {name: Stretch(*each) for name, each in values["heard"].items()}
        parse(list[Stretch], [asdict(each) for each in stretches.values()])
        return parse(list[str], values["ids"]), stretches, parse(list[Unread], values["unread"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"`{path}` must name the clips of its vectors, but does not: {error}; {AGAIN}") from error
