"""A fixed noisy test set with a ledger: each mixture can be made again bit for bit, and checked.

`ledger.jsonl` begins with one line about the set; every other line is one mixture:

    {"id": "cafe/5/an406", "path": "cafe/5/an406.flac", "samples": 64000, "sha256": ...,
     "speech": {"id", "path", "sha256"}, "noise": {"id", "type", "path", "offset", "sha256"},
     "snr_db": 5.0, "measured_snr_db": 5.000000001, "written_snr_db": 5.00001, "gain": 0.71, "scale": 1.0}

A file holds rint(32768 * scale * (clean + gain * noise)) as 16-bit samples, computed in float64 from the
float32 samples of the speech and of the noise from `offset` on. `gain` and `scale` are stored to the last
bit, so making a set again sums nothing whose order could matter. The mixtures are those of `NoisePool.at`,
hence of the noise grid of `noisewise evaluate` with the same seed.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisewise import __version__
from noisewise.audio import waveform
from noisewise.audio.mix import Waveform, snr_db
from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.config import parse, within
from noisewise.data.corpora.preparation import Rejected
from noisewise.data.manifests.cuts import Cut, column, inside, load_audio, path_of, text_of
from noisewise.data.manifests.lines import byte_lines
from noisewise.data.noise.pool import NoiseConfig, NoiseDraw, NoisePool
from noisewise.data.random_streams import Draws
from noisewise.errors import AudioError, DataError, NoisewiseError, lacks_memory
from noisewise.files import json_value, remove_leftovers, replaced

LEDGER = "ledger.jsonl"
COMPAT = "; gain is the square root of the one that gives snr_db: see measured_snr_db"
FORMULA = "int16 = rint(32768 * scale * (clean + gain * noise)); snr_db = 20 log10(rms(clean) / rms(gain * noise))"
PEAK = 32767 / 32768
"""Peak that louder mixtures are scaled down to, by the factor `scale` of their entry."""
MOST_SAMPLES = 2**40
"""Samples beyond which no recording goes: two years at 16 kHz."""
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class SpeechSource:
    """The speech of a mixture."""

    id: str
    path: str
    sha256: str
    """SHA-256 of the float32 samples at 16 kHz, little-endian."""


@dataclass(frozen=True)
class NoiseSource:
    """The noise of a mixture."""

    id: str
    type: str
    path: str
    offset: int
    """First sample, at 16 kHz; the file repeats when it ends too early."""
    sha256: str
    """SHA-256 of the float32 samples of the segment, before the gain."""


@dataclass(frozen=True)
class LedgerEntry:
    """One line of the ledger."""

    id: str
    path: str
    samples: int
    sha256: str
    """SHA-256 of the int16 samples of the file, little-endian."""
    speech: SpeechSource
    noise: NoiseSource
    snr_db: float
    """Nominal signal-to-noise ratio in dB."""
    measured_snr_db: float
    """True ratio in dB of the mixture before it is rounded to 16 bits; differs from `snr_db` with `compat` only."""
    written_snr_db: float
    """Ratio in dB of the file as written, in which its samples less the scaled speech count as noise."""
    gain: float
    """Factor on the noise."""
    scale: float
    """Factor on the mixture, below 1 where it would clip."""

    def __post_init__(self) -> None:
        within(0, MOST_SAMPLES, samples=self.samples, offset=self.noise.offset)
        if not all(map(math.isfinite, (self.snr_db, self.gain, self.scale))):
            raise DataError("`snr_db`, `gain` and `scale` must be finite")


@dataclass(frozen=True)
class _Header:
    """What is read of the facts of a set."""

    ledger: Literal[1]
    versions: dict[str, str]


@dataclass(frozen=True)
class Written:
    """Result of `write`: the mixtures, and the utterances that could not be mixed."""

    entries: list[LedgerEntry]
    rejected: list[Rejected]


def write(
    speech: Sequence[Cut],
    pool: NoisePool,
    output: Path,
    *,
    snrs_db: Sequence[float],
    per_utterance: bool = False,
    report: Report | None = None,
) -> Written:
    """Mix every utterance with every noise type at every SNR.

    Args:
        speech: utterances.
        pool: noise; its seed is the seed of the set.
        output: folder to make: `type/snr/utterance.flac`, `manifest.tsv`, `ledger.jsonl`.
        snrs_db: signal-to-noise ratios.
        per_utterance: give each utterance one type, drawn from (seed, utterance id), instead of all.
        report: called with (finished utterances, all).

    Raises:
        DataError: no utterance can be used, or an id would leave the folder.
        OSError: the disk is full, or cannot be written to.
    """
    remove_leftovers(output)
    entries: list[LedgerEntry] = []
    rejected: list[Rejected] = []
    rows: list[tuple[LedgerEntry, Cut]] = []
    for done, cut in enumerate(speech, start=1):
        try:
            made = list(_mixtures(cut, pool, output, snrs_db, per_utterance))
        except AudioError as error:
            if lacks_memory(error):
                raise MemoryError(str(error)) from error
            reason = str(getattr(error, "reason", "silent"))
            rejected.append(Rejected(path_of(cut), reason, str(error)))
            made = []
        entries += made
        rows += [(entry, cut) for entry in made]
        if report is not None:
            report(done, len(speech))
    if not entries:
        raise DataError(f"the speech must have a usable utterance, but has none: {rejected[0].message}")
    _write_set(output, _header(pool, snrs_db, per_utterance), entries, rows)
    return Written(entries, rejected)


def read(path: Path) -> tuple[dict[str, Any], list[LedgerEntry]]:
    """Read a ledger, or the ledger of a folder: (facts of the set, entries).

    Raises:
        DataError: no such file, or a line that is not of this format.
    """
    path = path / LEDGER if path.is_dir() else path
    if not path.is_file():
        raise DataError(f"`{path}` must be a ledger, but there is no such file; check the path")
    entries: list[LedgerEntry] = []
    header: dict[str, Any] = {}
    number = 1
    try:
        for number, line in byte_lines(path):
            if number == 1:
                header = json_value(line)
                parse(_Header, header)
            else:
                entries.append(parse(LedgerEntry, json_value(line)))
    except (OSError, ValueError) as error:
        raise DataError(f"`{path}` must be a ledger of version 1, but is not: line {number}: {error}") from error
    if not header:
        raise DataError(f"`{path}` must be a ledger of version 1, but is empty; make the set again")
    return header, entries


def verify(folder: Path, entries: Sequence[LedgerEntry]) -> list[Rejected]:
    """Decode every file of a set and compare its samples with the ledger: what does not agree."""
    return [problem for entry in entries if (problem := _disagreement(folder, entry)) is not None]


def rebuild(
    ledger: Path,
    speech: Sequence[Cut],
    noise: Sequence[Cut],
    output: Path,
    report: Report | None = None,
) -> list[Rejected]:
    """Make a set again from its sources; an entry whose bits would differ is not written but returned.

    Args:
        ledger: path of the ledger.
        speech: manifest that holds the utterances by id.
        noise: manifest that holds the noises by id.
        output: folder to make; it gets the same ledger and table.
        report: called with (finished, all).

    Raises:
        DataError: the ledger cannot be read, or an entry would leave the folder.
        OSError: the disk is full, or cannot be written to.
    """
    header, entries = read(ledger)
    remove_leftovers(output)
    voices, noises = {cut.id: cut for cut in speech}, _NoiseSegments(noise)
    problems = []
    rows = []
    for done, entry in enumerate(entries, start=1):
        try:
            mixed = _remixed(entry, voices, noises)
        except (NoisewiseError, OSError) as error:
            if lacks_memory(error):
                raise MemoryError(str(error)) from error
            problems.append(Rejected(entry.path, str(getattr(error, "reason", "differs")), str(error)))
        else:  # what cannot be written concerns the whole set
            _save(output, entry.path, mixed)
            rows.append((entry, voices[entry.speech.id]))
        if report is not None:
            report(done, len(entries))
    _write_set(output, header, entries, rows)
    return problems


def int16_of(clean: Waveform, noise: Waveform, gain: float, scale: float) -> NDArray[np.int16]:
    """The 16-bit samples of a mixture (T,): the formula of the ledger."""
    mixture = (clean.astype(np.float64) + gain * noise.astype(np.float64)) * scale
    return np.clip(np.rint(mixture * 32768), -32768, 32767).astype("<i2")


def digest(samples: NDArray[Any]) -> str:
    """sha256 of samples as little-endian bytes."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("<")).tobytes()).hexdigest()


