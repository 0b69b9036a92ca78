"""MUSAN (Snyder, Chen and Povey, 2015): music, speech and noise, as distributed.

musan/{music,noise,speech}/<source>/<source name>-0000.wav
                                    ANNOTATIONS   music: `id genres vocals artist`; speech: `id gender language`
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from noisewise.data.corpora.listing import Report, audio_below, folder_with, prepare_parts
from noisewise.data.corpora.preparation import Part
from noisewise.data.manifests.columns import Row
from noisewise.data.manifests.lines import lines

KINDS = {
    "music": ("genres", "vocals", "artist"),
    "noise": (),
    "speech": ("gender", "language"),
}
"""Part to the columns of its ANNOTATIONS after the id."""


def prepare(source: Path, output: Path, *, workers: int | None = None, report: Report | None = None) -> list[Part]:
    """Write `cuts_music.jsonl.gz`, `cuts_noise.jsonl.gz` and `cuts_speech.jsonl.gz`; the label is the part.

    Raises:
        DataError: none of the three folders has a recording that can be used.
    """
    root = folder_with(source, "musan")
    parts = {kind: partial(_kind, root, kind) for kind in KINDS}
    layout = "music/, noise/ and speech/ with .wav files"
    return prepare_parts("musan", root, output, parts, layout=layout, workers=workers, report=report)


def _kind(root: Path, kind: str) -> Iterator[Row]:
    known: dict[Path, dict[str, dict[str, str]]] = {}
    for path in audio_below(root / kind, ".wav"):
        folder = path.parent
        if folder not in known:
            known[folder] = _annotations(folder / "ANNOTATIONS", KINDS[kind])
        row = {"path": path.relative_to(root).as_posix(), "label": kind, "source": folder.name}
        yield {**row, **known[folder].get(path.stem, {})}


def _annotations(path: Path, names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Columns by recording id; empty without a file or without columns."""
    if not names or not path.is_file():
        return {}
    rows = (line.strip().split(maxsplit=len(names)) for _, line in lines(path))
    return {words[0]: dict(zip(names, words[1:], strict=False)) for words in rows if len(words) > 1}
