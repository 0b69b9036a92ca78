"""AudioSet (Gemmeke et al., ICASSP 2017): its segment lists, and a folder of the clips one could get.

    balanced_train_segments.csv, unbalanced_train_segments.csv, eval_segments.csv
        # YTID, start_seconds, end_seconds, positive_labels
        --PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
    class_labels_indices.csv      index,mid,display_name

The clips are not distributed. Names in use are known: the id, perhaps after `Y`, perhaps followed by start, or
start and end, in seconds or milliseconds (`--PJHxphWEs_30.000_40.000.flac`, `Y--PJHxphWEs.wav`).
"""

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from noisewise.data.corpora.listing import Report, audio_below, folder_with, prepare_parts
from noisewise.data.corpora.preparation import Part, Rejected
from noisewise.data.manifests.audio_files import AUDIO_SUFFIXES
from noisewise.data.manifests.columns import Row
from noisewise.data.manifests.lines import lines
from noisewise.errors import DataError

LISTS = {
    "balanced_train": "balanced_train_segments.csv",
    "unbalanced_train": "unbalanced_train_segments.csv",
    "eval": "eval_segments.csv",
}
CLASSES = "class_labels_indices.csv"


def prepare(source: Path, output: Path, *, workers: int | None = None, report: Report | None = None) -> list[Part]:
    """Write one part for each segment list; `label` joins the names of the classes with `;`.

    Clips that are listed and not there are rejected as missing, which is usual: videos vanish.

    Args:
        source: folder with the lists, `class_labels_indices.csv` and the clips in any folders.
        output: folder to make.
        workers: files decoded at a time.
        report: called with (finished, all) of a part.

    Raises:
        DataError: the table of classes or all lists are missing, or no clip of a list can be used.
    """
    root = folder_with(source)
    if not (root / CLASSES).is_file():
        raise DataError(f"`{root / CLASSES}` must exist, but does not; put it beside the segment lists")
    names = {row["mid"]: row["display_name"] for row in csv.DictReader(line for _, line in lines(root / CLASSES))}
    clips = {path.stem: path.relative_to(root).as_posix() for path in audio_below(root, *AUDIO_SUFFIXES)}
    lists = {part: root / file for part, file in LISTS.items() if (root / file).is_file()}
    parts = {part: partial(_segments, path, clips, names) for part, path in lists.items()}
    layout = "segment lists such as eval_segments.csv"
    return prepare_parts("audioset", root, output, parts, layout=layout, workers=workers, report=report)


def clip_names(video: str, start: float, end: float) -> Iterator[str]:
    """The names, without suffix, under which a segment is kept."""
    for name in (video, f"Y{video}"):
        yield name
        for scale, form in ((1, ".3f"), (1, ".0f"), (1000, ".0f")):
            first, last = format(start * scale, form), format(end * scale, form)
            yield from (f"{name}_{first}_{last}", f"{name}_{first}")


def _segments(path: Path, clips: dict[str, str], names: dict[str, str]) -> Iterator[Row | Rejected]:
    for number, line in lines(path):
        fields = next(csv.reader([line], skipinitialspace=True), [])
        if fields and not fields[0].startswith("#"):
            yield _segment(path, number, fields, clips, names)


def _segment(
    path: Path, number: int, fields: list[str], clips: dict[str, str], names: dict[str, str]
) -> Row | Rejected:
    try:
        video, start, end, mids = fields[0], float(fields[1]), float(fields[2]), fields[3].split(",")
        labels = [names[mid] for mid in mids]
    except (ValueError, IndexError, KeyError) as error:
        message = f'`{path}`, line {number}: must read `id, start, end, "classes"` with known classes: {error!r}'
        return Rejected(f"{path}:{number}", "bad_row", message)
    clip = next((clips[name] for name in clip_names(video, start, end) if name in clips), None)
    if clip is None:
        return Rejected(video, "missing", f"`{video}` from {start:g} s must be among the clips, but is not")
    return {"path": clip, "label": ";".join(labels), "mids": ";".join(mids), "video": video, "start": f"{start:g}"}
