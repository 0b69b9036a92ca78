"""Transcripts of recordings, and their written forms: txt, json, srt, vtt, tsv, csv, ctm, rttm, textgrid.

Texts are made safe where they are written: no character ends a cell, a row or a cue that does not belong there, none
reaches a terminal as a command, and what is no text (lone surrogates) is shown as `\\udcff`.
"""

import csv
import io
import json
import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from noisewise.decoding.alignment.align import AlignedWord
from noisewise.decoding.hypothesis import Segment, Word
from noisewise.errors import ConfigError, DataError, Reason
from noisewise.inference.subtitles import PAUSE, Cue, SubtitleConfig, cues
from noisewise.inference.tags import Sounds, Tag, TaggedWindow, rounded, spelled
from noisewise.safe_text import csv_cell, terminal

STRETCH_PAUSE = 3.0
"""Seconds without a word that part two stretches of speech."""
FORMAT = "noisewise-transcripts-1"
"""Name of the form of JSON; it changes when a key changes its meaning."""
LONGEST_NAME = 180
"""Most bytes of the name of an output file, without its suffix."""


@dataclass(frozen=True)
class Alternative:
    """A further hypothesis of the n-best list of a recording."""

    text: str
    """Words of the hypothesis, joined by single spaces."""
    score: float
    """Score that hypotheses are ranked by, in nats; see `Hypothesis.score`."""


@dataclass(frozen=True)
class Transcript:
    """Transcript of one recording, of a channel or a part of it, or the reason why there is none.

    Example:
        >>> one = Transcript("a.wav", "GO", [Word("GO", 0.2, 0.5, 0.98)], duration=1.0, confidence=0.98)
        >>> print(one.to_srt(min_seconds=0.3, trail=0.0), end="")
        1
        00:00:00,200 --> 00:00:00,500
        GO
        >>> Transcript.from_dict(one.to_dict()) == one
        True
    """

    source: str
    """Path of the recording, or `waveform N` for the N-th array of a call."""
    text: str = ""
    """Words of the best hypothesis, joined by single spaces."""
    words: list[Word] = field(default_factory=list)
    """Words of the best hypothesis with start and end in seconds from the start of the recording, and confidence."""
    duration: float = 0.0
    """Duration of the audio in seconds."""
    confidence: float = 0.0
    """Mean confidence of the words, from 0 to 1, weighted by their letters; 0 without words."""
    alternatives: list[Alternative] = field(default_factory=list)
    """Further hypotheses with other texts, the best first; empty if decoding was greedy."""
    left_out: list[Word] = field(default_factory=list)
    """Words that are no part of the text, because the model is too unsure of them for there to be speech."""
    sounds: Sounds | None = None
    """Labels of the sounds in the recording; None when no tagger was run."""
    error: str | None = None
    """A sentence that says what is wrong with the recording; None when it was transcribed as a whole."""
    channel: int | None = None
    """Number of the channel, from 1; None for all of them as one."""
    start: float = 0.0
    """Where the part that was transcribed begins in the recording, in seconds."""
    truncated: bool = False
    """Whether the end of the recording is missing: the text is that of what is there, and `error` says so."""
    segments: list[Segment] = field(default_factory=list)
    """Stretches of the text with their times, of recognisers that tell these; empty for a noisewise model."""
    reason: Reason | None = None
    """What is wrong in one word, as `AudioError.reason`; None where the fault is not that of the audio."""

    @property
    def has_failed(self) -> bool:
        """Whether there is no transcript; `error` says why."""
        return self.error is not None and not self.truncated

    def __getitem__(self, index: int) -> "Transcript":
        """Itself as `[0]`: `transcribe` gave a list for one source up to version 0.2."""
        if index not in (0, -1):
            raise IndexError(index)
        warnings.warn("`transcribe` gives one Transcript for one source; leave out `[0]`", DeprecationWarning, 2)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them; the keys are always the same."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Transcript":
        """A transcript from what `to_dict` gave, or from an entry of a JSON document; unknown keys are passed over.

        Raises:
            DataError: they are not the values of a transcript.
        """
        try:
            known = {each.name: values[each.name] for each in fields(cls) if each.name in values}
            known["words"] = [_word(each) for each in known.get("words", [])]
            known["left_out"] = [_word(each) for each in known.get("left_out", [])]
            known["segments"] = [Segment(**each) for each in known.get("segments", [])]
            known["alternatives"] = [Alternative(**each) for each in known.get("alternatives", [])]
            sounds = known.get("sounds")
            known["sounds"] = None if sounds is None else _sounds_of(sounds)
            return cls(**known)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise DataError(f"`values` must be those of `Transcript.to_dict`, but are not: {error}") from error

    def to_json(self) -> str:
        """The same as one JSON object."""
        return json.dumps(rounded(self.to_dict()), indent=2)

    def to_text(self) -> str:
        """The words, without an end of line."""
        return clean(self.text)

    def to_srt(self, **options: Any) -> str:
        """SubRip; options are those of `SubtitleConfig`, for instance `max_line_length=32`."""
        return render([self], "srt", SubtitleConfig(**options))

    def to_vtt(self, **options: Any) -> str:
        """WebVTT; options are those of `SubtitleConfig`."""
        return render([self], "vtt", SubtitleConfig(**options))

    def to_ctm(self) -> str:
        """NIST time-marked conversation."""
        return render([self], "ctm")

    def to_rttm(self) -> str:
        """NIST rich transcription time marks: when there is speech."""
        return render([self], "rttm")

    def to_textgrid(self) -> str:
        """Praat's TextGrid."""
        return render([self], "textgrid")


