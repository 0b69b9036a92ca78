"""Kaldi data folders (https://kaldi-asr.org/doc/data_prep.html).

wav.scp     RECORDING FILE              a command that ends in `|` is refused, never run
segments    UTTERANCE RECORDING START END, in seconds; without it each recording is an utterance
text        UTTERANCE WORDS
utt2spk     UTTERANCE SPEAKER
"""

import os
from collections.abc import Iterator
from pathlib import Path

from noisewise.data.manifests.columns import CUT_ID, Row
from noisewise.data.manifests.lines import lines
from noisewise.errors import DataError

LIST = "wav.scp"


def rows(folder: Path) -> Iterator[tuple[int, Row | DataError]]:
    """Yield (line, row) of `segments`, or of `wav.scp` without it; the tables of the others are kept in memory.

    Files are relative to the folder, else to the working folder, as Kaldi has it.

    Raises:
        DataError: a file cannot be read.
    """
    texts, speakers = _table(folder / "text"), _table(folder / "utt2spk")
    segments = folder / "segments"
    if not segments.is_file():
        for line, name, value in _pairs(folder / LIST):
            yield line, _row(folder, line, name, value, texts, speakers)
        return
    recordings = {name: (line, value) for line, name, value in _pairs(folder / LIST)}
    for line, name, value in _pairs(segments):
        fields = value.split()
        if len(fields) != 3 or fields[0] not in recordings or not _is_span(*fields[1:]):
            message = "must be UTTERANCE RECORDING START END, the recording one of wav.scp, but is not; mend it"
            yield line, DataError(f"`{segments}`, line {line}: {message}")
            continue
        listed, file = recordings[fields[0]]
        row = _row(folder, listed, name, file, texts, speakers)
        if not isinstance(row, DataError):
            start, end = float(fields[1]), float(fields[2])
            row = {**row, "recording": fields[0], "start_seconds": start, "duration_seconds": end - start}
        yield line, row


def _row(
    folder: Path, line: int, name: str, file: str, texts: dict[str, str], speakers: dict[str, str]
) -> Row | DataError:
    where = f"`{folder / LIST}`, line {line}:"
    if file.startswith("|") or file.endswith("|"):
        return DataError(f"{where} must name a file, but is a command, which is not run; write its output to a file")
    if not file or ".ark:" in file:
        return DataError(f"{where} must name an audio file, but is '{file[:80]}' instead; write the audio to files")
    path = file if os.path.exists(folder / file) or not os.path.exists(file) else os.path.abspath(file)
    row = {"path": path, CUT_ID: name, "text": texts.get(name), "speaker": speakers.get(name)}
    return {key: value for key, value in row.items() if value}


def _is_span(start: str, end: str) -> bool:
    try:
        return 0 <= float(start) < float(end) < float("inf")
    except ValueError:
        return False


def _table(path: Path) -> dict[str, str]:
    return {name: value for _, name, value in _pairs(path)} if path.is_file() else {}


def _pairs(path: Path) -> Iterator[tuple[int, str, str]]:
    for line, content in lines(path):
        name, _, value = content.strip().replace("\t", " ").partition(" ")
        yield line, name, value.strip()
