"""A manifest and its audio, packed into shards (lhotse Shar): few large files instead of many small ones.

A shard can be copied to an object store as it is, and read from there; see `noisewise.data.manifests.shar`. Whole
files go in as they are, byte for byte; what is a part of a recording goes in as samples at 16 kHz, without loss. Ids
are the names in the archives, so absolute ones and those with `..` are made relative: a shard unpacks in its folder.
"""

import gzip
import io
import json
import os
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from noisewise.audio import waveform
from noisewise.audio.mix import Waveform
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.corpora.listing import Report
from noisewise.data.corpora.preparation import Part, Rejected, in_order, write_rejected
from noisewise.data.manifests.cuts import Cut, audio_of, inside, load_audio, path_of
from noisewise.data.manifests.lhotse_format import dump
from noisewise.data.manifests.read import read
from noisewise.data.manifests.shar import PLACE
from noisewise.errors import AudioError, DataError, lacks_memory
from noisewise.files import replaced


@dataclass(frozen=True)
class Packed:
    """One recording on its way into a shard."""

    values: dict[str, Any]
    """The cut in plain values, without a source of its recording."""
    suffix: str
    content: bytes


def prepare(
    source: str | Path,
    output: Path,
    *,
    shard_size: int = 1000,
    workers: int | None = None,
    report: Report | None = None,
) -> list[Part]:
    """Pack a manifest; shards that an earlier run has finished are kept.

    What cannot be used is listed in `<output>.rejected.jsonl`, beside the folder, which holds shards alone.

    Args:
        source: manifest.
        output: folder to make.
        shard_size: entries in each shard.
        workers: files read at a time; all cores when absent.
        report: called with (finished, all).

    Raises:
        DataError: the manifest cannot be read, no entry can be used, or the folder holds other shards.
    """
    cuts = _named_inside(read(source), source)
    chunks = [cuts[start : start + shard_size] for start in range(0, len(cuts), shard_size)]
    output.mkdir(parents=True, exist_ok=True)
    _check_empty(output, len(chunks))
    parts: list[Part] = []
    done = 0
    for number, chunk in enumerate(chunks):
        parts.append(_shard(output, number, chunk, workers or os.cpu_count() or 1))
        done += len(chunk)
        if report is not None:
            report(done, len(cuts))
    rejected = [item for part in parts for item in part.rejected]
    write_rejected(output.with_name(f"{output.name}.rejected.jsonl"), rejected)
    if not any(part.utterances for part in parts):
        raise DataError(f"`{source}` must have a usable entry, but has none; the first: {rejected[0].message}")
    return parts


def _named_inside(cuts: list[Cut], source: str | Path) -> list[Cut]:
    """Cuts under ids that are safe names in an archive.

    Raises:
        DataError: two would have the same.
    """
    homes: dict[str, str] = {}
    for cut in cuts:
        name = inside(cut.id)
        if name in homes:
            raise DataError(f"`{source}` must not have '{homes[name]}' and '{cut.id}', one name inside; rename one")
        homes[name] = cut.id
    return [cut.with_id(name) for cut, name in zip(cuts, homes, strict=True)]


def _check_empty(output: Path, count: int) -> None:
    """Other files in the folder would be taken for fields by lhotse, further shards for a part of the set.

    What a killed run left unfinished is removed.
    """
    for path in output.iterdir():
        if path.name.endswith(".partial"):
            path.unlink()
            continue
        fields = path.name.split(".")
        known = (
            fields[0] in ("cuts", "recording") and len(fields) > 2 and fields[1].isdigit() and int(fields[1]) < count
        )
        if not known:
            raise DataError(f"`{output}` must hold {count} shards of this set only, but holds `{path.name}`; remove it")


