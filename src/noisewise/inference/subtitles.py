"""Words as subtitles that people can read: where cues and lines end, and how long each is shown.

Lengths follow what broadcasters ask for: two lines of 42 letters, shown for one second at least and six at most, with
two frames of film between one cue and the next.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf

from noisewise.config import above, within
from noisewise.decoding.hypothesis import Word

PAUSE = 0.8
"""A silence of this many seconds ends a cue."""
SPELLED_PAUSE = 2.0
"""Letters that are spelled one by one belong together over pauses of up to this many seconds."""


@dataclass(frozen=True)
class SubtitleConfig:
    """The form of subtitles.

    Raises:
        ConfigError: a value that no subtitle can have.
    """

    max_line_length: int = 42
    """Most letters of a line; a longer word is broken."""
    max_lines: int = 2
    """Most lines of a cue."""
    min_seconds: float = 1.0
    """Shortest time that a cue is shown, unless the next words come sooner."""
    max_seconds: float = 6.0
    """Longest time that a cue is shown."""
    lead: float = 0.0
    """Seconds that a cue appears before its first word."""
    trail: float = 0.2
    """Seconds that a cue stays after its last word."""
    gap: float = 0.08
    """Least time in seconds between one cue and the next."""

    def __post_init__(self) -> None:
        within(8, inf, max_line_length=self.max_line_length)
        within(1, inf, max_lines=self.max_lines)
        above(0, max_seconds=self.max_seconds)
        within(0, self.max_seconds, min_seconds=self.min_seconds)
        within(0, inf, lead=self.lead, trail=self.trail, gap=self.gap)


@dataclass(frozen=True)
class Cue:
    """A subtitle."""

    start: float
    """When it appears, in seconds."""
    end: float
    """When it disappears, in seconds."""
    lines: list[str]
    """Its text."""


def cues(words: Sequence[Word], config: SubtitleConfig | None = None, label: str = "") -> Iterator[Cue]:
    """Cut words into cues at pauses, and where one would grow too long to read.

    Cues neither overlap nor hold a single letter of a word that is spelled. Times in whole milliseconds differ.

    Args:
        words: in the order of time.
        config: form of the cues.
        label: stands before the text of each, such as the name of a speaker.

    Example:
        >>> spelled = [Word(letter, at, at + 0.1, 1.0) for at, letter in enumerate("ABC")]
        >>> [(cue.start, round(cue.end, 2), cue.lines) for cue in cues(spelled)]
        [(0.0, 2.3, ['A B C'])]
    """
    config = config or SubtitleConfig()
    groups = _joined(_groups(_short_words(words, config, label), config, label), config, label)
    earliest = 0.0
    for number, group in enumerate(groups):
        start = max(earliest, group[0].start - config.lead)
        end = min(max(group[-1].end + config.trail, start + config.min_seconds), start + config.max_seconds)
        if number + 1 < len(groups):
            following = groups[number + 1][0].start - config.lead - config.gap
            end = min(end, max(following, start + 0.001))
        yield Cue(start, end, _lines(group, config, label))
        earliest = end + config.gap


def _groups(words: Sequence[Word], config: SubtitleConfig, label: str) -> list[list[Word]]:
    """Words of one cue each, from pause to pause, filled up."""
    groups: list[list[Word]] = []
    for unit in _units(words, config, label):
        last = groups[-1] if groups else None
        if last is not None and unit[0].start - last[-1].end <= PAUSE and _fits([*last, *unit], config, label):
            last.extend(unit)
        else:
            groups.append(list(unit))
    return groups


def _units(words: Sequence[Word], config: SubtitleConfig, label: str) -> Iterator[list[Word]]:
    """Single words, and letters that are spelled, which stay together as long as they fit into a cue."""
    unit: list[Word] = []
    for word in words:
        spelled = unit and len(word.text) == 1 == len(unit[-1].text)
        if spelled and word.start - unit[-1].end <= SPELLED_PAUSE and _fits([*unit, word], config, label):
            unit.append(word)
            continue
        if unit:
            yield unit
        unit = [word]
    if unit:
        yield unit


def _joined(groups: list[list[Word]], config: SubtitleConfig, label: str) -> list[list[Word]]:
    """Cues that would be shown too shortly, or hold a single letter, go to a neighbour where they fit."""
    found: list[list[Word]] = []
    for number, group in enumerate(groups):
        following = groups[number + 1] if number + 1 < len(groups) else None
        if found and (_is_poor(found[-1], group, config) or _is_poor(group, following, config)):
            both = [*found[-1], *group]
            if group[0].start - found[-1][-1].end <= SPELLED_PAUSE and _fits(both, config, label):
                found[-1] = both
                continue
        if found and _is_letter(group) and _is_letter(found[-1][-1:]) and len(found[-1]) > 2:
            found[-1], group = found[-1][:-1], [found[-1][-1], *group]
        found.append(group)
    return found


def _is_poor(group: list[Word], following: list[Word] | None, config: SubtitleConfig) -> bool:
    """Whether a cue holds a single letter, or the next one comes before it has been shown long enough."""
    if _is_letter(group):
        return True
    return following is not None and following[0].start - config.gap - group[0].start < config.min_seconds


def _is_letter(group: list[Word]) -> bool:
    return len(group) == 1 and len(group[0].text) == 1


def _fits(words: Sequence[Word], config: SubtitleConfig, label: str) -> bool:
    """Whether words make a cue that is short enough."""
    if words[-1].end - words[0].start > config.max_seconds and len(words) > 1:
        return False
    return len(_wrapped(_text(words, label), config.max_line_length)) <= config.max_lines


def _short_words(words: Sequence[Word], config: SubtitleConfig, label: str) -> list[Word]:
    """Words, those that fill more than a line in pieces, each with its share of the time."""
    found: list[Word] = []
    size = max(1, config.max_line_length - (len(label) + 1 if label else 0))
    for word in words:
        pieces = [word.text[at : at + size] for at in range(0, len(word.text), size)]
        step = (word.end - word.start) / max(1, len(pieces))
        for number, piece in enumerate(pieces):
            start = word.start + number * step
            found.append(replace(word, text=piece, start=start, end=start + step) if len(pieces) > 1 else word)
    return found


def _text(words: Sequence[Word], label: str) -> str:
    return " ".join([*([label] if label else []), *(word.text for word in words)])


def _lines(words: Sequence[Word], config: SubtitleConfig, label: str) -> list[str]:
    """As few lines as can be, of about the same length."""
    text = _text(words, label)
    lines = _wrapped(text, config.max_line_length)
    if len(lines) < 2:
        return lines
    for width in range(-(-len(text) // len(lines)), config.max_line_length):
        narrow = _wrapped(text, width)
        if len(narrow) == len(lines) and max(map(len, narrow)) <= width:
            return narrow
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