def _mixtures(
    cut: Cut, pool: NoisePool, output: Path, snrs_db: Sequence[float], per_utterance: bool
) -> Iterator[LedgerEntry]:
    clean = load_audio(cut)
    types = [Draws(pool.seed, "type", cut.id).choice(pool.types)] if per_utterance else pool.types
    for kind in types:
        for ratio in snrs_db:
            yield _mixture(cut, clean, pool, output, kind, ratio)


def _mixture(cut: Cut, clean: Waveform, pool: NoisePool, output: Path, kind: str, ratio: float) -> LedgerEntry:
    _, draw, gain = pool.at(cut.id, kind, ratio, clean)
    noise = pool.segment(draw, len(clean))
    exact = clean.astype(np.float64) + gain * noise.astype(np.float64)
    scale = min(1.0, PEAK / float(np.abs(exact).max()))
    samples = int16_of(clean, noise, gain, scale)
    name = f"{kind}/{ratio:g}/{inside(cut.id)}"
    _save(output, f"{name}.flac", samples)
    scaled = clean.astype(np.float64) * scale
    return LedgerEntry(
        id=name,
        path=f"{name}.flac",
        samples=len(samples),
        sha256=digest(samples),
        speech=SpeechSource(cut.id, _relative(path_of(cut), cut.id), digest(clean)),
        noise=NoiseSource(draw.id, kind, _relative(draw.path, draw.id), draw.offset, digest(noise)),
        snr_db=ratio,
        measured_snr_db=snr_db(clean, exact - clean),
        written_snr_db=snr_db(scaled, samples / 32768 - scaled),
        gain=gain,
        scale=scale,
    )


