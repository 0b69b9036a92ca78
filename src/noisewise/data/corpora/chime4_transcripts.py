"""The transcripts of CHiME-4: `.dot_all` and WSJ0 `.dot` files, and the escapes in them.

    <name>.dot_all:     YOU WILL NEED AN INTERNET CONNECTION (F01_050C0103_BUS)
    011c0200.dot:       the \\"share\\" rose five %percent (011c0201)

The escapes are undone as by `normalize_transcript.pl` of the Kaldi recipe, except that its `<NOISE>` is left
out: a model of letters cannot write it.
"""

import logging
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from noisewise.data.manifests.lines import byte_lines
from noisewise.errors import DataError

LINE = re.compile(r"^(?P<words>.*?)\s*\((?P<id>[^()\s]+)\)\s*$")
SPAN = re.compile(r"\[<\w+\]|\[\w+>\]|\[\w+/\]|\[/\w+\]")
"""Begin and end of a noise that lasts over words, and its place."""
NOISE = re.compile(r"\[[^\]]*\]")
EMPHASISED = re.compile(r"<([\w'\-.]+)>")
WORDS = {"dt05_real": 27_119, "dt05_simu": 27_120, "et05_real": 21_409, "et05_simu": 21_416}
"""Words of a whole set in all its environments, as published."""
UTTERANCES = {"dt05": 1640, "et05": 1320}
log = logging.getLogger(__name__)


def normalise_escapes(line: str) -> str:
    """Upper-case words of a WSJ transcript line, without its marks.

    Example:
        >>> normalise_escapes("[<door_slam] the <share> rose .point five %percent --dash ~ [lip_smack] [door_slam>]")
        'THE SHARE ROSE POINT FIVE PERCENT -DASH'
    """
    return " ".join(filter(None, map(_word, line.upper().split())))


def _word(word: str) -> str:
    word = word.replace("\\", "")
    if word in ("~", ".") or SPAN.fullmatch(word) or NOISE.fullmatch(word):
        return ""
    if word in ("%PERCENT", ".POINT", "--DASH"):
        return word[1:]
    return EMPHASISED.sub(r"\1", word)


def transcripts(path: Path) -> dict[str, str]:
    """Normalised transcripts of one file by upper-case id.

    Raises:
        DataError: a line does not end in its id.
    """
    return dict(_lines(path))


@lru_cache(maxsize=2)
def wsj_transcripts(wsj0: Path) -> dict[str, str]:
    """Normalised transcripts of all `.dot` files below a folder by upper-case sentence id; empty without any."""
    words: dict[str, str] = {}
    for path in sorted(wsj0.rglob("*.dot")):
        words.update(transcripts(path))
    return words


def check_words(part: str, words: dict[str, str]) -> None:
    """Compare the words of a whole set with what is published, and log a difference."""
    if part in WORDS and len(words) == UTTERANCES[part[:4]]:
        count = sum(len(text.split()) for text in words.values())
        if count != WORDS[part]:
            log.warning("%s must have %d words, as published, but has %d", part, WORDS[part], count)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, content in byte_lines(path):
        line = content.decode("latin-1").rstrip("\r\n")
        match = LINE.match(line)
        if match:
            yield match["id"].upper(), normalise_escapes(match["words"])
        else:
            raise DataError(f"`{path}`, line {number}: must end in `(id)`, but is {line[:60]!r} instead; repair it")
