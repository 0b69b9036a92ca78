"""Faults of a corpus, found before training."""

import sqlite3
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.checks.audio_stats import AudioStats, measure
from noisewise.data.checks.duplicates import DuplicateIndex, Place, file_key
from noisewise.data.checks.reasons import REASONS, Finding, Severity
from noisewise.data.checks.targets import frames_needed
from noisewise.data.corpora.preparation import in_order
from noisewise.data.manifests.cuts import Cut, column, path_of, text_of
from noisewise.data.manifests.read import stream
from noisewise.errors import DataError
from noisewise.text.normalise import Normaliser, fitting
from noisewise.text.tokenizer import CharacterTokenizer, Tokenizer

DURATION_SLACK_SECONDS = 0.1
"""How far the duration in a manifest may be from that of the file."""


@dataclass(frozen=True)
class Rules:
    """Limits and vocabulary that entries are checked against."""

    tokenizer: Tokenizer = field(default_factory=CharacterTokenizer)
    hop: int = 320
    """Samples at 16 kHz from one frame of the model to the next."""
    clipped: float = 0.001
    """Share of samples at full scale that is allowed."""
    max_seconds: float = 3600.0
    """Longer recordings are refused."""
    texts: bool = True
    """Whether entries need a transcript; noise has none."""
    ignore: frozenset[str] = frozenset()
    """Reason codes that are passed over."""
    strict: bool = False
    """Whether warnings are errors."""

    @property
    def normaliser(self) -> Normaliser:
        """Form of the transcripts, which the letters of the vocabulary decide."""
        return fitting(self.tokenizer.symbols)


@dataclass
class Summary:
    """Totals of a check."""

    entries: int = 0
    """Number of lines of the manifests, bad ones counted."""
    seconds: float = 0.0
    """Seconds of audio that could be decoded."""
    bad: int = 0
    """Number of entries with an error."""
    counts: Counter[str] = field(default_factory=Counter)
    """Number of findings of each reason code."""
    snrs_db: dict[str, Counter[float]] = field(default_factory=lambda: {"wada": Counter(), "energy": Counter()})
    """Estimate (`wada`, `energy`) to signal-to-noise ratios in dB, rounded to a tenth, and how many recordings have
    them."""

    def count_snrs(self, stats: AudioStats) -> None:
        """Add the estimates of a recording."""
        for name, value in (("wada", stats.wada_snr_db), ("energy", stats.energy_snr_db)):
            if value is not None:
                self.snrs_db[name][round(value, 1)] += 1

    def percentiles(self, name: str, shares: Sequence[float] = (0.05, 0.5, 0.95)) -> list[float]:
        """Signal-to-noise ratios that shares of the recordings are at or below; empty where none has an estimate."""
        found, total = self.snrs_db[name], self.snrs_db[name].total()
        ordered = sorted(found.items())
        sums = list(accumulate(count for _, count in ordered))
        return [ordered[bisect_left(sums, share * total)][0] for share in shares] if total else []