def _save(output: Path, name: str, samples: NDArray[np.int16]) -> None:
    path = output / name
    if not path.resolve().is_relative_to(output.resolve()):
        raise DataError(f"`{name}` must lie in the output folder, but leads out of it; rename the entry")
    path.parent.mkdir(parents=True, exist_ok=True)
    waveform.save(path, samples, SAMPLE_RATE, subtype="PCM_16")


def _relative(path: str, name: str) -> str:
    """The path as the manifest gives it: the id with the suffix of the file, without the folder of this
    machine."""
    return name + Path(path).suffix


def _header(pool: NoisePool, snrs_db: Sequence[float], per_utterance: bool) -> dict[str, Any]:
    return {
        "ledger": 1,
        "noisewise": __version__,
        "seed": pool.seed,
        "snr_db": list(snrs_db),
        "types": pool.types,
        "per_utterance": per_utterance,
        "sample_rate": SAMPLE_RATE,
        "compat": pool.config.compat,
        "formula": FORMULA + (COMPAT if pool.config.compat else ""),
        "versions": {name: version(name) for name in ("numpy", "soundfile", "soxr")},
    }


def _write_set(
    output: Path, header: dict[str, Any], entries: Sequence[LedgerEntry], rows: Sequence[tuple[LedgerEntry, Cut]]
) -> None:
    """The table and the ledger of a set whose recordings are written."""
    with replaced(output / "manifest.tsv") as table:
        table.write(_table(rows))
    with replaced(output / LEDGER) as ledger:
        ledger.write(_lines(header, entries))


def _lines(header: dict[str, Any], entries: Sequence[LedgerEntry]) -> str:
    return "".join(json.dumps(line) + "\n" for line in [header, *map(asdict, entries)])


def _table(rows: Sequence[tuple[LedgerEntry, Cut]]) -> str:
    names = ("path", "duration_seconds", "speaker", "text", "label", "snr_db", "utterance")
    lines = ["\t".join(names)]
    for entry, cut in rows:
        fields = (
            entry.path,
            f"{entry.samples / SAMPLE_RATE:.4f}",
            column(cut, "speaker") or "",
            " ".join((text_of(cut) or "").split()),
            entry.noise.type,
            f"{entry.snr_db:g}",
            entry.speech.id,
        )
        lines.append("\t".join(fields))
    return "\n".join(lines) + "\n"


def _disagreement(folder: Path, entry: LedgerEntry) -> Rejected | None:
    try:
        samples = waveform.load(folder / entry.path, allow_silent=True)
    except AudioError as error:
        return Rejected(entry.path, error.reason, str(error))
    if digest(np.rint(samples * 32768).astype("<i2")) == entry.sha256:
        return None
    return Rejected(entry.path, "differs", f"`{entry.path}` must hold the samples of the ledger, but does not")


class _NoiseSegments:
    """Noise segments by id, read as `NoisePool` reads them."""

    def __init__(self, cuts: Sequence[Cut]) -> None:
        self._pool = NoisePool(cuts, NoiseConfig(manifest=""), 0)
        self.ids = {cut.id for cut in cuts}

    def segment(self, source: NoiseSource, samples: int) -> Waveform:
        if source.id not in self.ids:
            raise DataError(f"the noise manifest must hold '{source.id}', but does not; give the one of the set")
        return self._pool.segment(NoiseDraw(source.id, source.path, source.type, source.offset, 0.0), samples)


def _remixed(entry: LedgerEntry, voices: dict[str, Cut], noises: _NoiseSegments) -> NDArray[np.int16]:
    if entry.speech.id not in voices:
        raise DataError(f"the speech manifest must hold '{entry.speech.id}', but does not; give the one of the set")
    clean = load_audio(voices[entry.speech.id])
    noise = noises.segment(entry.noise, len(clean))
    for what, samples, expected in (
        ("speech", clean, entry.speech.sha256),
        ("noise", noise, entry.noise.sha256),
    ):
        if digest(samples) != expected:
            raise DataError(f"the {what} of `{entry.path}` must be as it was, but its samples have changed")
    mixed = int16_of(clean, noise, entry.gain, entry.scale)
    if digest(mixed) != entry.sha256:
        raise DataError(f"`{entry.path}` must come out with the samples of the ledger, but does not")
    return mixed