def _word(values: Mapping[str, Any]) -> Word:
    """A word, with its letters where it was aligned."""
    if "characters" not in values:
        return Word(**values)
    return AlignedWord(**{**values, "characters": [Word(**each) for each in values["characters"]]})


def _sounds_of(values: Mapping[str, Any]) -> Sounds:
    windows = [
        TaggedWindow(each["start"], each["end"], [Tag(**tag) for tag in each["tags"]]) for each in values["windows"]
    ]
    return Sounds([Tag(**tag) for tag in values["tags"]], windows)


def moved(transcript: Transcript, seconds: float) -> Transcript:
    """A transcript of a part that begins so late in its recording, with times of the recording."""
    if not seconds:
        return transcript
    words, left_out = ([_later(word, seconds) for word in some] for some in (transcript.words, transcript.left_out))
    segments = [replace(each, start=each.start + seconds, end=each.end + seconds) for each in transcript.segments]
    return replace(transcript, start=seconds, words=words, left_out=left_out, segments=segments)


def _later(word: Word, seconds: float) -> Word:
    letters = getattr(word, "characters", None)
    more: dict[str, Any] = {} if letters is None else {"characters": [_later(letter, seconds) for letter in letters]}
    return replace(word, start=word.start + seconds, end=word.end + seconds, **more)


def placed_words(transcript: Transcript) -> list[Word]:
    """The words of a transcript; where times of segments alone are known, words share these by their letters.

    Example:
        >>> one = Transcript("a.wav", "GO ON", segments=[Segment("GO ON", 1.0, 3.0)])
        >>> [(word.text, word.start, word.end) for word in placed_words(one)]
        [('GO', 1.0, 2.0), ('ON', 2.0, 3.0)]
    """
    return transcript.words or [word for segment in transcript.segments for word in _shared(segment)]


def _shared(segment: Segment) -> Iterator[Word]:
    texts = segment.text.split()
    each = (segment.end - segment.start) / max(1, sum(map(len, texts)))
    start = segment.start
    for text in texts:
        yield Word(text, start, start + each * len(text), 0.0)
        start += each * len(text)


