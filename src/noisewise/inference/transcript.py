"""Transcripts of recordings, and their written forms: txt, json, srt, vtt, tsv, ctm, textgrid."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from noisewise.decoding.hypothesis import Word
from noisewise.errors import ConfigError
from noisewise.inference.tags import Sounds, rounded, spelled
from noisewise.safe_text import csv_cell, terminal

CUE_PAUSE = 0.8
"""A silence of this many seconds ends a subtitle."""
CUE_SECONDS = 6.0
"""Longest subtitle in seconds; a reader keeps up with about two lines in six seconds."""
CUE_LETTERS = 84
"""Longest subtitle in letters: two lines of 42."""
STRETCH_PAUSE = 3.0
"""Seconds without a word that part two stretches of speech."""


@dataclass(frozen=True)
class Alternative:
    """A further hypothesis of the n-best list of a recording."""

    text: str
    """Words of the hypothesis, joined by single spaces."""
    score: float
    """Score that hypotheses are ranked by, in nats; see `Hypothesis.score`."""


@dataclass(frozen=True)
class Transcript:
    """Transcript of one recording, or the reason why there is none."""

    source: str
    """Path of the recording, or `waveform N` for the N-th array of a call."""
    text: str = ""
    """Words of the best hypothesis, joined by single spaces."""
    words: list[Word] = field(default_factory=list)
    """Words of the best hypothesis with start and end in seconds, and confidence."""
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
    """A sentence that says what is wrong with the recording; None when it was transcribed."""


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


def render(transcripts: Sequence[Transcript], form: str) -> str:
    """Write transcripts as one document; control characters in names and texts are shown as `\\u001b`.

    Args:
        transcripts: one or more; srt, vtt and textgrid hold exactly one.
        form: a key of `WRITERS`.

    Raises:
        ConfigError: an unknown form, or several recordings in a form that holds one.

    Example:
        >>> from noisewise.decoding.hypothesis import Word
        >>> one = Transcript("a.wav", "GO", [Word("GO", 0.2, 0.5, 0.98)], duration=1.0, confidence=0.98)
        >>> print(render([one], "vtt"), end="")
        WEBVTT
        <BLANKLINE>
        00:00:00.200 --> 00:00:00.500
        GO
        >>> print(render([one], "ctm"), end="")
        a 1 0.200 0.300 GO 0.9800
    """
    if form not in WRITERS:
        raise ConfigError(f"format must be one of {', '.join(WRITERS)}, but is '{form}' instead")
    if form in SINGLE and len(transcripts) != 1:
        raise ConfigError(
            f"{form} must hold one recording, but there are {len(transcripts)} instead; write into a folder"
        )
    return terminal(WRITERS[form](transcripts))


def short_names(sources: Sequence[str]) -> list[str]:
    """File names without folder and suffix; whole paths (`/` as `_`) where two would be the same."""
    stems = [Path(source).stem for source in sources]
    return [
        stem if stems.count(stem) == 1 else Path(source).as_posix().strip("/").replace("/", "_").replace(":", "_")
        for stem, source in zip(stems, sources, strict=True)
    ]


def cues(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Cut words into subtitles at pauses, and where one would grow too long to read."""
    cue: list[Word] = []
    for word in words:
        letters = sum(len(each.text) + 1 for each in cue) + len(word.text)
        if cue and (
            word.start - cue[-1].end > CUE_PAUSE or word.end - cue[0].start > CUE_SECONDS or letters > CUE_LETTERS
        ):
            yield cue
            cue = []
        cue.append(word)
    if cue:
        yield cue


def _txt(transcripts: Sequence[Transcript]) -> str:
    """The text; with several recordings a line each, the source before a tab. Sounds stand in brackets after it: on a
    line of their own, or after a tab."""
    if len(transcripts) == 1:
        return f"{transcripts[0].text}\n" + "".join(f"{sounds}\n" for sounds in _sounds(transcripts[0]))
    return "".join("\t".join([_cell(each.source), each.text, *_sounds(each)]) + "\n" for each in transcripts)


