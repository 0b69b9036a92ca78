"""Speech Commands v2 (Warden, 2018), as distributed.

speech_commands_v0.02/<word>/<speaker>_nohash_<n>.wav      one second, 16 kHz, 35 words
                      _background_noise_/*.wav
                      validation_list.txt, testing_list.txt      lines `<word>/<file>`
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from noisewise.data.corpora.listing import Report, audio_below, folder_with, prepare_parts
from noisewise.data.corpora.preparation import Part
from noisewise.data.manifests.columns import Row
from noisewise.errors import DataError

NOISE = "_background_noise_"
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}


def prepare(source: Path, output: Path, *, workers: int | None = None, report: Report | None = None) -> list[Part]:
    """Write the parts train, validation and test of the 35-word task, and noise.

    Train is what neither list names. The separate archive of the 12-class task is not read.

    Raises:
        DataError: a list is missing, or no recording of a part can be used.
    """
    root = folder_with(source, "speech_commands_v0.02")
    named = {split: _listed(root / file) for split, file in LISTS.items()}
    parts = {split: partial(_words, root, split, named) for split in ("train", *LISTS)}
    layout = "folders of words with .wav files"
    return prepare_parts(
        "speech_commands",
        root,
        output,
        {**parts, "noise": partial(_noise, root)},
        layout=layout,
        workers=workers,
        report=report,
    )


def _listed(path: Path) -> frozenset[str]:
    if not path.is_file():
        raise DataError(f"`{path}` must exist, but does not; give the folder of the unpacked archive")
    return frozenset(path.read_text(encoding="utf-8").split())


def _words(root: Path, split: str, named: dict[str, frozenset[str]]) -> Iterator[Row]:
    if split in named:
        names = sorted(named[split])
    else:
        every = (path.relative_to(root).as_posix() for path in audio_below(root, ".wav"))
        names = [name for name in every if not any(name in others for others in named.values())]
    for name in names:
        word, _, file = name.partition("/")
        if not word.startswith("_"):
            speaker = file.partition("_")[0]
            yield {"path": name, "text": word.upper(), "speaker": speaker, "split": split, "label": word}


def _noise(root: Path) -> Iterator[Row]:
    for path in audio_below(root / NOISE, ".wav"):
        yield {"path": path.relative_to(root).as_posix(), "label": path.stem}
