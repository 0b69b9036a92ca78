"""Corpora in shards (lhotse Shar), on a disk or in an object store: `shar:FOLDER`, `shar:s3://bucket/corpus`.

    cuts.000000.jsonl.gz        the cuts, without audio
    recording.000000.tar        for each cut `<id>.<suffix>`, the bytes of a file, and `<id>.json`, its description

Cuts are read at once; the bytes of a recording are fetched when it is needed, by their place in the archive. So
batches are drawn as from files, in the same order, and nothing is unpacked. Other shards of lhotse can be read
too, those with `recording` archives; the places are then found by going through the headers of the archives.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, TypeVar

from noisewise.data.manifests import lhotse_format
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.shard_bytes import PREFIX, address
from noisewise.errors import DataError
from noisewise.files import json_value

T = TypeVar("T")

PLACE = "shar_place"
"""Key of `cut.custom`: first byte and number of bytes of the recording in its archive."""
MAX_MANIFEST = 1 << 30
"""Bytes of an unpacked shard manifest at most."""


def read(source: str) -> Iterator[Cut]:
    """The cuts of a folder of shards, in order.

    Args:
        source: `shar:` and a path or an address that fsspec can open.

    Yields:
        Cuts whose recording is an address that `fetch` understands.

    Raises:
        DataError: no shards there, a shard without its archive, or one that cannot be read.
    """
    location = source.removeprefix(PREFIX)
    files, root = _file_system(location)
    manifests = _attempt(source, lambda: sorted(files.glob(f"{root}/cuts.*.jsonl.gz")))
    if not manifests:
        raise DataError(f"`{source}` must hold cuts.000000.jsonl.gz, ..., but does not; check the address")
    for manifest in manifests:
        name = PurePosixPath(manifest).name
        archive = name.replace("cuts.", "recording.", 1).removesuffix(".jsonl.gz") + ".tar"
        yield from _shard(files, root, location, name, archive)


def _file_system(location: str) -> tuple[Any, str]:
    import fsspec  # of the extra `train`; manifests that are files do without

    def find() -> tuple[Any, str]:
        files, root = fsspec.core.url_to_fs(location)
        return files, str(root).rstrip("/")

    return _attempt(location, find)


def _attempt(source: str, action: Callable[[], T]) -> T:
    try:
        return action()
    except DataError:
        raise
    except Exception as error:  # every store has errors of its own, a missing driver is an ImportError
        reason = " ".join(f"{type(error).__name__} {error}".split())
        raise DataError(f"`{source}` must be shards that can be read, but cannot: {reason}") from error


def _shard(files: Any, root: str, location: str, manifest: str, archive: str) -> Iterator[Cut]:
    path = f"{root}/{archive}"
    if not _attempt(path, lambda: files.exists(path)):
        raise DataError(f"`{location}/{archive}` must be beside `{manifest}`, but is not; copy it too")
    lines = _attempt(f"{location}/{manifest}", lambda: _lines(files.cat_file(f"{root}/{manifest}")))
    places: dict[str, tuple[int, int, str]] | None = None
    for number, line in enumerate(lines, start=1):
        try:
            values = json_value(line)
            known = (values.get("custom") or {}).pop(PLACE, None)
            if known is None and places is None:
                places = _attempt(path, lambda: _members(files, path))
            place = (places or {})[values["id"]] if known is None else _place(known)
            yield _cut(values, f"{location.rstrip('/')}/{archive}", *place)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            reason = " ".join(f"{type(error).__name__} {error}".split())
            message = f"`{location}/{manifest}`, line {number}: must be a cut with its recording, but is not: {reason}"
            raise DataError(message) from error


def _lines(content: bytes) -> list[bytes]:
    try:
        with gzip.open(io.BytesIO(content)) as file:
            unpacked = file.read(MAX_MANIFEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"a shard manifest must be gzip, but cannot be unpacked: {error}; copy it again") from error
    if len(unpacked) > MAX_MANIFEST:
        raise DataError(f"a shard manifest must unpack to {MAX_MANIFEST} bytes at most, but is larger")
    return unpacked.splitlines()


def _members(files: Any, path: str) -> dict[str, tuple[int, int, str]]:
    """Places of the recordings in an archive whose manifest lacks them: all members that are no description."""
    with files.open(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
        return {
            str(PurePosixPath(member.name).with_suffix("")): (member.offset_data, member.size, _suffix(member.name))
            for member in archive
            if _suffix(member.name) not in (".json", ".nodata", ".nometa")
        }


def _place(value: Any) -> tuple[int, int, str]:
    """First byte, number of bytes and suffix of a recording, as its cut has them."""
    match value:
        case [int(first), int(size), str(suffix)] if first >= 0 and size >= 0:
            return first, size, suffix
    raise ValueError(f"{PLACE} {value!r:.80}")


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix


def _cut(values: dict[str, Any], archive: str, first: int, size: int, suffix: str) -> Cut:
    """The cut with its recording as one mono file at an address; the name at its end has the suffix of the file."""
    recording = values["recording"]
    place = address(archive, first, size, f"{values['id']}{suffix}")
    recording["sources"] = [{"type": "file", "channels": [0], "source": place}]
    recording["channel_ids"] = [0]
    values["channel"] = 0
    values["custom"] = values.get("custom") or None
    if values.get("type") != lhotse_format.KIND:
        raise ValueError(f"type {values.get('type')!r}")
    return lhotse_format.parse(values)