def overall_confidence(words: Sequence[Word]) -> float:
    """Mean confidence of the words, weighted by their letters."""
    letters = sum(len(word.text) for word in words)
    return sum(word.confidence * len(word.text) for word in words) / letters if letters else 0.0


def without_doubtful(words: Sequence[Word], least: float) -> tuple[list[Word], list[Word]]:
    """Tell speech from what a model makes of noise alone: it is unsure of all that it takes for words there.

    Words are taken together from one pause of `STRETCH_PAUSE` seconds to the next. Where their mean confidence is
    below `least`, there was no speech.

    Args:
        words: of a recording, in the order of time.
        least: 0 to 1; 0 keeps all.

    Returns:
        The words of speech, and the others.
    """
    stretches: list[list[Word]] = []
    for word in words:
        if not stretches or word.start - stretches[-1][-1].end >= STRETCH_PAUSE:
            stretches.append([])
        stretches[-1].append(word)
    sure = [overall_confidence(stretch) >= least for stretch in stretches]
    kept, others = (
        [word for stretch, is_sure in zip(stretches, sure, strict=True) if is_sure == wanted for word in stretch]
        for wanted in (True, False)
    )
    return kept, others


def render(transcripts: Sequence[Transcript], form: str, subtitles: SubtitleConfig | None = None) -> str:
    """Write transcripts as one document, which never holds a control character or one that turns the direction.

    Args:
        transcripts: one or more; srt, vtt and textgrid hold one recording, perhaps several channels of it.
        form: a key of `WRITERS`.
        subtitles: form of srt and vtt.

    Raises:
        ConfigError: an unknown form, or several recordings in a form that holds one.

    Example:
        >>> from noisewise.decoding.hypothesis import Word
        >>> one = Transcript("a.wav", "GO", [Word("GO", 0.2, 0.5, 0.98)], duration=1.0, confidence=0.98)
        >>> print(render([one], "vtt"), end="")
        WEBVTT
        <BLANKLINE>
        00:00:00.200 --> 00:00:01.200
        GO
        >>> print(render([one], "ctm"), end="")
        a 1 0.200 0.300 GO 0.9800
    """
    several = len(transcripts) != 1
    document = Document(form, [each.source for each in transcripts], several, subtitles)
    if form in SINGLE and several and not _is_one_recording(transcripts):
        raise ConfigError(
            f"{form} must hold one recording, but there are {len(transcripts)} instead; write into a folder"
        )
    document.has_sounds = any(each.sounds is not None for each in transcripts)
    return document.head() + document.part(transcripts) + document.foot()


class Document:
    """A document that is written piece by piece: `head`, then `part` for each recording, then `foot`."""

    def __init__(
        self,
        form: str,
        sources: Sequence[str],
        several: bool = True,
        subtitles: SubtitleConfig | None = None,
        has_sounds: bool = False,
    ):
        """Choose its form.

        Args:
            form: a key of `WRITERS`.
            sources: those of all transcripts that will come, for the names in ctm and rttm.
            several: whether there will be more than one transcript; txt then names their sources.
            subtitles: form of srt and vtt.
            has_sounds: whether tsv and csv have a column for sounds.

        Raises:
            ConfigError: an unknown form.
        """
        if form not in WRITERS:
            raise ConfigError(f"format must be one of {', '.join(WRITERS)}, but is '{form}' instead")
        self.form, self.several, self.has_sounds = form, several, has_sounds
        self.subtitles = subtitles or SubtitleConfig()
        once = list(dict.fromkeys(sources))
        self.names = dict(zip(once, short_names(once), strict=True))
        self.begun = False
        """Whether a part has been written."""

    def head(self) -> str:
        """What stands before the recordings."""
        if self.form == "json":
            return f'{{\n  "format": "{FORMAT}",\n  "transcripts": ['
        return _row(self.form, _header(self)) if self.form in ("tsv", "csv") else ""

    def part(self, transcripts: Sequence[Transcript]) -> str:
        """Some transcripts; in a form that holds one recording, all of them."""
        text = WRITERS[self.form](self, transcripts)
        self.begun = self.begun or bool(transcripts)
        return terminal(text.encode(errors="backslashreplace").decode())

    def foot(self) -> str:
        """What stands after them."""
        return ("\n  ]\n}\n" if self.begun else "]\n}\n") if self.form == "json" else ""


