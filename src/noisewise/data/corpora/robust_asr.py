"""FreeSound noises of seven types, and a noisy test set of LibriSpeech made with them (Prasad, Jyothi and
Velmurugan, ICASSP 2021), as published.

    .../train/<Type>_*.wav, .../test/<Type>_*.wav             noises; the folders may be named otherwise
    .../<utterance>_<Type>_<SNR>db.wav                        4,200: 120 utterances x 7 types x 0 5 10 15 20 dB
    .../*.trans.txt                                           LibriSpeech test-clean, here or in another folder

The types are spelled in one way in the files and in another in papers; both are understood.
"""

import logging
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from noisewise.data.corpora.librispeech import transcripts
from noisewise.data.corpora.listing import Report, audio_below, folder_with, prepare_parts
from noisewise.data.corpora.preparation import Part, Rejected
from noisewise.data.manifests.columns import Row

TYPES = {
    "babble": ("Babble",),
    "airport_station": ("AirportStation", "Airport/Station", "Airport"),
    "car": ("Car",),
    "metro": ("MetroSubway", "Metro"),
    "cafe": ("CafeRestaurant", "Cafe"),
    "traffic": ("Traffic",),
    "ac_vacuum": ("ACVacuum", "AC/Vacuum", "Vacuum"),
}
"""Our label of a type to its spellings."""
STATIONARY = ("traffic", "metro", "car")
"""Type A of the papers; the others are type B."""
SPLITS = ("train", "test")
PUBLISHED = 4200
NOISY = re.compile(r"(?P<utterance>[^_]+)_(?P<type>.+)_(?P<snr>-?\d+(?:\.\d+)?)db", re.IGNORECASE)
"""An utterance id of LibriSpeech has hyphens only; a type may have a line."""
log = logging.getLogger(__name__)


def prepare(
    source: Path,
    output: Path,
    *,
    librispeech: Path | None = None,
    workers: int | None = None,
    report: Report | None = None,
) -> list[Part]:
    """Write `cuts_noise_train.jsonl.gz`, `cuts_noise_test.jsonl.gz` and `cuts_noisy.jsonl.gz`, those that are there.

    Noises in folders that name neither split come into `cuts_noise.jsonl.gz`. Noisy utterances have the columns
    of a set by `noisewise mix`: `label`, `snr_db`, `utterance`.

    Args:
        source: folder of the unpacked archives.
        output: folder to make.
        librispeech: folder with the `*.trans.txt` of test-clean; `source` when absent.
        workers: files decoded at a time.
        report: called with (finished, all) of a part.

    Raises:
        DataError: no file of these names, or none of a part can be used.
    """
    root = folder_with(source)
    parts = {f"noise_{split}" if split else "noise": partial(_noises, root, split) for split in (*SPLITS, "")}
    return prepare_parts(
        "robust_asr",
        root,
        output,
        {**parts, "noisy": partial(_noisy, root, librispeech or root)},
        layout="files such as Babble_1.wav or 61-70970-0010_Babble_5db.wav",
        workers=workers,
        report=report,
    )


def type_of(spelling: str) -> str | None:
    """Our label of a noise type in any spelling: of files, of papers, with a slash, blank or line or without.

    >>> type_of("AirportStation"), type_of("AC / Vacuum"), type_of("Cafe"), type_of("rain")
    ('airport_station', 'ac_vacuum', 'cafe', None)
    """
    return _SPELLINGS.get(_plain(spelling))


def parse_name(stem: str) -> tuple[str, str, float] | None:
    """(utterance id, label, SNR in dB) of a noisy file, read from the right; None for other names.

    >>> parse_name("61-70970-0010_MetroSubway_15db")
    ('61-70970-0010', 'metro', 15.0)
    """
    match = NOISY.fullmatch(stem)
    label = type_of(match["type"]) if match else None
    return (match["utterance"], label, float(match["snr"])) if match and label else None


def _plain(spelling: str) -> str:
    return re.sub(r"[^a-z]", "", spelling.lower())


_SPELLINGS = {_plain(spelling): label for label, spellings in TYPES.items() for spelling in (label, *spellings)}


def _group(label: str) -> str:
    return "A" if label in STATIONARY else "B"


def _noises(root: Path, split: str) -> Iterator[Row]:
    for path in audio_below(root):
        label = _leading_type(path.stem)
        if label is None or parse_name(path.stem) or _split_of(path.relative_to(root)) != split:
            continue
        row = {"path": path.relative_to(root).as_posix(), "label": label, "group": _group(label)}
        yield {**row, "split": split} if split else row


def _leading_type(stem: str) -> str | None:
    """The type before the first line of a name, or before the second (`AC_Vacuum_3`)."""
    fields = stem.split("_")
    spellings = ("_".join(fields[:count]) for count in range(min(2, len(fields) - 1), 0, -1))
    return next((label for spelling in spellings if (label := type_of(spelling))), None)


def _split_of(path: Path) -> str:
    """The split that the nearest folder names: `train`, `noise_train`, `Test`, ...; else nothing."""
    for folder in reversed(path.parent.parts):
        found = [split for split in SPLITS if split in folder.lower()]
        if len(found) == 1:
            return found[0]
    return ""


def _noisy(root: Path, librispeech: Path) -> Iterator[Row | Rejected]:
    found = [(path, parsed) for path in audio_below(root) if (parsed := parse_name(path.stem))]
    if found and len(found) != PUBLISHED:
        log.warning("the published noisy test set has %d files, but here are %d", PUBLISHED, len(found))
    words = {utterance: text for _, _, utterance, text in transcripts(librispeech)} if found else {}
    for path, (utterance, label, ratio) in found:
        if not words.get(utterance):
            message = f"`{utterance}` must have a transcript, but has none; give test-clean with --librispeech"
            yield Rejected(str(path), "no_text", message)
            continue
        yield {
            "path": path.relative_to(root).as_posix(),
            "text": words[utterance],
            "speaker": utterance.partition("-")[0],
            "split": "test",
            "label": label,
            "group": _group(label),
            "snr_db": f"{ratio:g}",
            "utterance": utterance,
        }