def _shard(output: Path, number: int, chunk: list[Cut], workers: int) -> Part:
    manifest, archive = output / f"cuts.{number:06d}.jsonl.gz", output / f"recording.{number:06d}.tar"
    found = _finished(manifest, archive, chunk)
    if found is not None:
        return found
    manifest.unlink(missing_ok=True)
    lines: list[str] = []
    rejected: list[Rejected] = []
    seconds = 0.0
    with suppress(_NothingPacked), replaced(archive, "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for packed in in_order(_packed, chunk, workers):
                if isinstance(packed, Rejected):
                    rejected.append(packed)
                    continue
                lines.append(_stored(tar, packed))
                seconds += float(packed.values["duration"])
        if not lines:
            raise _NothingPacked
    if lines:
        with replaced(manifest, "wb") as file:
            file.write(gzip.compress("".join(lines).encode(), mtime=0))
    return Part(manifest.name, "", "", len(lines), round(seconds, 3), rejected)


class _NothingPacked(Exception):
    """No entry of a shard can be used, so it is not written."""


def _finished(manifest: Path, archive: Path, chunk: list[Cut]) -> Part | None:
    """The shard of an earlier run, if it is there, whole, and lacks only what still cannot be used."""
    if not manifest.is_file() or not archive.is_file():
        return None
    values = [json.loads(line) for line in gzip.decompress(manifest.read_bytes()).splitlines()]
    there = {str(value["id"]) for value in values}
    if not there <= {cut.id for cut in chunk} or archive.stat().st_size < values[-1]["custom"][PLACE][0]:
        return None
    missing = [_packed(cut) for cut in chunk if cut.id not in there]
    rejected = [item for item in missing if isinstance(item, Rejected)]
    if len(rejected) < len(missing):
        return None
    seconds = round(sum(float(value["duration"]) for value in values), 3)
    return Part(manifest.name, "", "", len(values), seconds, rejected, fresh=False)


def _packed(cut: Cut) -> Packed | Rejected:
    """Decode an entry, to see that it can be used, and take its bytes."""
    try:
        samples = load_audio(cut)
        if cut.is_whole and not cut.needs_lhotse:
            return Packed(_plain(dump(cut)), PurePosixPath(path_of(cut)).suffix, _bytes(cut))
        suffix, content = _encoded(samples)
    except AudioError as error:
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        return Rejected(path_of(cut), error.reason, str(error))
    seconds = len(samples) / SAMPLE_RATE
    values = _plain(dump(cut))
    values.update(start=0.0, duration=seconds)
    values["recording"].update(sampling_rate=SAMPLE_RATE, num_samples=len(samples), duration=seconds)
    values["recording"].pop("transforms", None)
    return Packed(values, suffix, content)


def _bytes(cut: Cut) -> bytes:
    source = audio_of(cut)
    return Path(source).read_bytes() if isinstance(source, str) else source.read()


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    values["channel"] = 0
    values["recording"].update(sources=[{"type": "shar", "channels": [0], "source": ""}], channel_ids=[0])
    return values


def _encoded(samples: Waveform) -> tuple[str, bytes]:
    """Suffix and bytes of a file that holds the samples exactly: FLAC when 16 bits do, else floating point."""
    fits = np.abs(samples).max() < 1 and np.array_equal(np.rint(samples * 32768), samples * 32768)
    suffix, coding = (".flac", "PCM_16") if fits else (".wav", "FLOAT")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"part{suffix}")
        waveform.save(path, samples, SAMPLE_RATE, subtype=coding)
        return suffix, path.read_bytes()


def _stored(tar: tarfile.TarFile, packed: Packed) -> str:
    """Append a recording and its description to an archive; the line of its cut."""
    name = packed.values["id"]
    first = _add(tar, f"{name}{packed.suffix}", packed.content)
    _add(tar, f"{name}.json", json.dumps(packed.values["recording"]).encode() + b"\n")
    place = [first, len(packed.content), packed.suffix]
    custom = {**(packed.values.get("custom") or {}), PLACE: place}
    return json.dumps({**packed.values, "custom": custom}) + "\n"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> int:
    """Append a file to an archive: the position of its first byte."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
    blocks = -(-len(content) // tarfile.BLOCKSIZE)
    return int(tar.offset) - blocks * tarfile.BLOCKSIZE