def check(
    manifests: Sequence[str],
    rules: Rules,
    sink: Callable[[Finding], None],
    *,
    workers: int = 1,
    cache: Path | None = None,
    each: Callable[[Cut, AudioStats], None] = lambda cut, stats: None,
    report: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Decode every entry of manifests, in memory that does not grow with them.

    Args:
        manifests: sources as `noisewise.data.manifests.read.read` takes them. Several are compared with each other.
        rules: limits and vocabulary.
        sink: called with every finding, in the order of the entries.
        workers: threads that decode.
        cache: file that keeps the statistics of recordings; an interrupted check goes on from it.
        each: called with the statistics of every entry that can be read.
        report: called after each entry.

    Raises:
        DataError: a manifest or the cache cannot be read, or a manifest has no entry.
    """
    summary = Summary()
    index = DuplicateIndex(cache)
    try:
        for manifest in manifests:
            before = summary.entries
            _check_one(manifest, rules, sink, index, workers, summary, each, report)
            if summary.entries == before:
                raise DataError(f"`{manifest}` must have at least one entry, but has none; check the filter")
        index.commit()
    except sqlite3.Error as error:
        raise DataError(f"the check must keep its index in a file, but cannot: {error}; free some disk") from error
    finally:
        index.close()
    return summary


@dataclass(frozen=True)
class _Entry:
    manifest: str
    line: int
    cut: Cut | DataError
    key: bytes = b""
    known: AudioStats | None = None


def _check_one(
    manifest: str,
    rules: Rules,
    sink: Callable[[Finding], None],
    index: DuplicateIndex,
    workers: int,
    summary: Summary,
    each: Callable[[Cut, AudioStats], None],
    report: Callable[[Summary], None],
) -> None:
    def measured(entry: _Entry) -> tuple[_Entry, AudioStats]:
        if isinstance(entry.cut, DataError):
            return entry, AudioStats()
        return entry, entry.known or measure(entry.cut, rules.max_seconds)

    for entry, stats in in_order(measured, _entries(manifest, rules, index), workers):
        summary.entries += 1
        summary.seconds += stats.seconds
        summary.count_snrs(stats)
        if isinstance(entry.cut, Cut):
            each(entry.cut, stats)
        worst = False
        for item in _findings(entry, stats, rules, index):
            if item.reason not in rules.ignore:
                summary.counts[item.reason] += 1
                worst = worst or item.severity == "error"
                sink(item)
        summary.bad += worst
        report(summary)


def _entries(manifest: str, rules: Rules, index: DuplicateIndex) -> Iterator[_Entry]:
    for line, cut in stream(manifest):
        if isinstance(cut, DataError):
            yield _Entry(manifest, line, cut)
        else:
            key = file_key(path_of(cut), cut.start, cut.duration, cut.channel, rules.max_seconds)
            known = index.stats(key)
            yield _Entry(manifest, line, cut, key, known if known is not None and known.is_whole else None)


def _findings(entry: _Entry, stats: AudioStats, rules: Rules, index: DuplicateIndex) -> Iterator[Finding]:
    cut = entry.cut
    if isinstance(cut, DataError):
        yield Finding("", "bad_row", "error", str(cut), entry.manifest, entry.line)
        return
    if entry.known is None:
        index.keep(entry.key, stats)
    place = Place(column(cut, "split") or entry.manifest, entry.manifest, cut.id)
    text = rules.normaliser(text_of(cut) or "") if rules.texts else ""
    problems = [
        *_of_id(place, index),
        *_of_audio(cut, stats, rules),
        *(_of_text(text_of(cut) or "", text, stats, rules) if rules.texts else ()),
        *_of_duplicates(place, stats, text, column(cut, "speaker"), index),
    ]
    for reason, message in problems:
        severity = _severity(reason, rules)
        yield Finding(cut.id, reason, severity, message, entry.manifest, entry.line, path_of(cut))


def _severity(reason: str, rules: Rules) -> Severity:
    severity = REASONS[reason][0]
    return "error" if rules.strict and severity == "warning" else severity


def _of_id(place: Place, index: DuplicateIndex) -> Iterator[tuple[str, str]]:
    other = index.first("id", place.id, place)
    if other is not None:
        yield "duplicate_id", f"id '{place.id}' must be unique, but `{other.manifest}` has it too; rename one"


def _of_audio(cut: Cut, stats: AudioStats, rules: Rules) -> Iterator[tuple[str, str]]:
    if stats.problem:
        yield stats.problem, stats.message
        return
    if stats.full_scale > rules.clipped:
        yield "clipped", f"{stats.full_scale:.2%} of the samples are at full scale; {rules.clipped:.2%} are allowed"
    if abs(stats.seconds - cut.duration) > DURATION_SLACK_SECONDS:
        yield "wrong_duration", f"lasts {cut.duration:.2f} s in the manifest, but {stats.seconds:.2f} s in the file"
    if stats.rate != SAMPLE_RATE:
        yield "resampled", f"{stats.rate} samples per second; will be resampled to {SAMPLE_RATE}"


def _of_text(raw: str, text: str, stats: AudioStats, rules: Rules) -> Iterator[tuple[str, str]]:
    if not text:
        yield "no_text", f"must have a transcript of letters, but has {raw[:80]!r}"
    dropped = sorted(rules.normaliser.lost(raw))
    if dropped:
        yield "dropped_characters", f"{' '.join(dropped)} will be removed from {raw[:80]!r}; spell it out in words"
    tokenizer = rules.tokenizer
    spelled = {letter: tokenizer.encode(letter) for letter in sorted(set(text) - {" "})}
    unknown = [letter for letter, ids in spelled.items() if not ids or tokenizer.unknown in ids]
    if unknown:
        yield "unknown_characters", f"{' '.join(unknown)} are not in the vocabulary and would become <unk>"
    frames = stats.samples * SAMPLE_RATE // max(1, stats.rate) // rules.hop
    needed = frames_needed(rules.tokenizer.encode(text))
    if not stats.problem and frames < needed:
        yield "too_short_for_ctc", f"must have {needed} frames of {rules.hop} samples for its text, but has {frames}"


def _of_duplicates(
    place: Place, stats: AudioStats, text: str, speaker: str | None, index: DuplicateIndex
) -> Iterator[tuple[str, str]]:
    """The same audio, or the same speaker and text, in an earlier entry."""
    if not stats.problem:
        other = index.first("audio", stats.digest, place)
        if other is not None and other.split == place.split:
            yield "duplicate_audio", f"the samples of '{place.id}' are those of '{other.id}'; drop one"
        elif other is not None:
            yield "leaked_audio", f"in {place.split}, but its samples are also '{other.id}' in {other.split}"
    if text and speaker:
        other = index.first("spoken", f"{speaker}\0{text}", place)
        if other is not None and other.split != place.split:
            yield "leaked_text", f"in {place.split}, but {speaker} has the same text in '{other.id}' in {other.split}"