def _is_one_recording(transcripts: Sequence[Transcript]) -> bool:
    """Whether they are the channels of one."""
    channels = [each.channel for each in transcripts]
    return (
        len({each.source for each in transcripts}) == 1 and None not in channels and len({*channels}) == len(channels)
    )


def short_names(sources: Sequence[str]) -> list[str]:
    """Names for files and columns, no two the same, even where capitals do not count.

    The file name without folder and suffix; where two would be the same, all of the path below their common folder
    (`/` as `_`); where that does not tell them apart either, `_2`, `_3`, ... in the order of the sources.

    Example:
        >>> short_names(["a/x.wav", "b/x.wav", "b/y.wav", "b/y.wav"])
        ['a_x.wav', 'b_x.wav', 'y', 'y_2']
    """
    stems = [_usable(Path(source).stem) for source in sources]
    alike: dict[str, set[str]] = {}
    for stem, source in zip(stems, sources, strict=True):
        alike.setdefault(stem.lower(), set()).add(source)
    names = [
        stem if len(alike[stem.lower()]) == 1 else _usable(_below_common(source, alike[stem.lower()]))
        for stem, source in zip(stems, sources, strict=True)
    ]
    wanted = Counter(name.lower() for name in names)
    taken: set[str] = set()
    found: list[str] = []
    for name in names:
        free, number = name, 1
        while free.lower() in taken or (number > 1 and free.lower() in wanted):
            number += 1
            free = f"{name}_{number}"
        taken.add(free.lower())
        found.append(free)
    return found


def _below_common(source: str, others: Iterable[str]) -> str:
    """A path below the folder that it shares with others."""
    try:
        common = os.path.commonpath([Path(each).parent for each in others])
    except ValueError:  # relative and absolute ones
        common = ""
    path = Path(source)
    return (path.relative_to(common) if common else path).as_posix()


def _usable(name: str) -> str:
    """A name that every system takes for a file that is not hidden; a long one keeps its end."""
    name = "".join("_" if letter in '/\\:*?"<>|' else letter for letter in clean(name)).strip("_ ").lstrip(".")
    while len(name.encode(errors="replace")) > LONGEST_NAME:
        name = name[1:]
    return name or "recording"


def clean(text: str) -> str:
    """A text on one line: ends of line and control characters are spaces, runs of these one space, and characters
    that only steer the order of others are left out."""
    if text.isascii() and text.isprintable() and "  " not in text and text == text.strip():
        return text
    return " ".join("".join(map(_shown, text)).split())


def _shown(letter: str) -> str:
    """A character, or what stands for it; joiners of scripts and emoji are kept."""
    kind = unicodedata.category(letter)
    if kind in ("Cc", "Zl", "Zp"):
        return " "
    return "" if kind == "Cf" and letter not in "\u200c\u200d" else letter


def label_of(transcript: Transcript) -> str:
    """The source, and the channel where there is one: `call.wav (channel 2)`."""
    channel = "" if transcript.channel is None else f" (channel {transcript.channel})"
    return f"{clean(transcript.source)}{channel}"


def _txt(document: Document, transcripts: Sequence[Transcript]) -> str:
    """The text; with several transcripts a line each, the source before a tab. Sounds stand in brackets after it: on a
    line of their own, or after a tab."""
    if not document.several:
        return "".join(
            f"{clean(each.text)}\n" + "".join(f"{sounds}\n" for sounds in _sounds(each)) for each in transcripts
        )
    return "".join("\t".join([label_of(each), clean(each.text), *_sounds(each)]) + "\n" for each in transcripts)


