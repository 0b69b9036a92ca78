"""The record of a prepared corpus: which parts are finished, from what, and what was rejected.

A prepared folder holds `cuts_<part>.jsonl.gz` (lhotse), `prepared.json`, and `rejected.jsonl` when an entry
could not be used. A part is written under a temporary name and renamed, so that a killed run leaves nothing
half done; the next run skips the parts that are recorded with the same fingerprint.
"""

import gzip
import hashlib
import json
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from noisewise import __version__
from noisewise.config import parse
from noisewise.data.manifests import lhotse_format
from noisewise.data.manifests.cuts import Cut, load_audio, path_of, text_of
from noisewise.errors import AudioError, DataError, lacks_memory
from noisewise.files import read_json, remove_leftovers, replaced, sha256_of

T = TypeVar("T")
R = TypeVar("R")

RECORD = "prepared.json"
REJECTED = "rejected.jsonl"


@dataclass(frozen=True)
class Rejected:
    """An entry of a corpus that could not be used, and why."""

    path: str
    reason: str
    message: str


@dataclass(frozen=True)
class Part:
    """One finished manifest of a corpus, usually a split."""

    file: str
    """Name of the manifest in its folder."""
    fingerprint: str
    """Digest of the sources that it was made from."""
    sha256: str
    """SHA-256 of the manifest."""
    utterances: int
    """Number of entries."""
    seconds: float
    """Seconds of audio."""
    rejected: list[Rejected] = field(default_factory=list)
    """Entries of the source that could not be used."""
    fresh: bool = True
    """False when an earlier run had made it."""
    texts: int | None = None
    """Number of entries that have a transcript; None where an older version wrote the record."""
    speakers: int | None = None
    """Number of speakers that the entries name; None where an older version wrote the record."""


Make = Callable[[], Iterable[Cut | Rejected]]