def _sounds(transcript: Transcript) -> list[str]:
    """`[rain 0.62, dog 0.11]` where a tagger was run."""
    return [] if transcript.sounds is None else [f"[{spelled(transcript.sounds.tags)}]"]


def _json(transcripts: Sequence[Transcript]) -> str:
    """Everything; times in seconds to the millisecond."""
    return json.dumps({"transcripts": [rounded(_plain(each)) for each in transcripts]}, indent=2) + "\n"


def _plain(transcript: Transcript) -> dict[str, Any]:
    """Plain values of a transcript, without sounds where no tagger was run."""
    values = asdict(transcript)
    return values if transcript.sounds is not None else {name: values[name] for name in values if name != "sounds"}


def _srt(transcripts: Sequence[Transcript]) -> str:
    """SubRip."""
    blocks = [
        f"{number}\n{_clock(cue[0].start, ',')} --> {_clock(cue[-1].end, ',')}\n{_line(cue)}\n"
        for number, cue in enumerate(cues(transcripts[0].words), start=1)
    ]
    return "\n".join(blocks)


def _vtt(transcripts: Sequence[Transcript]) -> str:
    """WebVTT."""
    blocks = [
        f"{_clock(cue[0].start, '.')} --> {_clock(cue[-1].end, '.')}\n{_line(cue)}\n"
        for cue in cues(transcripts[0].words)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _tsv(transcripts: Sequence[Transcript]) -> str:
    """A row per recording; `path` and `text` are the columns that `noisewise prepare table` reads. Where a tagger was
    run, sounds have a column. `'` stands before cells that a spreadsheet would take for a formula."""
    asked = ["sounds"] if any(each.sounds is not None for each in transcripts) else []
    rows = [
        (
            *(each.source, f"{each.duration:.3f}", each.text, f"{each.confidence:.4f}", each.error or ""),
            *(spelled([] if each.sounds is None else each.sounds.tags) for _ in asked),
        )
        for each in transcripts
    ]
    header = ("path", "duration_seconds", "text", "confidence", "error", *asked)
    return "".join("\t".join(csv_cell(_cell(cell)) for cell in row) + "\n" for row in [header, *rows])


def _ctm(transcripts: Sequence[Transcript]) -> str:
    """NIST time-marked conversation: name, channel, start, duration, word, confidence."""
    names = short_names([each.source for each in transcripts])
    return "".join(
        f"{'_'.join(name.split())} 1 {word.start:.3f} {word.end - word.start:.3f} {word.text} {word.confidence:.4f}\n"
        for name, each in zip(names, transcripts, strict=True)
        for word in each.words
    )


def _textgrid(transcripts: Sequence[Transcript]) -> str:
    """Praat's TextGrid, long text form: a tier of words, and one of letters where they are known."""
    (one,) = transcripts
    tiers = {"words": list(one.words)}
    letters = [letter for word in one.words for letter in getattr(word, "characters", [])]
    if letters:
        tiers["characters"] = letters
    duration = max([one.duration, *(word.end for word in one.words)])
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
            quoted = text.replace('"', '""')
            lines.append(f"        intervals [{count}]:\n            xmin = {_seconds(start)} ")
            lines.append(f'            xmax = {_seconds(end)} \n            text = "{quoted}" ')
    return "\n".join(lines) + "\n"


def _filled(spans: Sequence[Word], duration: float) -> list[tuple[float, float, str]]:
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


WRITERS: dict[str, Callable[[Sequence[Transcript]], str]] = {
    "txt": _txt,
    "json": _json,
    "srt": _srt,
    "vtt": _vtt,
    "tsv": _tsv,
    "ctm": _ctm,
    "textgrid": _textgrid,
}
SINGLE = frozenset({"srt", "vtt", "textgrid"})
"""Forms of which a document holds one recording."""


def _line(cue: Sequence[Word]) -> str:
    """The text of a subtitle."""
    return " ".join(word.text for word in cue)


def _cell(text: str) -> str:
    """A text without the characters that end a cell or a row."""
    return " ".join(text.split())


def _clock(seconds: float, point: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
