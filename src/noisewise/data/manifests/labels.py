"""Labels of clips: the classes of a corpus, and the row of a batch with those of a clip.

A manifest names the classes of a clip in a column, several joined by ";", as `noisewise prepare audioset` writes them.
Legend: K classes.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noisewise.data.manifests.cuts import Cut, column
from noisewise.data.manifests.lines import lines
from noisewise.errors import DataError

SEPARATOR = ";"


def labels_of(cut: Cut, name: str) -> list[str]:
    """The labels of a cut in a column, none where it is empty."""
    return [label.strip() for label in (column(cut, name) or "").split(SEPARATOR) if label.strip()]


def names_in(cuts: Iterable[Cut], name: str) -> list[str]:
    """Every label that some cut has, in alphabetical order.

    Raises:
        DataError: none has one.
    """
    found = sorted({label for cut in cuts for label in labels_of(cut, name)})
    if not found:
        raise DataError(f"`manifests` must have labels in the column '{name}', but have none; set `label_column`")
    return found


def read_names(path: Path) -> list[str]:
    """Class names from a file, one a line.

    Raises:
        DataError: it cannot be read, is empty, or names a class twice.
    """
    names = [line.strip() for _, line in lines(path)]
    if not names or len(set(names)) < len(names):
        raise DataError(f"`{path}` must hold names of classes, each once, but has none or one twice")
    return names


class Labels:
    """Classes in the order of a model's outputs."""

    def __init__(self, names: Sequence[str], column: str = "label"):
        self.names, self.column = list(names), column
        self._places = {name: place for place, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def row(self, cut: Cut) -> Tensor:
        """1 where a class holds. -> (K,) float32

        Raises:
            DataError: a label is no known class.
        """
        row = torch.zeros(len(self.names))
        for label in labels_of(cut, self.column):
            if label not in self._places:
                raise DataError(
                    f"'{cut.id}' must have labels of {len(self.names)} known classes, but has '{label}'; "
                    "filter it out, or name all classes in a file (`classes`)"
                )
            row[self._places[label]] = 1.0
        return row

    def weights(self, cuts: Sequence[Cut]) -> NDArray[np.float64]:
        """How much each cut should weigh for classes to be balanced: the sum over its labels of 1000 / (n + 0.01), with
        n cuts that have the label, as the AudioSet papers have it (Audio-MAE's gen_weight.py). (N,)"""
        counts = np.zeros(len(self.names))
        for cut in cuts:
            counts[self._held(cut)] += 1
        each = 1000 / (counts + 0.01)
        return np.array([float(each[self._held(cut)].sum()) for cut in cuts])

    def _held(self, cut: Cut) -> list[int]:
        return [self._places[label] for label in dict.fromkeys(labels_of(cut, self.column))]