class Preparation:
    """Writes the parts of one corpus into a folder."""

    def __init__(self, output: Path, corpus: str, facts: dict[str, Any] | None = None) -> None:
        """Open a folder, or make it.

        Raises:
            DataError: the folder holds another corpus, or the same one made with other facts.
        """
        self.output, self.corpus, self.facts = output, corpus, facts or {}
        output.mkdir(parents=True, exist_ok=True)
        remove_leftovers(output)
        self._parts = self._recorded()
        self._write()

    def part(self, name: str, fingerprint: str, make: Make) -> Part:
        """Make a part, unless it is there, whole and of the same source.

        Args:
            name: name of the part; "" for a corpus of one part, whose file is `cuts.jsonl.gz`.
            fingerprint: digest of the source; another one makes the part anew.
            make: gives the cuts and the rejected entries, one by one; they are written as they come, so that a
                corpus need not fit into memory.

        Raises:
            DataError: no entry can be used.
        """
        found = self._parts.get(name)
        if found is not None and found.fingerprint == fingerprint and self._is_whole(found):
            return found
        file = f"cuts_{name}.jsonl.gz" if name else "cuts.jsonl.gz"
        try:
            part = _written(self.output / file, fingerprint, make())
        except _NothingLeft as error:
            raise DataError(f"part '{name}' of {self.corpus} must have a usable entry, but has none; {error}") from None
        self._parts[name] = part
        self._write()
        return part

    def keep(self, names: Iterable[str]) -> None:
        """Forget the parts of an earlier run that are not among `names`, and remove their manifests."""
        for name in self._parts.keys() - set(names):
            (self.output / self._parts.pop(name).file).unlink(missing_ok=True)
        self._write()

    def _recorded(self) -> dict[str, Part]:
        path = self.output / RECORD
        if not path.is_file():
            return {}
        try:
            record = read_json(path)
            same = record["corpus"] == self.corpus and record["facts"] == json.loads(json.dumps(self.facts))
            parts = {name: parse(Part, {**values, "fresh": False}) for name, values in record["parts"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"`{path}` must be a record of this program, but is not; remove it") from error
        if not same:
            raise DataError(
                f"`{self.output}` must be empty or hold the same set, but holds {record['corpus']} "
                f"made with {record['facts']}; choose another folder"
            )
        return parts

    def _is_whole(self, part: Part) -> bool:
        """The manifest is as it was written, and the audio made beside it is still there."""
        path = self.output / part.file
        if not path.is_file() or sha256_of(path) != part.sha256:
            return False
        with gzip.open(path) as lines:
            return all((self.output / source_of(json.loads(line))).is_file() for line in lines)

    def _write(self) -> None:
        parts = {
            name: {key: value for key, value in asdict(part).items() if key != "fresh"}
            for name, part in sorted(self._parts.items())
        }
        record = {"corpus": self.corpus, "noisewise": __version__, "facts": self.facts, "parts": parts}
        with replaced(self.output / RECORD) as file:
            file.write(json.dumps(record, indent=2) + "\n")
        rejected = [
            {"part": name, **asdict(item)} for name, part in sorted(self._parts.items()) for item in part.rejected
        ]
        write_rejected(self.output / REJECTED, rejected)


def write_rejected(path: Path, rejected: Sequence[Any]) -> None:
    """Write what was rejected, one JSON object a line; no file when there is nothing."""
    lines = [json.dumps(item if isinstance(item, dict) else asdict(item)) for item in rejected]
    if lines:
        with replaced(path) as file:
            file.write("\n".join(lines) + "\n")
    else:
        path.unlink(missing_ok=True)


def checked(cuts: Iterable[Cut]) -> Iterator[Cut | Rejected]:
    """Decode every file: the cuts that can be used, and for the others the reason."""
    return map(usable, cuts)


def usable(cut: Cut) -> Cut | Rejected:
    """Decode the file of a cut: the cut, or why it cannot be used."""
    try:
        load_audio(cut)
    except AudioError as error:
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        return Rejected(path_of(cut), error.reason, str(error))
    return cut


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Generator[R, None, None]:
    """`map` in threads: results in the order of the items, of which at most 4 a worker are taken in advance."""
    if workers <= 1:
        yield from map(function, items)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def fingerprint(*values: object) -> str:
    """A digest of what a part is made from: names, sizes and times of files, options."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def file_facts(path: Path) -> tuple[str, int, int]:
    """Name, size and time of a file; zeros when it is absent."""
    if not path.exists():
        return path.name, 0, 0
    found = path.stat()
    return path.name, found.st_size, found.st_mtime_ns


def write_cuts(path: Path, cuts: Iterable[Cut]) -> str:
    """Write cuts so that they appear whole or not at all; audio below the folder is named relative to it.

    Returns:
        sha256 of the file, which depends on the cuts alone (gzip's clock is left out).
    """
    return _written(path, "", cuts).sha256


def source_of(values: dict[str, Any]) -> str:
    """The audio file of a cut in plain values."""
    return str(values["recording"]["sources"][0]["source"])


def _portable(cut: Cut, folder: Path) -> dict[str, Any]:
    values = lhotse_format.dump(cut)
    for source in values["recording"]["sources"]:
        path = Path(source["source"]).absolute()
        root = folder.absolute()
        source["source"] = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return values


class _NothingLeft(DataError):
    """No entry of a part can be used: the reason of the first."""


def _written(path: Path, fingerprint: str, entries: Iterable[Cut | Rejected]) -> Part:
    """Write the cuts among the entries, as they come, into a file that appears when it is whole."""
    rejected: list[Rejected] = []
    count, texts, seconds = 0, 0, 0.0
    speakers: set[str] = set()
    with replaced(path, "wb") as file, gzip.GzipFile("", "wb", mtime=0, fileobj=file) as lines:
        for entry in entries:
            if isinstance(entry, Rejected):
                rejected.append(entry)
                continue
            lines.write(json.dumps(_portable(entry, path.parent)).encode() + b"\n")
            count, texts = count + 1, texts + bool(text_of(entry))
            seconds += float(entry.duration)
            speakers.update(filter(None, [entry.speaker]))
        if not count:
            raise _NothingLeft(f"the first: {rejected[0].message}" if rejected else "it is empty")
    return Part(
        path.name,
        fingerprint,
        sha256_of(path),
        count,
        round(seconds, 3),
        rejected,
        texts=texts,
        speakers=len(speakers),
    )
