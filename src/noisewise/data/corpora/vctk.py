"""CSTR VCTK, as distributed: version 0.92 (two microphones) or 0.80.

0.92: wav48_silence_trimmed/p225/p225_001_mic1.flac      0.80: wav48/p225/p225_001.wav
txt/p225/p225_001.txt        speaker-info.txt: ID AGE GENDER ACCENTS REGION [comments]
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from noisewise.data.corpora.listing import Report, audio_below, folder_with, prepare_parts
from noisewise.data.corpora.preparation import Part, Rejected
from noisewise.data.manifests.columns import Row
from noisewise.data.manifests.lines import lines

NAME = re.compile(r"(?P<utterance>(?P<speaker>[a-z]+\d*)_\d+)(?:_(?P<microphone>mic[12]))?")
FOLDERS = {"mic1": "wav48_silence_trimmed", "mic2": "wav48_silence_trimmed", "": "wav48"}
"""Part to its folder; 0.80 has one microphone and one part."""


def prepare(source: Path, output: Path, *, workers: int | None = None, report: Report | None = None) -> list[Part]:
    """Write `cuts_mic1.jsonl.gz` and `cuts_mic2.jsonl.gz` for 0.92, `cuts.jsonl.gz` for 0.80.

    Recordings without a text (all of p315) are rejected; speakers without a second microphone (p280) are
    absent from mic2.

    Raises:
        DataError: no recording is found, or none can be used.
    """
    root = folder_with(source, "VCTK-Corpus-0.92", "VCTK-Corpus")
    parts = {part: partial(_recordings, root, part) for part in FOLDERS}
    layout = "wav48_silence_trimmed/ or wav48/, and txt/"
    return prepare_parts("vctk", root, output, parts, layout=layout, workers=workers, report=report)


def _recordings(root: Path, part: str) -> Iterator[Row | Rejected]:
    speakers = _speakers(root / "speaker-info.txt")
    for path in audio_below(root / FOLDERS[part]):
        match = NAME.fullmatch(path.stem)
        if match is None or (match["microphone"] or "") != part:
            continue
        speaker, utterance = match["speaker"], match["utterance"]
        text = root / "txt" / speaker / f"{utterance}.txt"
        if not text.is_file():
            yield Rejected(str(path), "no_text", f"`{path}` must have the text `{text}`, but has none")
            continue
        yield {
            "path": path.relative_to(root).as_posix(),
            "text": " ".join(text.read_text(encoding="utf-8").split()),
            "speaker": speaker,
            "utterance": utterance,
            **speakers.get(speaker, {}),
        }


def _speakers(path: Path) -> dict[str, dict[str, str]]:
    """Gender, age and accent by speaker; the table of 0.80 leaves out the p of the id."""
    if not path.is_file():
        return {}
    speakers = {}
    for number, line in lines(path):
        words = line.split()
        if number > 1 and len(words) >= 4:
            name = f"p{words[0]}" if words[0].isdigit() else words[0]
            speakers[name] = {"age": words[1], "gender": words[2], "accent": words[3]}
    return speakers
