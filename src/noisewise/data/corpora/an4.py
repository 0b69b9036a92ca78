"""AN4, the CMU Census alphanumeric database, as it is distributed.

`etc/an4_train.fileids` names the recordings below `wav/`, without suffix (`.wav` or `.sph`):

    an4_clstk/fash/an251-fash-b

`etc/an4_train.transcription` holds the words and the utterance id; the sentence marks may be absent:

    <s> YES </s> (an251-fash-b)

and the same for `an4_test`. The folder of a recording is its speaker.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from noisewise.data.corpora.preparation import Part, Preparation, Rejected, checked, file_facts, fingerprint
from noisewise.data.manifests.cuts import Cut
from noisewise.data.manifests.lines import lines
from noisewise.data.manifests.table import cut_of
from noisewise.errors import DataError

SPLITS = ("train", "test")
SUFFIXES = (".wav", ".sph", ".flac")
LINE = re.compile(r"^(?P<words>.*?)\s*\((?P<id>[^()]+)\)\s*$")
MARKS = re.compile(r"</?s>|<sil>")


def prepare(corpus: Path, output: Path) -> list[Part]:
    """Write `cuts_train.jsonl.gz` and `cuts_test.jsonl.gz`.

    Args:
        corpus: folder that holds `wav/` and `etc/`.
        output: folder to make.

    Raises:
        DataError: a list or a transcription file is missing, or no recording of a split can be used.
    """
    lists = [corpus / "etc" / f"an4_{split}.{kind}" for split in SPLITS for kind in ("fileids", "transcription")]
    for path in lists:
        if not path.is_file():
            raise DataError(f"`{path}` must exist, but does not; give the folder that holds wav/ and etc/")
    preparation = Preparation(output, "an4")
    return [preparation.part(split, _fingerprint(corpus, split), partial(_split, corpus, split)) for split in SPLITS]


def _fingerprint(corpus: Path, split: str) -> str:
    lists = [file_facts(corpus / "etc" / f"an4_{split}.{kind}") for kind in ("fileids", "transcription")]
    files = [file_facts(_audio(corpus, name) or corpus / "wav" / name) for name in _names(corpus, split)]
    return fingerprint(str(corpus.absolute()), lists, files)


def _split(corpus: Path, split: str) -> list[Cut | Rejected]:
    words, rejected = _transcripts(corpus / "etc" / f"an4_{split}.transcription")
    cuts = []
    for name in _names(corpus, split):
        row = _row(corpus, split, name, words)
        if isinstance(row, Rejected):
            rejected.append(row)
        else:
            cuts.append(cut_of(row, corpus))
    return [*rejected, *checked(cuts)]


def _row(corpus: Path, split: str, name: str, words: dict[str, str]) -> dict[str, Any] | Rejected:
    audio = _audio(corpus, name)
    if audio is None:
        return Rejected(name, "missing", f"`wav/{name}` must be a .wav or .sph file, but there is none")
    utterance = Path(name).name
    if utterance not in words:
        return Rejected(name, "no_text", f"`{utterance}` must have a transcription, but has none")
    path = audio.relative_to(corpus).as_posix()
    return {"path": path, "text": words[utterance], "speaker": Path(name).parent.name, "split": split}


def _names(corpus: Path, split: str) -> Iterator[str]:
    for _, line in lines(corpus / "etc" / f"an4_{split}.fileids"):
        yield line.strip()


def _audio(corpus: Path, name: str) -> Path | None:
    found = (corpus / "wav" / f"{name}{suffix}" for suffix in SUFFIXES)
    return next((path for path in found if path.is_file()), None)


def _transcripts(path: Path) -> tuple[dict[str, str], list[Rejected]]:
    words: dict[str, str] = {}
    bad = []
    for number, content in lines(path):
        line = content.rstrip("\r\n")
        match = LINE.match(line)
        text = " ".join(MARKS.sub(" ", match["words"]).split()) if match else ""
        if match and text:
            words[match["id"]] = text
        else:
            message = f"`{path}`, line {number}: must read `WORDS (id)`, but is {line!r} instead"
            bad.append(Rejected(f"{path}:{number}", "bad_row", message))
    return words, bad
