"""Everything that is wrong with a corpus, found before training does."""

import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from noisewise.audio.waveform import SAMPLE_RATE
from noisewise.data.checks.audio_stats import Sounding, sound
from noisewise.data.checks.duplicates import Place, Seen, file_key
from noisewise.data.checks.reasons import REASONS, Finding, Severity
from noisewise.data.corpora.preparation import in_order
from noisewise.data.manifests.cuts import Cut, column, path_of, text_of
from noisewise.data.manifests.read import stream
from noisewise.errors import DataError
from noisewise.text.normalise import normalise
from noisewise.text.tokenizer import CharacterTokenizer, Tokenizer

DURATION_SLACK_SECONDS = 0.1
"""How far the duration in a manifest may be from that of the file."""
SYMBOLS = "&%@#"
"""Punctuation that is spoken."""


@dataclass(frozen=True)
class Rules:
    """What an entry is measured against."""

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


@dataclass
class Summary:
    """What came of a check."""

    entries: int = 0
    """Lines of the manifests, bad ones counted."""
    seconds: float = 0.0
    """Of audio that could be decoded."""
    bad: int = 0
    """Entries with an error."""
    counts: Counter[str] = field(default_factory=Counter)
    """Findings of each reason."""


def check(
    manifests: Sequence[str],
    rules: Rules,
    sink: Callable[[Finding], None],
    *,
    workers: int = 1,
    cache: Path | None = None,
    report: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Decode every entry of manifests, in memory that does not grow with them.

    Args:
        manifests: sources as `noisewise.data.manifests.read.read` takes them. Several are compared with each other.
        rules: what is wrong and what is not.
        sink: gets every finding, in the order of the entries.
        workers: threads that decode.
        cache: file that keeps what was measured; an interrupted check goes on from it.
        report: called after each entry.

    Raises:
        DataError: a manifest or the cache cannot be read, or a manifest has no entry.
    """
    summary = Summary()
    seen = Seen(cache)
    try:
        for manifest in manifests:
            before = summary.entries
            _check_one(manifest, rules, sink, seen, workers, summary, report)
            if summary.entries == before:
                raise DataError(f"`{manifest}` must have at least one entry, but has none; check the filter")
        seen.commit()
    except sqlite3.Error as error:
        raise DataError(f"the check must keep what it meets in a file, but cannot: {error}; free some disk") from error
    finally:
        seen.close()
    return summary


@dataclass(frozen=True)
class _Entry:
    manifest: str
    line: int
    cut: Cut | DataError
    key: bytes = b""
    known: Sounding | None = None


def _check_one(
    manifest: str,
    rules: Rules,
    sink: Callable[[Finding], None],
    seen: Seen,
    workers: int,
    summary: Summary,
    report: Callable[[Summary], None],
) -> None:
    def measured(entry: _Entry) -> tuple[_Entry, Sounding]:
        if isinstance(entry.cut, DataError):
            return entry, Sounding()
        return entry, entry.known or sound(entry.cut, rules.max_seconds)

    for entry, found in in_order(measured, _entries(manifest, rules, seen), workers):
        summary.entries += 1
        summary.seconds += found.seconds
        worst = False
        for item in _findings(entry, found, rules, seen):
            if item.reason not in rules.ignore:
                summary.counts[item.reason] += 1
                worst = worst or item.severity == "error"
                sink(item)
        summary.bad += worst
        report(summary)


def _entries(manifest: str, rules: Rules, seen: Seen) -> Iterator[_Entry]:
    for line, cut in stream(manifest):
        if isinstance(cut, DataError):
            yield _Entry(manifest, line, cut)
        else:
            key = file_key(path_of(cut), cut.start, cut.duration, cut.channel, rules.max_seconds)
            yield _Entry(manifest, line, cut, key, seen.sounding(key))


def _findings(entry: _Entry, found: Sounding, rules: Rules, seen: Seen) -> Iterator[Finding]:
    cut = entry.cut
    if isinstance(cut, DataError):
        yield Finding("", "bad_row", "error", str(cut), entry.manifest, entry.line)
        return
    if entry.known is None:
        seen.keep(entry.key, found)
    place = Place(column(cut, "split") or entry.manifest, entry.manifest, cut.id)
    text = normalise(text_of(cut) or "") if rules.texts else ""
    problems = [
        *_of_id(place, seen),
        *_of_audio(cut, found, rules),
        *(_of_text(text_of(cut) or "", text, found, rules) if rules.texts else ()),
        *_of_others(place, found, text, column(cut, "speaker"), seen),
    ]
    for reason, message in problems:
        severity = _severity(reason, rules)
        yield Finding(cut.id, reason, severity, message, entry.manifest, entry.line, path_of(cut))


def _severity(reason: str, rules: Rules) -> Severity:
    severity = REASONS[reason][0]
    return "error" if rules.strict and severity == "warning" else severity


def _of_id(place: Place, seen: Seen) -> Iterator[tuple[str, str]]:
    other = seen.first("id", place.id, place)
    if other is not None:
        yield "duplicate_id", f"id '{place.id}' must be unique, but `{other.manifest}` has it too; rename one"


def _of_audio(cut: Cut, found: Sounding, rules: Rules) -> Iterator[tuple[str, str]]:
    if found.problem:
        yield found.problem, found.message
        return
    if found.full_scale > rules.clipped:
        yield "clipped", f"{found.full_scale:.2%} of the samples are at full scale; {rules.clipped:.2%} are allowed"
    if abs(found.seconds - cut.duration) > DURATION_SLACK_SECONDS:
        yield "wrong_duration", f"the manifest says {cut.duration:.2f} s, the file lasts {found.seconds:.2f} s"
    if found.rate != SAMPLE_RATE:
        yield "resampled", f"{found.rate} samples per second; will be resampled to {SAMPLE_RATE}"


def _of_text(raw: str, text: str, found: Sounding, rules: Rules) -> Iterator[tuple[str, str]]:
    if not text:
        yield "no_text", f"must have a transcript of letters, but has {raw[:80]!r}"
    dropped = sorted({character for character in raw if _is_dropped(character)})
    if dropped:
        yield "dropped_characters", f"{' '.join(dropped)} will be removed from {raw[:80]!r}; spell out what is said"
    tokenizer = rules.tokenizer
    spelled = {letter: tokenizer.encode(letter) for letter in sorted(set(text) - {" "})}
    unknown = [letter for letter, ids in spelled.items() if not ids or tokenizer.unknown in ids]
    if unknown:
        yield "unknown_characters", f"{' '.join(unknown)} are not in the vocabulary and would become <unk>"
    frames, needed = found.samples * SAMPLE_RATE // max(1, found.rate) // rules.hop, frames_needed(text, rules)
    if not found.problem and frames < needed:
        yield "too_short_for_ctc", f"must have {needed} frames of {rules.hop} samples for its text, but has {frames}"


def frames_needed(text: str, rules: Rules) -> int:
    """The shortest CTC path of a normalised text: a frame for each token, and a blank between equal neighbours.

    Graves et al., "Connectionist temporal classification", ICML 2006, Sec. 3.1.
    """
    ids = rules.tokenizer.encode(text)
    return len(ids) + sum(left == right for left, right in pairwise(ids))


def _is_dropped(character: str) -> bool:
    """Whether a character is said aloud and yet removed by the normaliser."""
    if character.isascii() and (character.isalpha() or character.isspace()):
        return False
    spoken = unicodedata.category(character)[0] in "LNS" or character in SYMBOLS
    return spoken and normalise(f"A{character}A") == "AA"


def _of_others(place: Place, found: Sounding, text: str, speaker: str | None, seen: Seen) -> Iterator[tuple[str, str]]:
    """The same audio, or the same speaker and text, met before."""
    if not found.problem:
        other = seen.first("audio", found.digest, place)
        if other is not None and other.split == place.split:
            yield "duplicate_audio", f"the samples of '{place.id}' are those of '{other.id}'; drop one"
        elif other is not None:
            yield "leaked_audio", f"in {place.split}, but its samples are also '{other.id}' in {other.split}"
    if text and speaker:
        other = seen.first("spoken", f"{speaker}\0{text}", place)
        if other is not None and other.split != place.split:
            yield "leaked_text", f"in {place.split}, but {speaker} says the same in '{other.id}' in {other.split}"
