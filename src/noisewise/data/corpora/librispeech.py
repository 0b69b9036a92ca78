"""LibriSpeech (Panayotov et al., ICASSP 2015) and Mini LibriSpeech, as distributed.

LibriSpeech/<subset>/<speaker>/<chapter>/<speaker>-<chapter>-<utterance>.flac
                                         <speaker>-<chapter>.trans.txt      lines `ID TEXT`, upper case
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from noisewise.data.corpora.listing import Report, folder_with, prepare_parts
from noisewise.data.corpora.preparation import Part, Rejected
from noisewise.data.manifests.columns import Row
from noisewise.data.manifests.lines import lines


def prepare(source: Path, output: Path, *, workers: int | None = None, report: Report | None = None) -> list[Part]:
    """Write one part for each subset: `cuts_train-clean-100.jsonl.gz`, ...

    Args:
        source: folder of the subsets, or the one that holds `LibriSpeech/`.
        output: folder to make.
        workers: files decoded at a time.
        report: called with (finished, all) of a part.

    Raises:
        DataError: no transcript in the folder, or no utterance of a subset can be used.
    """
    root = folder_with(source, "LibriSpeech")
    subsets = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    parts = {name: partial(_subset, root, name) for name in subsets}
    layout = "folders such as train-clean-100/84/121123 with *.trans.txt"
    return prepare_parts("librispeech", root, output, parts, layout=layout, workers=workers, report=report)


def transcripts(folder: Path) -> Iterator[tuple[Path, int, str, str]]:
    """Every line of every `*.trans.txt` below a folder: (file, line, utterance id, words)."""
    for path in sorted(folder.rglob("*.trans.txt")):
        for number, line in lines(path):
            utterance, _, words = line.strip().partition(" ")
            yield path, number, utterance, words.strip()


def _subset(root: Path, subset: str) -> Iterable[Row | Rejected]:
    for path, number, utterance, words in transcripts(root / subset):
        if not words:
            message = f"`{path}`, line {number}: must read `ID WORDS`, but is '{utterance}' instead"
            yield Rejected(f"{path}:{number}", "bad_row", message)
            continue
        yield {
            "path": (path.parent / f"{utterance}.flac").relative_to(root).as_posix(),
            "text": words,
            "speaker": utterance.partition("-")[0],
            "split": subset,
            "utterance": utterance,
        }
