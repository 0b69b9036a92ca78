"""Free Spoken Digit Dataset (Jackson et al.), as distributed: `recordings/<digit>_<speaker>_<index>.wav`.

The official test split is the takes 0 to 4 of every digit and speaker.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from noisewise.data.corpora.listing import Report, audio_below, folder_with, prepare_parts
from noisewise.data.corpora.preparation import Part, Rejected
from noisewise.data.manifests.columns import Row

NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<take>\d+)")
DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
TEST_TAKES = 5


def prepare(source: Path, output: Path, *, workers: int | None = None, report: Report | None = None) -> list[Part]:
    """Write `cuts_train.jsonl.gz` and `cuts_test.jsonl.gz`.

    Raises:
        DataError: no recording of that name, or none that can be used.
    """
    root = folder_with(source, "free-spoken-digit-dataset")
    parts = {split: partial(_split, root, split) for split in ("train", "test")}
    layout = "recordings/ with files such as 7_jackson_32.wav"
    return prepare_parts("free_spoken_digits", root, output, parts, layout=layout, workers=workers, report=report)


def _split(root: Path, split: str) -> Iterator[Row | Rejected]:
    for path in audio_below(root / "recordings", ".wav"):
        match = NAME.fullmatch(path.stem)
        name = path.relative_to(root).as_posix()
        if match is None:
            if split == "train":
                message = f"`{name}` must be named digit_speaker_take.wav, but is not"
                yield Rejected(str(path), "bad_name", message)
            continue
        if (int(match["take"]) < TEST_TAKES) == (split == "test"):
            text = DIGITS[int(match["digit"])]
            yield {"path": name, "text": text, "speaker": match["speaker"], "split": split, "label": match["digit"]}