def _sounds(transcript: Transcript) -> list[str]:
    """`[rain 0.62, dog 0.11]` where a tagger was run."""
    return [] if transcript.sounds is None else [f"[{spelled(transcript.sounds.tags)}]"]


def _json(document: Document, transcripts: Sequence[Transcript]) -> str:
    """Everything; times in seconds, to four decimals."""
    texts = [each.to_json().replace("\n", "\n    ") for each in transcripts]
    before = "," if document.begun else ""
    return before + ",".join(f"\n    {text}" for text in texts) if texts else ""


def _srt(document: Document, transcripts: Sequence[Transcript]) -> str:
    """SubRip; the channel stands before the text. It has no escapes, so an arrow in a text gets a space."""
    blocks = []
    for number, (_, cue) in enumerate(_cues(document, transcripts, named=True), start=1):
        text = "\n".join(line.replace("-->", "-- >") for line in cue.lines)
        blocks.append(f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{text}\n")
    return "\n".join(blocks)


def _vtt(document: Document, transcripts: Sequence[Transcript]) -> str:
    """WebVTT; the channel is the voice. W3C, "WebVTT", section 4.2.2: `&`, `<` and `>` are escaped."""
    blocks = []
    for channel, cue in _cues(document, transcripts, named=False):
        voice = "" if channel is None else f"<v Channel {channel}>"
        text = "\n".join(line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in cue.lines)
        blocks.append(f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{voice}{text}\n")
    return "\n".join(["WEBVTT\n", *blocks])


def _cues(document: Document, transcripts: Sequence[Transcript], named: bool) -> list[tuple[int | None, Cue]]:
    """Cues of all channels in the order of time; those of one channel do not overlap."""
    found: list[tuple[int | None, Cue]] = []
    for each in transcripts:
        label = f"Channel {each.channel}:" if named and each.channel is not None else ""
        words = [replace(word, text=text) for word in placed_words(each) if (text := clean(word.text))]
        found += [(each.channel, cue) for cue in cues(words, document.subtitles, label)]
    return sorted(found, key=lambda pair: pair[1].start)


def _table(document: Document, transcripts: Sequence[Transcript]) -> str:
    """A row per transcript; `path` and `text` are the columns that `noisewise prepare table` reads. Where a tagger was
    run, sounds have a column."""
    return "".join(_row(document.form, _cells(document, each)) for each in transcripts)


def _header(document: Document) -> list[str]:
    return [*("path", "duration_seconds", "text", "confidence", "error", "channel"), *_if(document, "sounds")]


def _cells(document: Document, each: Transcript) -> list[str]:
    path = clean(each.source)
    return [
        f"./{path}" if path.startswith(FORMULA) else path,
        f"{each.duration:.3f}",
        csv_cell(clean(each.text)),
        f"{each.confidence:.4f}",
        csv_cell(clean(each.error or "")),
        "" if each.channel is None else str(each.channel),
        *_if(document, csv_cell(spelled([] if each.sounds is None else each.sounds.tags))),
    ]


def _if(document: Document, cell: str) -> list[str]:
    return [cell] if document.has_sounds else []


def _row(form: str, cells: Sequence[str]) -> str:
    """A row of a table; cells hold neither tabs nor ends of line."""
    if form == "tsv":
        return "\t".join(cells) + "\n"
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(cells)
    return written.getvalue()


def _ctm(document: Document, transcripts: Sequence[Transcript]) -> str:
    """NIST time-marked conversation: name, channel, start, duration, word, confidence."""
    return "".join(
        f"{_column(document.names[each.source])} {each.channel or 1} {word.start:.3f} "
        f"{word.end - word.start:.3f} {_column(word.text)} {word.confidence:.4f}\n"
        for each in transcripts
        for word in each.words
    )


def _rttm(document: Document, transcripts: Sequence[Transcript]) -> str:
    """NIST rich transcription time marks: a line for each stretch of speech without a pause, by channel."""
    lines = []
    for each in transcripts:
        channel = each.channel or 1
        for start, end in _stretches(each.words or each.segments):
            name = _column(document.names[each.source])
            lines.append(
                f"SPEAKER {name} {channel} {start:.3f} {end - start:.3f} <NA> <NA> channel_{channel} <NA> <NA>\n"
            )
    return "".join(lines)


def _stretches(words: Sequence[Word | Segment]) -> Iterator[tuple[float, float]]:
    """Start and end of the words between pauses."""
    starts = [0]
    for position, word in enumerate(words):
        late = position > 0 and word.start - words[position - 1].end > PAUSE
        starts.append(starts[-1] + late)
    for _, run in groupby(zip(starts[1:], words, strict=True), key=lambda pair: pair[0]):
        together = [word for _, word in run]
        yield together[0].start, max(word.end for word in together)


def _column(text: str) -> str:
    """A text without spaces, for columns that spaces divide."""
    return "_".join(clean(text).split()) or "_"


def _textgrid(document: Document, transcripts: Sequence[Transcript]) -> str:
    """Praat's TextGrid, long text form: a tier of words for each channel, or of segments where their times alone are
    known, and one of letters where these are."""
    tiers: dict[str, list[Word | Segment]] = {}
    for one in transcripts:
        channel = "" if one.channel is None else f" channel {one.channel}"
        if one.words or not one.segments:
            tiers[f"words{channel}"] = list(one.words)
        else:
            tiers[f"segments{channel}"] = list(one.segments)
        letters = [letter for word in one.words for letter in getattr(word, "characters", [])]
        if letters:
            tiers[f"characters{channel}"] = letters
    duration = max([each.start + each.duration for each in transcripts], default=0.0)
    duration = max([duration, *(span.end for spans in tiers.values() for span in spans)])
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        f"xmin = 0 \nxmax = {_seconds(duration)} \ntiers? <exists> \nsize = {len(tiers)} \nitem []: ",
    ]
    for number, (name, spans) in enumerate(tiers.items(), start=1):
        intervals = _filled(spans, duration)
        lines.append(f'    item [{number}]:\n        class = "IntervalTier" \n        name = "{name}" ')
        lines.append(f"        xmin = 0 \n        xmax = {_seconds(duration)} ")
        lines.append(f"        intervals: size = {len(intervals)} ")
        for count, (start, end, text) in enumerate(intervals, start=1):
            quoted = clean(text).replace('"', '""')
            lines.append(f"        intervals [{count}]:\n            xmin = {_seconds(start)} ")
            lines.append(f'            xmax = {_seconds(end)} \n            text = "{quoted}" ')
    return "\n".join(lines) + "\n"


def _filled(spans: Sequence[Word | Segment], duration: float) -> list[tuple[float, float, str]]:
    """Start, end and text of spans, with empty ones between them, so that they cover the whole recording."""
    filled: list[tuple[float, float, str]] = []
    now = 0.0
    for span in spans:
        if _seconds(span.start) != _seconds(now):
            filled.append((now, span.start, ""))
        filled.append((span.start, span.end, span.text))
        now = span.end
    if _seconds(now) != _seconds(duration) or not filled:
        filled.append((now, duration, ""))
    return filled


def _seconds(value: float) -> str:
    """To the millisecond; equal times are equal texts, or tiers would have holes."""
    return f"{value:.3f}"


WRITERS: dict[str, Callable[[Document, Sequence[Transcript]], str]] = {
    "txt": _txt,
    "json": _json,
    "srt": _srt,
    "vtt": _vtt,
    "tsv": _table,
    "csv": _table,
    "ctm": _ctm,
    "rttm": _rttm,
    "textgrid": _textgrid,
}
SINGLE = frozenset({"srt", "vtt", "textgrid"})
"""Forms of which a document holds one recording."""
FORMULA = tuple("=+-@＝＋－＠")
"""What a spreadsheet takes for the beginning of a formula."""


def _clock(seconds: float, point: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
